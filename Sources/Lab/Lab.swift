/// Why a rehearsal could not go on, as a sentence that says what to do.
public struct LabError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What went wrong.
    public var description: String

    /// Makes an error from a sentence.
    public init(_ description: String) { self.description = description }
}

/// A condition that did not come true before its deadline; the scenario's diagnosis quotes it.
public struct DeadlinePassed: Error, Sendable, Equatable, CustomStringConvertible {
    /// What was awaited, such as `the console line "Switching root"`.
    public var awaited: String
    /// How long it was awaited, in seconds.
    public var seconds: Int

    /// `waited 120 s in vain for …`.
    public var description: String { "waited \(seconds) s in vain for \(awaited)" }
}
