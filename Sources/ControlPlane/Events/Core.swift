import Contract
import Store

/// What all services share.
struct Core: Sendable {
    let store: any ServerStore
    let signals: Signals
    let authority: Authority
    /// The server's clock in seconds since 1970.
    let now: @Sendable () -> Int64

    /// Runs a write and then announces the keys that its body collected, and the events.
    ///
    /// Where a person or a program asked for it, its line in the audit log is part of it.
    func change<Value: Sendable>(
        _ body: @escaping @Sendable (any StoreTransaction, inout Announcements) throws -> Value
    ) async throws -> Value {
        let (trail, now) = (AuditTrail.current, now())
        let (value, announcements) = try await store.write { transaction in
            var announcements = Announcements()
            let value = try body(transaction, &announcements)
            try trail?.append(.done, announcements.words, to: transaction, at: now)
            return (value, announcements)
        }
        trail?.noteRecorded()
        for key in announcements.keys { signals.announce(key) }
        return value
    }

    /// Looks, and looks again whenever a key changes, until there is something or the time is over.
    func poll<Value: Sendable>(
        _ key: Signals.Key, waitSeconds: Int64, look: () async throws -> Value?
    ) async throws -> Value? {
        let deadline = ContinuousClock.now + .seconds(waitSeconds)
        while true {
            let mark = signals.mark
            if let value = try await look() { return value }
            guard waitSeconds > 0, ContinuousClock.now < deadline, !signals.isClosed, !Task.isCancelled else {
                return nil
            }
            try await signals.wait(for: key, after: mark, until: deadline)
        }
    }
}

/// What a write has to announce once it is durable.
struct Announcements: Sendable {
    private(set) var keys: Set<Signals.Key> = []

    /// What the body did, for the audit log.
    private var said: [String] = []
    var words: String { said.joined(separator: "; ") }

    mutating func add(_ key: Signals.Key) { keys.insert(key) }

    /// Says what changed where no event does; without secrets.
    mutating func say(_ words: String) { said.append(words) }

    /// Appends an event and has it announced.
    mutating func event(
        _ transaction: any StoreTransaction, at seconds: Int64, node: NodeID?, kind: String, _ message: String,
        step: StepReport? = nil, state: NodeState? = nil
    ) throws {
        let event = Event(
            sequence: 0, timeSeconds: seconds, node: node, kind: kind, message: CleanText.line(message, limit: 2048),
            step: step, state: state)
        let sequence = try transaction.append(event)
        said.append(node.map { "node \($0): \(event.message)" } ?? event.message)
        if sequence.isMultiple(of: 1024) { try transaction.pruneEvents(keeping: ServerLimit.events) }
        add(.events)
    }

    /// Moves a node to a state and tells of it where it is another one.
    mutating func move(
        _ node: inout NodeRecord, to state: NodeState, _ reason: String, in transaction: any StoreTransaction,
        at seconds: Int64
    ) throws {
        let reason = CleanText.line(reason)
        let isNews = node.state != state
        node.state = state
        node.reason = reason
        guard isNews else { return }
        try event(transaction, at: seconds, node: node.id, kind: "state", "\(state.rawValue): \(reason)", state: state)
    }
}
