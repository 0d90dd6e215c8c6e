import Dispatch
public import Testing

/// Runs tests on threads of their own.
///
/// The tests of all suites share a few threads, as many as there are processors, and so does a server that is tested.
/// Suites that keep processors busy for long, or wait for programs, would silence it.
public struct OwnThreads: SuiteTrait, TestTrait, TestScoping {
    /// Every test of a suite, and of the suites in it, gets them.
    public var isRecursive: Bool { true }

    /// Has everything that the test does done by threads that nothing else uses.
    public func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        try await withTaskExecutorPreference(executor) { try await function() }
    }
}

extension Trait where Self == OwnThreads {
    /// Keeps the threads free that all suites share: for tests that are busy or blocked for long.
    public static var ownThreads: OwnThreads { OwnThreads() }
}

private let executor = QueueExecutor()

/// The threads of a queue: as many as there are processors, more while some are blocked.
private final class QueueExecutor: TaskExecutor {
    private let queue = DispatchQueue(label: "apus.tests.busy", attributes: .concurrent)

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let executor = asUnownedTaskExecutor()
        queue.async { job.runSynchronously(on: executor) }
    }
}
