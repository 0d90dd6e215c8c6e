import Synchronization

/// Ends a transfer from another thread: it throws `FetchError.aborted` within about a second.
public final class Cancellation: Sendable {
    private let flag = Atomic<Bool>(false)

    /// Makes one that is not cancelled.
    public init() {}

    /// Whether `cancel()` was called.
    public var isCancelled: Bool { flag.load(ordering: .acquiring) }

    /// Cancels, for good.
    public func cancel() { flag.store(true, ordering: .releasing) }
}
