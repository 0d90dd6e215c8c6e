import Access
import Contract
import HTTPTypes
import Store

/// Join tokens: their secrets are shown once and kept only as digests.
struct TokenService: Sendable {
    let core: Core

    /// Makes a token.
    func create(_ request: TokenRequest, by principal: Principal) async throws -> TokenView {
        // Nodes get the token's labels: who may make tokens for some nodes makes them for nodes of those labels.
        guard principal.permissions.allows(.joinTokenWrite, on: request.labels) else {
            throw principal.refusal(.joinTokenWrite, "for nodes with these labels")
        }
        guard (1...1_000_000).contains(request.uses) else {
            throw APIFailure(.badRequest, "token-uses", "a token admits 1 to 1000000 nodes")
        }
        guard (1...ServerLimit.tokenLifetimeSeconds).contains(request.lifetimeSeconds) else {
            throw APIFailure(
                .badRequest, "token-lifetime", "a token holds 1 second to 10 years (3650 days)")
        }
        if let problem = LabelRule.problem(request.labels) { throw APIFailure(.badRequest, "label", problem) }
        let secret = "apus-join-" + (try Secrets.word(characters: 32))
        let now = core.now()
        let token = TokenRecord(
            id: try Secrets.word(characters: 10), secretHash: try Secrets.hash(secret),
            note: CleanText.line(request.note, limit: 256), usesLeft: request.uses,
            expiresSeconds: now + request.lifetimeSeconds, labels: request.labels, createdSeconds: now)
        try await core.change { transaction, announcements in
            guard try transaction.tokens().count < ServerLimit.tokens else {
                throw APIFailure(
                    .conflict, "too-many-tokens",
                    "there are \(ServerLimit.tokens) tokens already; give an existing one more uses instead")
            }
            try transaction.save(token)
            try announcements.event(
                transaction, at: now, node: nil, kind: "token",
                "join token \(token.id) was made for \(token.usesLeft) nodes")
        }
        var view = Self.view(token)
        view.secret = secret
        return view
    }

    /// The tokens that somebody may see, without their secrets.
    func list(for principal: Principal) async throws -> TokenList {
        let tokens = try await core.store.read { try $0.tokens() }
        return TokenList(
            tokens: tokens.filter { principal.permissions.allows(.joinTokenRead, on: $0.labels) }.map(Self.view))
    }

    /// Ends a token.
    func revoke(_ id: String, by principal: Principal) async throws -> TokenView {
        let core = core
        return try await core.change { transaction, announcements in
            guard var token = try transaction.token(id) else {
                throw APIFailure(
                    .notFound, "token-unknown",
                    "there is no token '\(CleanText.line(id, limit: 64))'; 'apus token list' shows them")
            }
            guard principal.permissions.allows(.joinTokenWrite, on: token.labels) else {
                throw principal.refusal(.joinTokenWrite, "for nodes with this token's labels")
            }
            if !token.isRevoked {
                token.isRevoked = true
                try transaction.save(token)
                try announcements.event(
                    transaction, at: core.now(), node: nil, kind: "token", "join token \(id) was revoked")
            }
            return Self.view(token)
        }
    }

    private static func view(_ token: TokenRecord) -> TokenView {
        TokenView(
            id: token.id, note: token.note, usesLeft: token.usesLeft, expiresSeconds: token.expiresSeconds,
            isRevoked: token.isRevoked, labels: token.labels)
    }
}
