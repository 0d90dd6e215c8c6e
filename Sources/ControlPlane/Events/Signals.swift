import Contract
import Synchronization

/// Wakes long polls: each change is announced under a key, and whoever waits for that key looks again.
///
/// A poll takes the `mark` first, then looks, then waits for anything after its mark: no change is missed in between.
final class Signals: Sendable {
    /// What can change.
    enum Key: Hashable, Sendable {
        case registration(String)
        case desired(NodeID)
        case log(NodeID)
        case events
    }

    private struct State {
        var clock: UInt64 = 0
        /// Keys that are not in `changed` count as changed at this time.
        var floor: UInt64 = 0
        var changed: [Key: UInt64] = [:]
        var nextWaiter: UInt64 = 0
        var waiters: [Key: [UInt64: CheckedContinuation<Void, Never>]] = [:]
        var waiterCount = 0
        var isClosed = false
    }

    private let state = Mutex(State())
    private static let keyLimit = 65_536

    /// The present time of this clock of changes.
    var mark: UInt64 { state.withLock { $0.clock } }

    /// How many wait.
    var waiting: Int { state.withLock { $0.waiterCount } }

    /// Wakes everyone who waits for a key.
    func announce(_ key: Key) {
        let woken = state.withLock { state in
            state.clock += 1
            if state.changed.count >= Self.keyLimit {
                state.changed.removeAll()
                state.floor = state.clock
            }
            state.changed[key] = state.clock
            let woken = state.waiters.removeValue(forKey: key) ?? [:]
            state.waiterCount -= woken.count
            return woken
        }
        for continuation in woken.values { continuation.resume() }
    }

    /// Wakes everyone, now and from now on: the server is stopping.
    func close() {
        let woken = state.withLock { state in
            state.isClosed = true
            let woken = state.waiters.values.flatMap(\.values)
            state.waiters = [:]
            state.waiterCount = 0
            return woken
        }
        for continuation in woken { continuation.resume() }
    }

    /// Whether `close` was called.
    var isClosed: Bool { state.withLock { $0.isClosed } }

    /// Waits until a key changes after a mark, the deadline passes, the task is cancelled or the server stops.
    ///
    /// - Throws: `TooManyWaiters` where the bound is reached.
    func wait(for key: Key, after mark: UInt64, until deadline: ContinuousClock.Instant) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.wait(for: key, after: mark) }
            group.addTask { try? await Task.sleep(until: deadline, clock: .continuous) }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    /// All places to wait are taken.
    struct TooManyWaiters: Error {}

    private func wait(for key: Key, after mark: UInt64) async throws {
        let id = try state.withLock { state in
            guard state.waiterCount < ServerLimit.waiters else { throw TooManyWaiters() }
            state.nextWaiter += 1
            return state.nextWaiter
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isDue = state.withLock { state in
                    guard !state.isClosed, !Task.isCancelled, max(state.floor, state.changed[key] ?? 0) <= mark else {
                        return true
                    }
                    state.waiters[key, default: [:]][id] = continuation
                    state.waiterCount += 1
                    return false
                }
                if isDue { continuation.resume() }
            }
        } onCancel: {
            let continuation = state.withLock { state in
                let continuation = state.waiters[key]?.removeValue(forKey: id)
                if continuation != nil { state.waiterCount -= 1 }
                if state.waiters[key]?.isEmpty == true { state.waiters[key] = nil }
                return continuation
            }
            continuation?.resume()
        }
    }
}
