internal import Contract
internal import Fetch
internal import Linux
internal import Node
internal import Synchronization

/// What the agent's threads tell its loop.
enum AgentMessage: Sendable {
    /// The server wants something new.
    case desired(DesiredState)
    /// The server answered, or why it did not.
    case contact(failure: String?)
    /// A round of local checks ended; whether the gateway answers is asked only while the server does not.
    case health([CheckResult], gatewayAnswers: Bool?)
    /// A job ended.
    case jobDone(JobOutcome)
    /// A command of the machine was begun, or why it could not be.
    case commandDone(NodeCommand, failure: String?)
    /// The working thread cannot work.
    case unable(String)
}

/// The agent's side of the conversation with the server: two threads that block so that the loop never does.
///
/// One waits for wishes by long poll; the other sends the newest status and what is queued of steps and log lines.
final class Conversation: Sendable {
    private let mailbox: Mailbox<AgentMessage>
    private let queue: ReportQueue
    private let connect: @Sendable () throws -> ServerClient
    private let outgoing = Mutex(Outgoing())
    private let wakeSender: Mailbox<Void>
    private let hearers = Mutex<[@Sendable (String, String) -> Void]>([])
    private let cancellation = Cancellation()

    private struct Outgoing {
        var status: NodeStatus?
        var events: [NodeEvent] = []
        var generation = 0
    }

    private struct Audit {
        var memory: AuditMemory
        /// What was complained of last: it is told once.
        var complaint: String?
    }

    private let audit: Mutex<Audit>

    /// Unsent events beyond this are dropped, oldest first.
    private static let eventLimit = 128
    /// A status is repeated at least this often, in milliseconds.
    private static let heartbeatMilliseconds = 20_000

    /// Prepares the conversation; `connect` makes a client, which belongs to one thread.
    init(
        mailbox: Mailbox<AgentMessage>, queue: ReportQueue, generation: Int, audit: AuditMemory,
        connect: @escaping @Sendable () throws -> ServerClient
    ) throws {
        self.mailbox = mailbox
        self.queue = queue
        self.connect = connect
        self.audit = Mutex(Audit(memory: audit))
        wakeSender = try Mailbox(limit: 1)
        outgoing.withLock { $0.generation = generation }
    }

    /// Starts both threads.
    func start() throws {
        try WorkerThread { self.listen() }.detach()
        try WorkerThread { self.send() }.detach()
    }

    /// Replaces the status that is sent next; the sender is woken where it is news.
    func update(_ status: NodeStatus, isNews: Bool) {
        outgoing.withLock { $0.status = status }
        if isNews { wakeSender.post(()) }
    }

    /// Has every event from now on told to others on this node too; `hear` must not block.
    func alsoTell(_ hear: @escaping @Sendable (String, String) -> Void) { hearers.withLock { $0.append(hear) } }

    /// Queues an event.
    func tell(_ kind: String, _ message: String) {
        outgoing.withLock { outgoing in
            outgoing.events.append(NodeEvent(kind: kind, message: message))
            if outgoing.events.count > Self.eventLimit { outgoing.events.removeFirst() }
        }
        wakeSender.post(())
        for hear in hearers.withLock({ $0 }) { hear(kind, message) }
    }

    /// Sends a piece of a log from the calling thread.
    func send(_ chunk: LogChunk) throws { try connect().post(log: chunk) }

    /// Sends what is queued soon.
    func hurry() { wakeSender.post(()) }

    /// Waits until everything queued was sent, at most that long.
    func drain(seconds: Int64) {
        let deadline = Clock.monotonicMilliseconds() + seconds * 1000
        hurry()
        while Clock.monotonicMilliseconds() < deadline {
            if queue.isEmpty, outgoing.withLock({ $0.events.isEmpty && $0.status == nil }) { return }
            NodeClock.pause(milliseconds: 50)
        }
    }

    // MARK: Listening

    private func listen() {
        var backoff = Backoff(firstMilliseconds: 500, longestMilliseconds: 10_000, attempts: nil)
        var client: ServerClient?
        var isBack = false
        while true {
            do {
                let open = try client ?? connect()
                client = open
                let known = outgoing.withLock { $0.generation }
                // After an outage the first answer is not waited for: it tells that the server is back.
                let wish = try open.desired(
                    after: known, waitSeconds: isBack ? 40 : 0, cancellation: cancellation)
                backoff.reset()
                if !isBack { hurry() }
                isBack = true
                mailbox.post(.contact(failure: nil))
                guard let wish else { continue }
                outgoing.withLock { $0.generation = max($0.generation, wish.generation) }
                mailbox.post(.desired(wish))
            } catch {
                client = nil
                isBack = false
                mailbox.post(.contact(failure: "\(error)"))
                NodeClock.pause(milliseconds: Int64(backoff.next(random: .random(in: 0 ... .max)) ?? 10_000))
            }
        }
    }

    // MARK: Sending

    private func send() {
        var client: ServerClient?
        var sent: NodeStatus?
        while true {
            do {
                let open = try client ?? connect()
                client = open
                try sendStatus(over: open, last: &sent)
                try sendEvents(over: open)
                try sendReports(over: open)
                mailbox.post(.contact(failure: nil))
                guard queue.isEmpty else { continue }
                _ = wakeSender.take(waitingMilliseconds: Self.heartbeatMilliseconds)
            } catch {
                client = nil
                mailbox.post(.contact(failure: "\(error)"))
                NodeClock.pause(milliseconds: 3000)
            }
        }
    }

    private func sendStatus(over client: ServerClient, last: inout NodeStatus?) throws {
        let taken = outgoing.withLock { outgoing -> NodeStatus? in
            defer { outgoing.status = nil }
            return outgoing.status
        }
        guard var status = taken ?? last else { return }
        let heads = audit.withLock { $0.memory.heads }
        status.auditHeads = heads.isEmpty ? nil : heads
        do {
            let reply = try client.post(status: status)
            last = status
            noteServerClock(reply.clockSeconds)
            if let head = reply.auditHead { note(head) }
        } catch {
            outgoing.withLock { if $0.status == nil { $0.status = status } }
            throw error
        }
    }

    /// Remembers how the server's audit log ends, and tells of it where it is not what it was.
    private func note(_ head: AuditHead) {
        let complaint = audit.withLock { audit -> String? in
            let complaint = audit.memory.take(head)
            defer { audit.complaint = complaint }
            return complaint == audit.complaint ? nil : complaint
        }
        if let complaint { tell("audit", complaint) }
    }

    private func sendEvents(over client: ServerClient) throws {
        while let event = outgoing.withLock({ $0.events.first }) {
            try client.post(event: event)
            outgoing.withLock { if $0.events.first == event { $0.events.removeFirst() } }
        }
    }

    private func sendReports(over client: ServerClient) throws {
        let batch = queue.take()
        guard !batch.isEmpty else { return }
        do {
            if !batch.steps.isEmpty { try client.post(steps: batch.steps) }
            if !batch.log.isEmpty { try client.post(log: LogChunk(source: "agent", text: batch.log)) }
        } catch {
            queue.putBack(batch)
            throw error
        }
    }

    /// A machine without a battery starts in the past; the server was authenticated, so its clock is a floor.
    private func noteServerClock(_ seconds: Int64) {
        if seconds > Clock.realtimeSeconds() + 120 { try? Clock.setRealtime(seconds: seconds) }
    }
}
