import Access
import Contract
import Cryptography
import HTTPTypes
import Hummingbird
import NIOCore
import NIOSSL
import Store

/// Finds out who calls: the data directory's token first, then an API token, then the connection's client certificate.
///
/// It refuses nothing itself; a route's context does, so that an open route is open to all.
struct CallerMiddleware: RouterMiddleware {
    let token: AdminToken
    let authority: Certificate
    let store: any ServerStore
    let now: @Sendable () -> Int64

    func handle(
        _ request: Request, context: CallContext, next: (Request, CallContext) async throws -> Response
    ) async throws -> Response {
        var context = context
        context.caller = try await caller(request, context)
        return try await next(request, context)
    }

    private func caller(_ request: Request, _ context: CallContext) async throws -> Caller {
        let bearer = request.bearer
        if let bearer, token.matches(bearer) { return .person(.site) }
        if let bearer, bearer.hasPrefix(APITokenSecret.prefix), bearer.utf8.count < 128 {
            return try await person(bearer)
        }
        // On a plain connection there is no TLS handler to ask.
        let certificate = try? await context.channel.nioSSL_peerCertificate().get()
        if let certificate { return try await node(try certificate.toDERBytes()) }
        guard bearer != nil else { return .anyone }
        return .refused(
            APIFailure(
                .unauthorized, "token-wrong",
                "this is no token of the server's: sign in with 'apus login', or use the one in 'admin.token' in its data "
                    + "directory", headers: [.wwwAuthenticate: "Bearer"]))
    }

    /// The user of an API token, as far as token and user are valid now.
    private func person(_ bearer: String) async throws -> Caller {
        let (hash, now) = (try Secrets.hash(bearer), now())
        let found = try await store.read { transaction -> (token: APITokenRecord, user: UserRecord, roles: RoleBook)? in
            guard let token = try transaction.apiToken(secretHash: hash), let user = try transaction.user(token.user)
            else {
                return nil
            }
            return (token, user, try RoleBook(transaction))
        }
        guard let (token, user, roles) = found, !token.isRevoked else {
            return unauthorized(
                "token-wrong", "this API token is not valid any more, or never was; sign in with 'apus login'")
        }
        guard token.expiresSeconds > now else {
            return unauthorized("token-expired", "this API token has ended; sign in again with 'apus login'")
        }
        guard !user.isDisabled else {
            return unauthorized("user-disabled", "user '\(user.name)' is disabled; ask who has 'access.write'")
        }
        if now - (token.usedSeconds ?? 0) >= 3600 {
            try await store.write { transaction in
                guard var token = try transaction.apiToken(token.id) else { return }
                token.usedSeconds = now
                try transaction.save(token)
            }
        }
        var permissions = Rights(user.grants, roles: roles)
        if let grants = token.grants { permissions = permissions.restricted(to: Rights(grants, roles: roles)) }
        return .person(
            Principal(
                name: user.name, token: token.id, expiresSeconds: token.expiresSeconds, grants: user.grants,
                tokenGrants: token.grants, permissions: permissions))
    }

    private func unauthorized(_ code: String, _ message: String) -> Caller {
        .refused(APIFailure(.unauthorized, code, message, headers: [.wwwAuthenticate: "Bearer"]))
    }

    /// The node of a certificate. TLS has verified its chain; that it is still the node's is for us to say.
    private func node(_ der: [UInt8]) async throws -> Caller {
        guard let certificate = try? Certificate(der: der), certificate.isSigned(by: authority),
            certificate.isForClients, certificate.isValid(atSeconds: now()),
            let id = certificate.subjectCommonName.flatMap(NodeID.init)
        else {
            return refused("certificate-unknown", "this client certificate is not one that this server gave to a node")
        }
        guard let node = try await store.read({ try $0.node(id) }) else {
            return refused("node-unknown", "this server does not know node \(id); register again")
        }
        guard node.state != .retired else {
            return refused("node-retired", "node \(id) is retired; it will not be admitted again")
        }
        // A certificate is as good as its key: when a node gets another key, those for the old one end.
        guard node.wasAdmitted, constantTimeEqual(certificate.spkiDigest, node.keyDigest.bytes) else {
            return refused("certificate-replaced", "node \(id) has another key now; register again")
        }
        return .node(id)
    }

    private func refused(_ code: String, _ message: String) -> Caller {
        .refused(APIFailure(.forbidden, code, message))
    }
}
