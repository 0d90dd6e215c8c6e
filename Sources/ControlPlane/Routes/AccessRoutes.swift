import Contract
import Foundation
import HTTPTypes
import Hummingbird

/// Signing in, users, roles and API tokens.
struct AccessRoutes: Sendable {
    let access: AccessService
    let logins: LoginService
    /// Bounds how fast an address may try passwords.
    let limiter: RateLimiter

    private static let bodyLimit = 64 << 10

    func add(to book: inout RouteBook) {
        book.open(.post, "/v1/login", use: login)
        book.on(.post, "/v1/logout", needs: .identity, use: logout)
        book.on(.get, "/v1/whoami", needs: .identity, use: whoAmI)
        book.on(.post, "/v1/password", needs: .identity, use: changePassword)
        book.on(.get, "/v1/users", needs: .accessRead, .site, use: users)
        book.on(.get, "/v1/users/:name", needs: .accessRead, .site, use: user)
        book.on(.put, "/v1/users/:name", needs: .accessWrite, .site, use: setUser)
        book.on(.delete, "/v1/users/:name", needs: .accessWrite, .site, use: removeUser)
        // What roles allow is no secret to those who have some.
        book.on(.get, "/v1/roles", needs: .identity, use: roles)
        book.on(.put, "/v1/roles/:name", needs: .accessWrite, .site, use: setRole)
        book.on(.delete, "/v1/roles/:name", needs: .accessWrite, .site, use: removeRole)
        book.on(.get, "/v1/api-tokens", needs: .identity, use: tokens)
        book.on(.post, "/v1/api-tokens", needs: .identity, use: createToken)
        book.on(.post, "/v1/api-tokens/:id/revoke", needs: .identity, use: revokeToken)
    }

    @Sendable private func login(_ request: Request, _ context: OpenContext) async throws -> Response {
        if let seconds = limiter.take(1, from: context.remoteAddress) {
            throw APIFailure(
                .tooManyRequests, "too-many-requests", "this address signs in too often; wait \(seconds) seconds",
                headers: [.retryAfter: "\(seconds)"])
        }
        let message = try await Exchange.decode(LoginRequest.self, from: request, limit: 4096)
        return try Exchange.reply(try await logins.login(message), status: .created)
    }

    @Sendable private func logout(_ request: Request, _ context: OperatorContext) async throws -> Response {
        try Exchange.reply(try await logins.logout(context.principal))
    }

    @Sendable private func whoAmI(_ request: Request, _ context: OperatorContext) async throws -> Response {
        let principal = context.principal
        return try Exchange.reply(
            WhoAmI(
                name: principal.name, token: principal.token, expiresSeconds: principal.expiresSeconds,
                grants: principal.grants, tokenGrants: principal.tokenGrants))
    }

    @Sendable private func changePassword(_ request: Request, _ context: OperatorContext) async throws -> Response {
        let message = try await Exchange.decode(PasswordRequest.self, from: request, limit: 8192)
        return try Exchange.reply(try await logins.change(message, of: context.principal))
    }

    @Sendable private func users(_ request: Request, _ context: OperatorContext) async throws -> Response {
        try Exchange.reply(try await access.users())
    }

    @Sendable private func user(_ request: Request, _ context: OperatorContext) async throws -> Response {
        try Exchange.reply(try await access.user(try name(context)))
    }

    @Sendable private func setUser(_ request: Request, _ context: OperatorContext) async throws -> Response {
        let message = try await Exchange.decode(UserRequest.self, from: request, limit: Self.bodyLimit)
        return try Exchange.reply(try await access.set(try name(context), message, by: context.principal))
    }

    @Sendable private func removeUser(_ request: Request, _ context: OperatorContext) async throws -> Response {
        try Exchange.reply(try await access.remove(try name(context), by: context.principal))
    }

    @Sendable private func roles(_ request: Request, _ context: OperatorContext) async throws -> Response {
        try Exchange.reply(try await access.roles())
    }

    @Sendable private func setRole(_ request: Request, _ context: OperatorContext) async throws -> Response {
        let message = try await Exchange.decode(RoleRequest.self, from: request, limit: Self.bodyLimit)
        return try Exchange.reply(try await access.setRole(try name(context), message, by: context.principal))
    }

    @Sendable private func removeRole(_ request: Request, _ context: OperatorContext) async throws -> Response {
        try Exchange.reply(try await access.removeRole(try name(context)))
    }

    @Sendable private func tokens(_ request: Request, _ context: OperatorContext) async throws -> Response {
        try Exchange.reply(try await access.tokens(for: context.principal))
    }

    @Sendable private func createToken(_ request: Request, _ context: OperatorContext) async throws -> Response {
        let message = try await Exchange.decode(APITokenRequest.self, from: request, limit: Self.bodyLimit)
        return try Exchange.reply(
            try await access.createToken(message, by: context.principal), status: .created)
    }

    @Sendable private func revokeToken(_ request: Request, _ context: OperatorContext) async throws -> Response {
        try Exchange.reply(
            try await access.revokeToken(try context.parameters.require("id"), by: context.principal))
    }

    private func name(_ context: OperatorContext) throws -> String {
        let text = try context.parameters.require("name")
        return text.removingPercentEncoding ?? text
    }
}

/// `/v1/audit`: for whoever may read the log, which nobody may change.
struct AuditRoutes: Sendable {
    let audit: AuditService

    func add(to book: inout RouteBook) {
        book.on(.get, "/v1/audit", needs: .auditRead, .site) { request, _ in
            let after = try request.number("after", within: 0...Int64.max, fallback: 0)
            return try Exchange.reply(try await audit.page(after: after))
        }
        book.on(.get, "/v1/audit/witnesses", needs: .auditRead, .site) { _, _ in
            try Exchange.reply(try await audit.witnesses())
        }
    }
}
