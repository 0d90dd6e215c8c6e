/// A secret that shows itself in no log: whatever prints it, or what holds it, gets one word.
struct Redacted<Value: Sendable>: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The secret.
    let value: Value

    init(_ value: Value) { self.value = value }

    var description: String { "redacted" }
    var debugDescription: String { "redacted" }
    var customMirror: Mirror { Mirror(self, children: [:]) }
}
