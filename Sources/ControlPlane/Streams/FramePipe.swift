import Contract
import Synchronization

/// One direction of a stream: frames from one sender to one receiver, bounded, with back-pressure.
final class FramePipe: Sendable {
    /// What a receiver gets.
    enum Item: Equatable, Sendable {
        case frame(StreamFrame)
        /// Nothing came in the time that it wanted to wait.
        case nothing
        /// The sender has ended, or the pipe was closed.
        case end
    }

    /// Nobody will receive what is sent.
    struct Closed: Error {}

    private struct State {
        var frames: [StreamFrame] = []
        var bytes = 0
        /// No more frames come.
        var isFinished = false
        /// No more frames go.
        var isClosed = false
        /// Rises with everything that somebody could wait for.
        var clock: UInt64 = 0
        var waiters: [UInt64: CheckedContinuation<Void, Never>] = [:]
        var nextWaiter: UInt64 = 0
    }

    private let state = Mutex(State())
    private let limit: Int

    init(limit: Int = StreamLimit.buffer) { self.limit = limit }

    /// Bytes that nobody has received yet.
    var waitingBytes: Int { state.withLock { $0.bytes } }

    /// Sends a frame, once there is room for it.
    ///
    /// It waits for `patience` at most and then takes the frame all the same: a connection whose bytes nobody reads for
    /// longer would be taken for dead. Who receives nothing for minutes loses the stream, so that this stays bounded.
    func send(_ frame: StreamFrame, patience: Duration = .seconds(30)) async throws {
        let deadline = ContinuousClock.now + patience
        let size = frame.bytes.count + 5
        while true {
            let (mark, isDone) = try state.withLock { state in
                guard !state.isClosed, !state.isFinished else { throw Closed() }
                guard state.bytes == 0 || state.bytes + size <= limit || ContinuousClock.now >= deadline else {
                    return (state.clock, false)
                }
                state.frames.append(frame)
                state.bytes += size
                return (state.clock, true)
            }
            if isDone { return wake() }
            try Task.checkCancellation()
            await wait(after: mark, until: deadline)
        }
    }

    /// The next frame; `nothing` once the time is over, `end` after the last.
    func receive(within time: Duration) async throws -> Item {
        let deadline = ContinuousClock.now + time
        while true {
            let (mark, item): (UInt64, Item?) = state.withLock { state in
                if state.isClosed { return (state.clock, .end) }
                guard !state.frames.isEmpty else { return (state.clock, state.isFinished ? .end : nil) }
                let frame = state.frames.removeFirst()
                state.bytes -= frame.bytes.count + 5
                return (state.clock, .frame(frame))
            }
            if let item {
                if case .frame = item { wake() }
                return item
            }
            try Task.checkCancellation()
            guard ContinuousClock.now < deadline else { return .nothing }
            await wait(after: mark, until: deadline)
        }
    }

    /// Ends the sending side: what is in the pipe can still be received.
    func finish() {
        state.withLock { $0.isFinished = true }
        wake()
    }

    /// Ends both sides at once; what is in the pipe is lost.
    func close() {
        state.withLock { state in
            state.isClosed = true
            state.frames = []
            state.bytes = 0
        }
        wake()
    }

    // MARK: - Waiting

    private func wake() {
        let woken = state.withLock { state in
            state.clock += 1
            let woken = state.waiters
            state.waiters = [:]
            return woken
        }
        for continuation in woken.values { continuation.resume() }
    }

    private func wait(after mark: UInt64, until deadline: ContinuousClock.Instant) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.wait(after: mark) }
            group.addTask { try? await Task.sleep(until: deadline, clock: .continuous) }
            await group.next()
            group.cancelAll()
        }
    }

    private func wait(after mark: UInt64) async {
        let id = state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isDue = state.withLock { state in
                    guard state.clock == mark, !Task.isCancelled else { return true }
                    state.waiters[id] = continuation
                    return false
                }
                if isDue { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: id) }?.resume()
        }
    }
}
