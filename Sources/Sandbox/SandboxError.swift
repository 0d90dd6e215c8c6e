/// Why something of a workload could not be done on this node, as a sentence.
public struct SandboxError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What was wrong, and what to do where there is something to do.
    public var description: String
    /// Whether trying again would come to the same.
    public var isPermanent: Bool

    /// Makes an error from a sentence.
    public init(_ description: String, isPermanent: Bool = false) {
        self.description = description
        self.isPermanent = isPermanent
    }
}
