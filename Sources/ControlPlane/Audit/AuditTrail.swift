import Access
import Contract
import Store
import Synchronization

/// Who is behind the changes of a task: `Core.change` writes a line of the audit log with each, in its transaction.
final class AuditTrail: Sendable {
    /// The trail of the request that runs; nil for what nobody asked for.
    @TaskLocal static var current: AuditTrail?

    let who: String
    let token: String?
    let from: String
    let action: String
    private let recorded = Mutex(false)

    init(who: String, token: String?, from: String, action: String) {
        self.who = who
        self.token = token
        self.from = from
        self.action = action
    }

    /// What the server does by itself.
    static var ofServer: AuditTrail { AuditTrail(who: "apusd", token: nil, from: "here", action: "start") }

    /// The same request, now that it is known who sends it.
    func proven(_ user: String) -> AuditTrail { AuditTrail(who: user, token: nil, from: from, action: action) }

    /// Whether a change was recorded: then it need not be a second time.
    var isRecorded: Bool { recorded.withLock { $0 } }

    /// Notes that a record is durable.
    func noteRecorded() { recorded.withLock { $0 = true } }

    /// Appends a line within a transaction.
    func append(
        _ outcome: AuditEntry.Outcome, _ detail: String, to transaction: any StoreTransaction, at seconds: Int64
    ) throws {
        let head = try transaction.auditHead()
        let entry = AuditEntry(
            sequence: head.count + 1, timeSeconds: seconds, who: who, token: token, from: from, action: action,
            outcome: outcome, detail: CleanText.line(detail, limit: 2048))
        try transaction.append(try AuditChain.record(entry, after: head), sequence: entry.sequence)
    }
}
