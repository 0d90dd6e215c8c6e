public import Contract

/// How far away the server is, as a version on probation sees it.
public enum ServerReach: Sendable, Equatable {
    /// It answers.
    case reachable
    /// It does not answer, but the gateway does: the outage is elsewhere and no fault of this version.
    case gatewayOnly
    /// Neither answers.
    case nothing
}

/// Decides whether a version on probation is committed or given up. Time is the machine's uptime in seconds.
///
/// Every check must hold without a break for the hold time, before the deadline. While the server is down and the
/// gateway answers, the deadline moves with the outage, up to a bound; what then still lacks only the server is
/// postponed, never condemned. A restarted agent makes a new value from the same start and the deadline that it had
/// already moved: the hold begins again, the deadline stays.
public struct Probation: Sendable, Equatable {
    /// What the agent does now.
    public enum Action: Sendable, Equatable {
        /// Check again soon; the guardian's deadline is this uptime in seconds.
        case wait(deadlineSeconds: Int64)
        /// Commit the version.
        case commit
        /// Go back; the version is to blame.
        case rollBack(reason: String)
        /// Go back; an outage kept the version from proving itself, and it may be tried again.
        case postpone(reason: String)
    }

    /// By how much a server's outage may move the deadline, in seconds: six hours.
    public static let longestExtensionSeconds: Int64 = 6 * 3600

    /// The rule.
    public let rule: ProbationRule
    /// The uptime at which the version is given up, in seconds.
    public private(set) var deadlineSeconds: Int64
    private let firstDeadlineSeconds: Int64
    private var holdsSinceSeconds: Int64?
    private var lastSeconds: Int64?
    private var isOver = false
    private var lastTrouble = "no check has been made"

    /// Begins, or goes on after the agent restarted.
    ///
    /// - Parameters:
    ///   - rule: The rule of the trial.
    ///   - startSeconds: The uptime at which the version was started.
    ///   - movedDeadlineSeconds: The deadline that an agent before this one had moved; beyond the bound it is cut.
    public init(rule: ProbationRule, startSeconds: Int64, movedDeadlineSeconds: Int64? = nil) {
        self.rule = rule
        firstDeadlineSeconds = startSeconds + Int64(rule.deadlineSeconds)
        let latest = firstDeadlineSeconds + Self.longestExtensionSeconds
        deadlineSeconds = min(max(movedDeadlineSeconds ?? firstDeadlineSeconds, firstDeadlineSeconds), latest)
    }

    /// Takes the results of one round of checks.
    ///
    /// - Parameters:
    ///   - checks: All local checks; the server is not among them.
    ///   - server: How far away the server is.
    ///   - nowSeconds: The uptime; it never goes back.
    public mutating func checked(_ checks: [CheckResult], server: ServerReach, nowSeconds: Int64) -> Action {
        guard !isOver else { return .wait(deadlineSeconds: deadlineSeconds) }
        let verdict = HealthVerdict(checks)
        let passed = max(0, nowSeconds - (lastSeconds ?? nowSeconds))
        lastSeconds = nowSeconds
        if server == .gatewayOnly, verdict.isHealthy {
            let latest = firstDeadlineSeconds + Self.longestExtensionSeconds
            deadlineSeconds = min(deadlineSeconds + passed, latest)
        }
        note(verdict, server)
        if verdict.isHealthy, server == .reachable {
            let since = holdsSinceSeconds ?? nowSeconds
            holdsSinceSeconds = since
            if nowSeconds - since >= Int64(rule.holdSeconds), nowSeconds <= deadlineSeconds {
                isOver = true
                return .commit
            }
        } else {
            holdsSinceSeconds = nil
        }
        guard nowSeconds >= deadlineSeconds else { return .wait(deadlineSeconds: deadlineSeconds) }
        isOver = true
        let reason = "not healthy for \(rule.holdSeconds) s within \(rule.deadlineSeconds) s: \(lastTrouble)"
        return verdict.isHealthy && server == .gatewayOnly
            ? .postpone(reason: "the server was not reachable for \(Self.longestExtensionSeconds) s")
            : .rollBack(reason: reason)
    }

    private mutating func note(_ verdict: HealthVerdict, _ server: ServerReach) {
        if !verdict.isHealthy {
            lastTrouble = verdict.sentence
        } else if server == .nothing {
            lastTrouble = "neither the server nor the gateway answers"
        } else if server == .gatewayOnly {
            lastTrouble = "the server does not answer"
        } else if holdsSinceSeconds == nil, lastTrouble == "no check has been made" {
            lastTrouble = "all checks held, but not for long enough"
        }
    }
}

/// What one round of checks says.
public struct HealthVerdict: Sendable, Equatable {
    /// Whether there was a check and every one held.
    public var isHealthy: Bool
    /// What failed, as a sentence.
    public var sentence: String

    /// Judges a round; no checks at all are no health.
    public init(_ checks: [CheckResult]) {
        let failed = checks.filter { !$0.passed }
        isHealthy = failed.isEmpty && !checks.isEmpty
        if checks.isEmpty {
            sentence = "no check was made"
        } else {
            let named = failed.prefix(5).map { "\($0.name): \($0.detail.prefix(160))" }
            let more = failed.count > 5 ? "; and \(failed.count - 5) more" : ""
            sentence = failed.isEmpty ? "all checks hold" : named.joined(separator: "; ") + more
        }
    }
}

/// Watches a committed version while the slot of the one before still holds it: a lasting failure goes back, once.
public struct CommittedWatch: Sendable, Equatable {
    /// What the agent does now.
    public enum Action: Sendable, Equatable {
        /// Nothing.
        case nothing
        /// The committed version is healthy after a boot: clear its counter.
        case confirmHealth
        /// Go back to the release before.
        case goBack(reason: String)
    }

    private let failSeconds: Int64
    private let holdSeconds: Int64
    private var failsSinceSeconds: Int64?
    private var holdsSinceSeconds: Int64?
    private var isConfirmed = false

    /// Begins after a start.
    ///
    /// - Parameter rule: A failure that lasts as long as the deadline of a probation condemns; health that lasts as
    ///   long as its hold clears the count of boots.
    public init(rule: ProbationRule = ProbationRule()) {
        failSeconds = Int64(rule.deadlineSeconds)
        holdSeconds = Int64(rule.holdSeconds)
    }

    /// Takes the results of one round of local checks; the server's absence is none of them.
    public mutating func checked(_ checks: [CheckResult], nowSeconds: Int64, canGoBack: Bool) -> Action {
        let verdict = HealthVerdict(checks)
        if verdict.isHealthy {
            failsSinceSeconds = nil
            let since = holdsSinceSeconds ?? nowSeconds
            holdsSinceSeconds = since
            guard !isConfirmed, nowSeconds - since >= holdSeconds else { return .nothing }
            isConfirmed = true
            return .confirmHealth
        }
        holdsSinceSeconds = nil
        let since = failsSinceSeconds ?? nowSeconds
        failsSinceSeconds = since
        guard canGoBack, nowSeconds - since >= failSeconds else { return .nothing }
        return .goBack(reason: "unhealthy for \(failSeconds) s after the commit: \(verdict.sentence)")
    }
}
