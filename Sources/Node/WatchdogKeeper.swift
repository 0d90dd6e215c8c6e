internal import Linux
import Synchronization

/// Feeds the watchdog from a thread of its own, as long as the program shows that it is getting on.
///
/// A thread that fed whatever happens would keep a hung program alive. So the program says by `alive(forSeconds:)` how
/// long it may be silent; when it is silent for longer, nobody feeds, and the machine is reset.
public final class WatchdogKeeper: Sendable {
    /// After how many seconds without food the machine is reset.
    public static let timeoutSeconds = 60

    private struct State {
        var silentUntilMilliseconds: Int64
        var isStopping = false
        var disarms = false
        var hasStopped = false
    }

    private let state: Mutex<State>
    /// What was armed, for the log.
    public let identity: String

    /// Arms the machine's watchdog and starts feeding it.
    /// - Throws: `SystemError`; `isNotFound` where the machine has no watchdog.
    public init() throws {
        let watchdog = try Watchdog.arm(timeoutSeconds: Self.timeoutSeconds)
        identity = "\(watchdog.identity), \(watchdog.timeoutSeconds) s"
        state = Mutex(State(silentUntilMilliseconds: Clock.monotonicMilliseconds() + 30_000))
        let device = Mutex<Watchdog?>(watchdog)
        try WorkerThread { [self] in
            while feedIfAlive(device) { NodeClock.pause(milliseconds: 1000) }
            device.withLock { slot in
                // Closed without the magic character: it stays armed, and whoever opens it next takes it over.
                guard let watchdog = slot.take() else { return }
                if state.withLock({ $0.disarms }) { try? watchdog.disarm() } else { try? watchdog.handOver() }
            }
            state.withLock { $0.hasStopped = true }
        }.detach()
    }

    /// The program is getting on and may now be silent for that long.
    public func alive(forSeconds seconds: Int64) {
        let until = Clock.monotonicMilliseconds() + seconds * 1000
        state.withLock { $0.silentUntilMilliseconds = until }
    }

    /// Leaves the watchdog armed to whoever opens it next, with its whole time left.
    public func handOver() { stop(disarming: false) }

    /// Stops the watchdog, where its driver allows that.
    public func disarm() { stop(disarming: true) }

    private func stop(disarming: Bool) {
        state.withLock { state in
            state.isStopping = true
            state.disarms = disarming
        }
        for _ in 0..<300 where !state.withLock({ $0.hasStopped }) { NodeClock.pause(milliseconds: 10) }
    }

    /// Returns false when feeding is to end.
    private func feedIfAlive(_ device: borrowing Mutex<Watchdog?>) -> Bool {
        let now = Clock.monotonicMilliseconds()
        let (stop, isAlive) = state.withLock { ($0.isStopping, now < $0.silentUntilMilliseconds) }
        if stop { return false }
        if isAlive {
            device.withLock { slot in
                guard let watchdog = slot.take() else { return }
                // A feed that fails leaves the watchdog to bite, which is what it is for: ignoring.
                try? watchdog.feed()
                slot = consume watchdog
            }
        }
        return true
    }
}
