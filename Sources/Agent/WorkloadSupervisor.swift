internal import Contract
internal import Linux
internal import Node
internal import Sandbox
internal import Synchronization
internal import Workloads

/// The agent's side of workloads: fetches the assignment when the server names a newer one, sends what the keeper
/// reports, and answers for the health gate.
///
/// Neither its thread nor the keeper's exists before the first assignment.
final class WorkloadSupervisor: Sendable {
    private let keeper: WorkloadKeeper
    private let connect: @Sendable () throws -> ServerClient
    private let log: NodeLog
    private let wake: Mailbox<Void>
    private let shared: Shared
    private let streams: StreamThreads

    /// What threads share; a class of its own, because the keeper's effects are made before the keeper.
    private final class Shared: Sendable {
        struct Content {
            var isStarted = false
            var wanted: Int?
            var reports: WorkloadReports?
            var isOnTrial = false
        }
        let content = Mutex(Content())
    }

    /// Reports are repeated at least this often, in milliseconds.
    private static let heartbeatMilliseconds = 20_000
    /// The wait after the server did not answer, in milliseconds.
    private static let pauseMilliseconds = 5000
    /// How long workloads have to stop before the machine restarts, in seconds.
    static let stopSeconds: Int64 = 60

    init(
        bootID: String, log: NodeLog, conversation: Conversation, access: ServerAccess
    ) throws {
        let shared = Shared()
        let wake = try Mailbox<Void>(limit: 1)
        self.shared = shared
        self.wake = wake
        self.log = log
        connect = { try access.client() }
        let effects = KeeperEffects(
            report: { reports in
                let isNews = shared.content.withLock { content in
                    defer { content.reports = reports }
                    return content.reports != reports
                }
                if isNews { wake.post(()) }
            },
            tell: { sentence in
                log.log(sentence)
                conversation.tell("workload", sentence)
            })
        let keeper = try WorkloadKeeper(effects, bootID: bootID)
        self.keeper = keeper
        conversation.alsoTell { kind, message in keeper.happened(kind: kind, message: message) }
        streams = StreamThreads(WorkloadStreams(effects)) { try access.client(stallSeconds: $0) }
    }

    /// Goes on with what is on the disk; does nothing where there is nothing.
    func start() throws {
        guard keeper.hasAssignment else { return }
        try keeper.start()
        try startThread()
    }

    /// The server's assignment has this generation now.
    func want(_ generation: Int) {
        shared.content.withLock { $0.wanted = generation }
        do {
            try startThread()
        } catch {
            log.log("workloads cannot be looked after: \(error)")
        }
        wake.post(())
    }

    /// Opens streams that operators ask for.
    func open(_ requests: [StreamRequest]) {
        do {
            try streams.open(requests)
        } catch {
            log.log("a stream cannot be opened: \(error)")
        }
    }

    /// A version on trial answers for the workloads that ran before; a committed one does not: a workload that fails by
    /// itself must not take the system back.
    func setOnTrial(_ isOnTrial: Bool) { shared.content.withLock { $0.isOnTrial = isOnTrial } }

    /// The health gate's check, while a version is on trial.
    func checks() -> [CheckResult] {
        guard shared.content.withLock({ $0.isOnTrial }), keeper.hasAssignment else { return [] }
        let missing = keeper.missing.sorted { $0.key < $1.key }
        guard let first = missing.first else {
            return [CheckResult(name: "workloads", passed: true, detail: "what ran before runs again")]
        }
        let rest = missing.count > 1 ? ", and \(missing.count - 1) others" : ""
        return [
            CheckResult(
                name: "workloads", passed: false,
                detail: "'\(first.key)' ran before and does not run: \(first.value)\(rest)")
        ]
    }

    /// Stops all workloads in good order before the machine restarts; returns when they have, or their time is up.
    func stopAll() { keeper.stopAll(withinSeconds: Self.stopSeconds) }

    /// The machine does not restart after all.
    func resume() { keeper.resume() }

    // MARK: The thread

    private func startThread() throws {
        guard
            shared.content.withLock({ content in
                defer { content.isStarted = true }
                return !content.isStarted
            })
        else { return }
        do {
            try WorkerThread { self.run() }.detach()
        } catch {
            shared.content.withLock { $0.isStarted = false }
            throw error
        }
    }

    private func run() {
        var client: ServerClient?
        var fetched: Int?
        while true {
            do {
                let open = try client ?? connect()
                client = open
                if let wanted = shared.content.withLock({ $0.wanted }), wanted != fetched {
                    fetched = try fetch(over: open)
                }
                try sendReports(over: open)
                _ = wake.take(waitingMilliseconds: Self.heartbeatMilliseconds)
            } catch {
                // The conversation tells of a server that is away; the keeper goes on with what it has.
                client = nil
                Clock.pause(milliseconds: Self.pauseMilliseconds)
            }
        }
    }

    /// Returns the generation that came: it may be newer than the one that was announced.
    private func fetch(over client: ServerClient) throws -> Int {
        let bytes = try client.bytes(at: "/v1/node/workloads", limitBytes: WorkloadWireLimit.assignment)
        do {
            let assignment = try WorkloadAssignment.decoded(from: bytes)
            // Without workloads there is nothing to keep, unless there were some.
            if keeper.hasAssignment || !assignment.workloads.isEmpty {
                try keeper.start()
                keeper.assign(assignment)
            }
            return assignment.generation
        } catch {
            log.log("the server's assignment cannot be used: \(error)")
            throw error
        }
    }

    private func sendReports(over client: ServerClient) throws {
        guard let reports = shared.content.withLock({ $0.reports }) else { return }
        try client.post(reports, to: "/v1/node/workloads")
    }
}
