import Synchronization

/// Ends a transfer from another thread: it throws `FetchError.aborted` within about a second.
public final class Cancellation: Sendable {
    private let flag = Atomic<Bool>(false)
    private let parent: Cancellation?

    /// Makes one that is not cancelled; where it has a parent, the parent's cancellation is its own.
    public init(parent: Cancellation? = nil) { self.parent = parent }

    /// Whether `cancel()` was called, here or on the parent.
    public var isCancelled: Bool { flag.load(ordering: .acquiring) || parent?.isCancelled == true }

    /// Cancels, for good.
    public func cancel() { flag.store(true, ordering: .releasing) }
}
