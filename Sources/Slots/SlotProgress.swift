/// How far the writing of a slot is.
public struct SlotProgress: Sendable, Equatable {
    /// What is being done.
    public enum Phase: String, Sendable {
        /// The hash tree is read or fetched.
        case tree
        /// What the target already holds is compared.
        case compare
        /// Blocks are copied from another slot.
        case reuse
        /// Frames are fetched.
        case fetch
        /// What was written is read back.
        case readBack = "read-back"
    }

    /// What is being done.
    public var phase: Phase
    /// Bytes of the artifact that are in place, or were compared.
    public var doneBytes: UInt64 = 0
    /// Bytes of the artifact in all.
    public var totalBytes: UInt64 = 0
    /// Compressed bytes that were fetched.
    public var fetchedBytes: UInt64 = 0
    /// Bytes that were copied from another slot.
    public var reusedBytes: UInt64 = 0
    /// Bytes that the target already held.
    public var keptBytes: UInt64 = 0
}
