import Contract
import Cryptography
import HTTPTypes
import Store

/// Writes what was decided about a registration, within one transaction.
struct RegistrationKeeper {
    let core: Core
    let transaction: any StoreTransaction
    let now: Int64
    var announcements = Announcements()

    init(core: Core, transaction: any StoreTransaction, now: Int64) {
        self.core = core
        self.transaction = transaction
        self.now = now
    }

    /// Ends a registration; a node that was never admitted goes with it.
    mutating func close(_ record: inout RegistrationRecord, _ refusal: Refusal) throws {
        record.phase = .refused
        try transaction.save(record)
        try announcements.event(
            transaction, at: now, node: record.nodeID, kind: "registration",
            "a machine at \(record.remoteAddress) was refused: \(refusal.message)")
        if let id = record.nodeID, let node = try transaction.node(id), !node.wasAdmitted, node.state != .retired {
            try transaction.removeNode(id)
        }
    }

    /// Puts a registration before a person.
    mutating func wait(_ record: inout RegistrationRecord, _ place: Judgement.Place, _ reason: String) throws {
        var node = try self.node(at: place, for: record)
        try adopt(&record, by: &node)
        try announcements.move(&node, to: .pending, reason, in: transaction, at: now)
        try transaction.save(node)
        try transaction.save(record)
    }

    /// Approves a registration; its node gets its certificate with the next answer.
    mutating func approve(
        _ record: inout RegistrationRecord, _ place: Judgement.Place, _ ground: Judgement.Ground
    ) throws {
        var node = try self.node(at: place, for: record)
        try adopt(&record, by: &node)
        let reason: String
        switch ground {
        case .knownKey: reason = "it has the key of a node that was admitted before"
        case .listedSerial: reason = "its serial number is on the list"
        case .token(let id, let consuming):
            try redeem(id, consuming: consuming, for: &node)
            reason = "it has join token \(id)"
        }
        try announcements.move(&node, to: .approved, reason, in: transaction, at: now)
        try transaction.save(node)
        try transaction.save(record)
    }

    /// Approves a registration that a person vouched for; its token counts too, where it has one that is good.
    mutating func approveByHand(_ record: inout RegistrationRecord) throws -> NodeRecord {
        guard let id = record.nodeID else { throw StoreError("a registration that waits has no node") }
        let identity = SMBIOSIdentity.text(record.inventory.smbios)
        let twins = try identity.map { try transaction.admittedNodes(identity: $0) } ?? []
        let place = placeOnApproval(of: id, twins: twins.map(RegistrationService.known))
        var node = try self.node(at: place, for: record)
        try adopt(&record, by: &node)
        if let token = try record.tokenID.flatMap({ try transaction.token($0) }),
            case .valid(let id) = RegistrationService.worth(token, now: now)
        {
            try redeem(id, consuming: true, for: &node)
        }
        try announcements.move(&node, to: .approved, "an operator compared its code", in: transaction, at: now)
        try transaction.save(node)
        try transaction.save(record)
        announcements.add(.registration(record.id))
        return node
    }

    /// What follows when the node asks: an approved one gets its certificate and is admitted.
    mutating func poll(_ record: inout RegistrationRecord) throws {
        var machine = RegistrationMachine(phase: record.phase, wrongCodes: record.wrongCodes)
        switch machine.poll() {
        case .demandReveal:
            throw APIFailure(
                .conflict, "reveal-first", "reveal the node's nonce first: POST to this registration's 'reveal'")
        case .report:
            try transaction.save(record)
        case .admit:
            guard let id = record.nodeID, var node = try transaction.node(id) else {
                throw StoreError("an approved registration has no node")
            }
            record.certificate = try core.authority.issue(certificateRequest: record.certificateRequest, node: id)
            record.phase = machine.phase
            node.wasAdmitted = true
            node.wasOnline = false
            node.status = nil
            node.lastSeenSeconds = now
            // What was asked of the system that it replaces is over.
            try transaction.removeCommands(node: id, kind: nil)
            node.generation += 1
            try announcements.move(&node, to: .admitted, "it has its certificate", in: transaction, at: now)
            announcements.add(.desired(id))
            try transaction.save(node)
            try transaction.save(record)
            try Assigner(transaction: transaction, now: now).refresh(&announcements, only: id, isRefusing: false)
        }
    }

    /// What the node is told.
    func status(_ record: RegistrationRecord) throws -> RegistrationStatus {
        guard let id = record.nodeID, let node = try transaction.node(id) else {
            throw APIFailure(.notFound, "registration-unknown", "this registration's node is gone; register again")
        }
        // Nothing that identifies the site or the node leaves before admission.
        let isAdmitted = record.phase == .admitted
        return RegistrationStatus(
            state: node.state, reason: node.reason, nodeID: isAdmitted ? id : nil,
            certificate: isAdmitted ? record.certificate : nil)
    }

    /// The code that the node's screen shows.
    func code(of record: RegistrationRecord) throws -> String? {
        guard let nodeNonce = record.nodeNonce else { return nil }
        let input = RegistrationTranscript.codeInput(
            nodeKey: record.nodeKey, serverKey: try core.authority.keyDigest, nodeNonce: nodeNonce,
            serverNonce: record.serverNonce)
        return RegistrationTranscript.code(from: try Secrets.digest(SHA256.digest(input)))
    }

    // MARK: - Parts

    /// The node that a registration belongs to, with what it now claims; not yet saved.
    private func node(at place: Judgement.Place, for record: RegistrationRecord) throws -> NodeRecord {
        let identity = SMBIOSIdentity.text(record.inventory.smbios)
        let found: NodeRecord?
        switch place {
        case .new:
            guard try transaction.countOfUnadmittedNodes() < ServerLimit.unadmittedNodes else {
                throw APIFailure(
                    .serviceUnavailable, "too-many-pending", "too many nodes wait for approval; try again later",
                    headers: [.retryAfter: "60"])
            }
            return NodeRecord(
                id: try Secrets.nodeID(nowSeconds: now), state: .new, reason: "it registered",
                keyDigest: record.nodeKey,
                identity: identity, labels: [:], inventory: record.inventory, registeredSeconds: now)
        case .same(let id): found = try transaction.node(id)
        case .instead(let id): found = try transaction.node(id)
        }
        guard var node = found else { throw StoreError("a node vanished within a transaction") }
        node.keyDigest = record.nodeKey
        node.identity = identity
        node.inventory = record.inventory
        node.lastSeenSeconds = now
        return node
    }

    /// Ties a registration and a node to each other, and removes what either was tied to before.
    private func adopt(_ record: inout RegistrationRecord, by node: inout NodeRecord) throws {
        if let former = record.nodeID, former != node.id, let placeholder = try transaction.node(former),
            !placeholder.wasAdmitted
        {
            try transaction.removeNode(former)
        }
        if let former = node.registrationID, former != record.id { try transaction.removeRegistration(former) }
        // A record that only waited under the same key is this registration's forerunner.
        if let other = try transaction.node(keyDigest: record.nodeKey), other.id != node.id, !other.wasAdmitted {
            if let registration = other.registrationID, registration != record.id {
                try transaction.removeRegistration(registration)
            }
            try transaction.removeNode(other.id)
        }
        record.nodeID = node.id
        node.registrationID = record.id
    }

    private func redeem(_ id: String, consuming: Bool, for node: inout NodeRecord) throws {
        guard var token = try transaction.token(id) else { throw StoreError("a token vanished within a transaction") }
        node.tokenID = id
        node.labels.merge(token.labels) { _, new in new }
        guard consuming else { return }
        token.usesLeft -= 1
        try transaction.save(token)
    }
}
