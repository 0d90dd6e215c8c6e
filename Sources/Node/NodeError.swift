/// Why something on the node failed: what was tried, what was wrong, and what to do, as a sentence.
public struct NodeError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The sentence.
    public var description: String

    /// Makes an error from a sentence.
    public init(_ description: String) { self.description = description }
}
