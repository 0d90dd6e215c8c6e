import Contract

/// All that is known when a node has opened its commitment: a snapshot, from which `judge` decides.
struct Evidence: Equatable {
    /// The join token that came with the registration.
    var token: Token = .none
    /// The node that has this very key, whose possession the certificate request proves.
    var owner: KnownNode?
    /// Admitted nodes with another key that claim the same SMBIOS identity.
    var twins: [KnownNode] = []
    /// Why the SMBIOS identity is not usable, as the end of a sentence.
    var identityProblem: String?
    /// Whether an operator listed the serial number.
    var serialIsListed = false

    /// What a token is worth.
    enum Token: Equatable {
        /// None was given.
        case none
        /// It admits.
        case valid(id: String)
        /// It has admitted as many nodes as it may.
        case usedUp(id: String)
        /// It admits nobody.
        case refused(Refusal)
    }

    /// A node that the server knows.
    struct KnownNode: Equatable {
        var id: NodeID
        var state: NodeState
        var wasAdmitted: Bool
        var wasOnline: Bool
        var wipeRequested: Bool
        var tokenID: String?
    }
}

/// Why a registration is refused: one code and one sentence each.
enum Refusal: String, Error, Equatable, CaseIterable {
    case tokenUnknown = "token-unknown"
    case tokenExpired = "token-expired"
    case tokenRevoked = "token-revoked"
    case tokenUsedUp = "token-used-up"
    case commitmentMismatch = "commitment-mismatch"
    case nodeRetired = "node-retired"
    case tooManyWrongCodes = "too-many-wrong-codes"

    /// The sentence that says what to do.
    var message: String {
        switch self {
        case .tokenUnknown:
            "this server does not know the join token; create one with 'apus token create' and give it to the node"
        case .tokenExpired: "the join token has expired; create another with 'apus token create'"
        case .tokenRevoked: "the join token was revoked; create another with 'apus token create'"
        case .tokenUsedUp:
            "the join token has admitted as many nodes as it may; create another with 'apus token create'"
        case .commitmentMismatch:
            "the node's nonce does not fit its commitment; start the registration again, and look for a third party"
        case .nodeRetired: "this node is retired and will not be admitted again; erase its disk to give it a new key"
        case .tooManyWrongCodes:
            "too many wrong codes were given for this registration; it is closed, and the node begins a new one"
        }
    }
}

/// What becomes of a registration.
enum Judgement: Equatable {
    /// It ends here.
    case refuse(Refusal)
    /// A person must act.
    case wait(Place, reason: String)
    /// The node may have its certificate.
    case approve(Place, by: Ground)

    /// The record that the registration belongs to.
    enum Place: Equatable {
        /// A node of its own.
        case new
        /// The node with the same key.
        case same(NodeID)
        /// A node with another key, which loses its place to this one.
        case instead(of: NodeID)
    }

    /// Why it is approved.
    enum Ground: Equatable {
        /// It proved to have the key of a node that was admitted before.
        case knownKey
        /// A join token; `consuming` one of its uses.
        case token(id: String, consuming: Bool)
        /// Its serial number is on the operator's list.
        case listedSerial
    }
}

/// Decides about a registration: by its key first, then by what admits it, then by whether its identity is its own.
func judge(_ evidence: Evidence) -> Judgement {
    // A key that was admitted stays admitted, whatever token its boot medium carries: tokens run out, nodes return.
    if let owner = evidence.owner {
        if owner.state == .retired { return .refuse(.nodeRetired) }
        if owner.wasAdmitted { return .approve(.same(owner.id), by: .knownKey) }
    }
    if case .refused(let refusal) = evidence.token { return .refuse(refusal) }

    // Lost power between admission and its first start: the key was only in memory, so the machine comes back with
    // another, the same identity and the same token. It is the same attempt and takes no second use of the token.
    if let unfinished = unfinishedAttempt(evidence), let token = evidence.token.id {
        return .approve(.instead(of: unfinished.id), by: .token(id: token, consuming: false))
    }
    if case .usedUp = evidence.token { return .refuse(.tokenUsedUp) }

    // While a person is awaited the registration has a record of its own: nothing is taken from another node yet.
    let own: Judgement.Place = evidence.owner.map { .same($0.id) } ?? .new
    let expected = evidence.twins.first { $0.wipeRequested }
    guard let ground = ground(evidence) else {
        return .wait(own, reason: waitingReason(evidence, expected: expected))
    }
    if let problem = evidence.identityProblem {
        return .wait(own, reason: "\(problem): compare the code on its screen and approve it")
    }
    if expected == nil, let twin = evidence.twins.first {
        return .wait(own, reason: conflictReason(twin))
    }
    return .approve(expected.map { .instead(of: $0.id) } ?? own, by: ground)
}

/// The record that a registration gets when a person approves it: that of a node which is to be wiped and has come
/// back with another key, or its own.
func placeOnApproval(of own: NodeID, twins: [Evidence.KnownNode]) -> Judgement.Place {
    twins.first { $0.wipeRequested && $0.id != own }.map { .instead(of: $0.id) } ?? .same(own)
}

extension Evidence.Token {
    /// The token's id, where it may stand for an attempt that it has admitted before.
    fileprivate var id: String? {
        switch self {
        case .valid(let id), .usedUp(let id): id
        case .none, .refused: nil
        }
    }
}

private func unfinishedAttempt(_ evidence: Evidence) -> Evidence.KnownNode? {
    guard evidence.identityProblem == nil, let token = evidence.token.id, evidence.twins.count == 1 else { return nil }
    return evidence.twins.first { !$0.wasOnline && $0.tokenID == token }
}

private func ground(_ evidence: Evidence) -> Judgement.Ground? {
    if case .valid(let id) = evidence.token { return .token(id: id, consuming: true) }
    return evidence.serialIsListed ? .listedSerial : nil
}

private func waitingReason(_ evidence: Evidence, expected: Evidence.KnownNode?) -> String {
    if let expected {
        return "it takes the place of node \(expected.id), which is to be wiped: compare the code and approve it"
    }
    if let twin = evidence.twins.first { return conflictReason(twin) }
    return "it waits for approval: compare the code on its screen and approve it"
}

private func conflictReason(_ twin: Evidence.KnownNode) -> String {
    "it claims the identity of node \(twin.id) with another key: approve it as a node of its own, or first run "
        + "'apus node reprovision --wipe-state' or 'apus node retire' for that node"
}
