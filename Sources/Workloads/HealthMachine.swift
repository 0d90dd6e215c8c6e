/// When a health check is asked, and what its answers come to. Times are milliseconds of one clock.
public struct HealthMachine: Sendable, Equatable {
    /// What is to be done.
    public enum Action: Sendable, Equatable {
        /// Ask now, with the check's time limit.
        case probe
        /// Ask at that time.
        case wait(untilMilliseconds: Int64)
        /// An answer is awaited.
        case await
    }

    /// The verdict so far.
    public private(set) var health = InstanceFacts.Health.unknown
    private let check: HealthCheck
    private let startedMilliseconds: Int64
    private var nextMilliseconds: Int64
    private var failures = 0
    private var isAsking = false

    /// Begins with a start.
    public init(_ check: HealthCheck, startedMilliseconds: Int64) {
        self.check = check
        self.startedMilliseconds = startedMilliseconds
        nextMilliseconds = startedMilliseconds + min(check.startIntervalMilliseconds, check.intervalMilliseconds)
    }

    /// Says what to do at a time.
    public mutating func next(_ now: Int64) -> Action {
        if isAsking { return .await }
        guard now >= nextMilliseconds else { return .wait(untilMilliseconds: nextMilliseconds) }
        isAsking = true
        return .probe
    }

    /// Takes an answer: nil for health, otherwise what was wrong. A check that ran out of time is a wrong answer.
    public mutating func answered(_ failure: String?, _ now: Int64) {
        guard isAsking else { return }
        isAsking = false
        let isStarting = now - startedMilliseconds < check.startPeriodMilliseconds && health == .unknown
        nextMilliseconds = now + (isStarting ? check.startIntervalMilliseconds : check.intervalMilliseconds)
        guard let failure else {
            failures = 0
            health = .healthy
            return
        }
        // In the start period a failure is no sign of anything, until the first success has ended it.
        if isStarting { return }
        failures += 1
        if failures >= check.retries { health = .unhealthy(failure) }
    }
}
