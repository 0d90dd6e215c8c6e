import Contract
import Cryptography
import HTTPTypes
import Store

/// Takes machines in: the effects of `RegistrationMachine` and `judge`.
struct RegistrationService: Sendable {
    let core: Core
    /// The serial numbers that an operator listed, read anew each time.
    let listedSerials: @Sendable () -> Set<String>

    /// Begins a registration: the node commits, the server answers with its nonce.
    func begin(_ request: RegistrationRequest, from address: String) async throws -> RegistrationReply {
        let nodeKey = try publicKeyDigest(of: request)
        let now = core.now()
        let secret = try randomBytes(32).lowercaseHex
        let serverNonce = try randomBytes(32)
        let id = try Secrets.word(characters: 26)
        let secretHash = try Secrets.hash(secret)
        let tokenHash = try request.token.map { try Secrets.hash($0) }
        let refusal: Refusal? = try await core.change { transaction, announcements in
            try Self.makeRoom(transaction, now: now)
            let token = try Self.token(hash: tokenHash, transaction, now: now)
            // A node that was admitted before needs no token, and may carry one that has run out.
            if case .refused(let refusal) = token, try transaction.node(keyDigest: nodeKey)?.wasAdmitted != true {
                try announcements.event(
                    transaction, at: now, node: nil, kind: "token",
                    "a machine at \(address) was refused: \(refusal.message)")
                return refusal
            }
            let record = RegistrationRecord(
                id: id, secretHash: secretHash, nodeKey: nodeKey, certificateRequest: request.certificateRequest,
                commitment: request.commitment, serverNonce: serverNonce,
                tokenID: try tokenHash.flatMap { try transaction.token(secretHash: $0)?.id },
                inventory: CleanText.inventory(request.inventory), remoteAddress: address, createdSeconds: now)
            try transaction.save(record)
            return nil
        }
        if let refusal { throw refusal }
        return RegistrationReply(
            registrationID: id, secret: secret, serverNonce: serverNonce.lowercaseHex, clockSeconds: now)
    }

    /// Opens the node's commitment, judges the registration, and admits where nobody needs to act.
    func reveal(_ id: String, secret: String?, _ reveal: RegistrationReveal) async throws -> RegistrationStatus {
        guard let nonce = [UInt8](lowercaseHex: reveal.nodeNonce), nonce.count == 32 else {
            throw APIFailure.malformed("field 'nodeNonce' is 32 bytes in lower-case hexadecimal digits")
        }
        let core = core
        let serials = listedSerials()
        let outcome: Result<RegistrationStatus, Refusal> = try await core.change { transaction, announcements in
            let now = core.now()
            var record = try Self.open(id, secret: secret, transaction)
            record.lastPollSeconds = now
            let commitment = SHA256.digest(
                RegistrationTranscript.commitmentInput(nodeKey: record.nodeKey, nodeNonce: nonce))
            let fits =
                constantTimeEqual(commitment, record.commitment.bytes)
                && (record.nodeNonce.map { constantTimeEqual($0, nonce) } ?? true)
            let evidence = try Self.evidence(for: record, serials: serials, transaction, now: now)
            var machine = RegistrationMachine(phase: record.phase, wrongCodes: record.wrongCodes)
            let action = machine.reveal(fitsCommitment: fits) { judge(evidence) }
            record.phase = machine.phase
            if fits { record.nodeNonce = nonce }
            var keeper = RegistrationKeeper(core: core, transaction: transaction, now: now)
            defer { announcements = keeper.announcements }
            keeper.announcements = announcements
            switch action {
            case .refuse(let refusal):
                try keeper.close(&record, refusal)
                return .failure(refusal)
            case .carryOut(.refuse(let refusal)):
                try keeper.close(&record, refusal)
                return .failure(refusal)
            case .carryOut(.wait(let place, let reason)):
                try keeper.wait(&record, place, reason)
            case .carryOut(.approve(let place, let ground)):
                try keeper.approve(&record, place, ground)
                try keeper.poll(&record)
            case .report:
                try transaction.save(record)
            }
            return .success(try keeper.status(record))
        }
        return try outcome.get()
    }

    /// Tells where a registration stands, once it is no longer waiting or the time is over.
    func status(_ id: String, secret: String?, waitSeconds: Int64) async throws -> RegistrationStatus {
        let core = core
        @Sendable func look(final: Bool) async throws -> RegistrationStatus? {
            try await core.change { transaction, announcements in
                var record = try Self.open(id, secret: secret, transaction)
                record.lastPollSeconds = core.now()
                var keeper = RegistrationKeeper(core: core, transaction: transaction, now: core.now())
                try keeper.poll(&record)
                announcements = keeper.announcements
                guard final || record.phase != .waiting else { return nil }
                return try keeper.status(record)
            }
        }
        if let status = try await core.poll(
            .registration(id), waitSeconds: waitSeconds, look: { try await look(final: false) })
        {
            return status
        }
        guard let status = try await look(final: true) else {
            throw APIFailure.notFound("there is no such registration")
        }
        return status
    }

    /// Ends registrations whose nodes have not asked for long, with the records of nodes that were never admitted.
    func expireIdle() async throws {
        let now = core.now()
        try await core.change { transaction, _ in try Self.expire(transaction, now: now) }
    }

    // MARK: - Parts

    private func publicKeyDigest(of request: RegistrationRequest) throws -> Digest256 {
        guard request.certificateRequest.utf8.count <= 16 << 10, (request.token?.utf8.count ?? 0) <= 256,
            request.bootArtifactVersion.utf8.count <= 128
        else { throw APIFailure.malformed("a field of the registration is longer than it may be") }
        guard let parsed = try? CertificateRequest(pem: request.certificateRequest) else {
            throw APIFailure.malformed(
                "field 'certificateRequest' is not a PKCS #10 request in PEM with a valid signature by a P-256 or "
                    + "Ed25519 key")
        }
        return try Secrets.digest(parsed.publicKey.spkiDigest)
    }

    /// The registration of an id, for whoever has its secret.
    static func open(
        _ id: String, secret: String?, _ transaction: any StoreTransaction
    ) throws -> RegistrationRecord {
        guard let record = try transaction.registration(id), let secret,
            constantTimeEqual(try Secrets.hash(secret).bytes, record.secretHash.bytes)
        else {
            throw APIFailure(
                .notFound, "registration-unknown",
                "there is no such registration, it has expired, or this is not its secret; register again")
        }
        if record.phase == .refused {
            if record.wrongCodes >= RegistrationMachine.wrongCodeLimit { throw Refusal.tooManyWrongCodes }
            throw APIFailure(.forbidden, "registration-closed", "this registration was refused; register again")
        }
        return record
    }

    static func token(
        hash: Digest256?, _ transaction: any StoreTransaction, now: Int64
    ) throws -> Evidence.Token {
        guard let hash else { return .none }
        guard let token = try transaction.token(secretHash: hash) else { return .refused(.tokenUnknown) }
        return worth(token, now: now)
    }

    static func worth(_ token: TokenRecord, now: Int64) -> Evidence.Token {
        if token.isRevoked { return .refused(.tokenRevoked) }
        if token.expiresSeconds <= now { return .refused(.tokenExpired) }
        return token.usesLeft > 0 ? .valid(id: token.id) : .usedUp(id: token.id)
    }

    static func evidence(
        for record: RegistrationRecord, serials: Set<String>, _ transaction: any StoreTransaction, now: Int64
    ) throws -> Evidence {
        let identity = SMBIOSIdentity.text(record.inventory.smbios)
        let owner = try transaction.node(keyDigest: record.nodeKey)
        let twins = try identity.map { try transaction.admittedNodes(identity: $0) } ?? []
        let token = try record.tokenID.flatMap { try transaction.token($0) }
        return Evidence(
            token: token.map { worth($0, now: now) } ?? .none, owner: owner.map(known),
            twins: twins.filter { $0.keyDigest != record.nodeKey }.map(known),
            identityProblem: SMBIOSIdentity.problem(record.inventory.smbios),
            serialIsListed: serials.contains(SMBIOSIdentity.trimmed(record.inventory.smbios.serial)))
    }

    static func known(_ node: NodeRecord) -> Evidence.KnownNode {
        Evidence.KnownNode(
            id: node.id, state: node.state, wasAdmitted: node.wasAdmitted, wasOnline: node.wasOnline,
            wipeRequested: node.wipeRequested, tokenID: node.tokenID)
    }

    private static func makeRoom(_ transaction: any StoreTransaction, now: Int64) throws {
        guard try transaction.countOfOpenRegistrations() >= ServerLimit.openRegistrations else { return }
        try expire(transaction, now: now)
        guard try transaction.countOfOpenRegistrations() < ServerLimit.openRegistrations else {
            throw APIFailure(
                .serviceUnavailable, "too-many-registrations",
                "too many registrations are under way; approve or wait for some of them, then try again",
                headers: [.retryAfter: "60"])
        }
    }

    private static func expire(_ transaction: any StoreTransaction, now: Int64) throws {
        let idle = try transaction.openRegistrations(
            idleSince: now - ServerLimit.registrationIdleSeconds, orBriefly: now - ServerLimit.registrationBriefSeconds)
        for record in idle {
            try transaction.removeRegistration(record.id)
            guard let id = record.nodeID, let node = try transaction.node(id), !node.wasAdmitted,
                node.registrationID == record.id, node.state != .retired
            else { continue }
            try transaction.removeNode(id)
        }
    }
}
