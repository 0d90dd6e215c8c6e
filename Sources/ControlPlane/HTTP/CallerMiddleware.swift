import Contract
import Cryptography
import HTTPTypes
import Hummingbird
import NIOCore
import NIOSSL
import Store

/// Finds out who calls: the admin token first, then the client certificate of the connection.
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
        if let bearer, token.matches(bearer) { return .administrator }
        // On a plain connection there is no TLS handler to ask.
        let certificate = try? await context.channel.nioSSL_peerCertificate().get()
        if let certificate { return try await node(try certificate.toDERBytes()) }
        guard bearer != nil else { return .anyone }
        return .refused(
            APIFailure(
                .unauthorized, "token-wrong",
                "this is not the server's admin token; it is in 'admin.token' in the server's data directory",
                headers: [.wwwAuthenticate: "Bearer"]))
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
