internal import Contract
internal import Linux
internal import Node
internal import Synchronization

/// A thread that runs rounds of health checks and posts each result.
final class HealthRounds: Sendable {
    /// How the next round is to be made.
    struct Pace: Sendable, Equatable {
        /// How long to wait between rounds, in milliseconds.
        var intervalMilliseconds: Int64
        /// Whether the gateway is asked as well, because the server does not answer.
        var asksGateway: Bool
    }

    private let checks: HealthChecks
    private let mailbox: Mailbox<AgentMessage>
    private let more: @Sendable () -> [CheckResult]
    private let pace = Mutex(Pace(intervalMilliseconds: 5000, asksGateway: true))

    /// - Parameter more: further results of a round, at hand at once.
    init(checks: HealthChecks, mailbox: Mailbox<AgentMessage>, more: @escaping @Sendable () -> [CheckResult]) {
        self.checks = checks
        self.more = more
        self.mailbox = mailbox
    }

    /// Starts the thread.
    func start() throws {
        try WorkerThread {
            while true {
                let pace = self.pace.withLock { $0 }
                let results = self.checks.run() + self.more()
                let answer = pace.asksGateway ? NetworkProbe.gatewayAnswers() : nil
                self.mailbox.post(.health(results, gatewayAnswers: answer))
                NodeClock.pause(milliseconds: self.pace.withLock { $0.intervalMilliseconds })
            }
        }.detach()
    }

    /// Changes how rounds are made, from the next on.
    func set(_ new: Pace) { pace.withLock { $0 = new } }
}
