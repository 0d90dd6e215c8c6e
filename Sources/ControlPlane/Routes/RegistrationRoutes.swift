import Contract
import HTTPTypes
import Hummingbird

/// `/v1/registrations`: for machines that have nothing yet.
struct RegistrationRoutes: Sendable {
    let service: RegistrationService
    let limiter: RateLimiter

    /// An inventory of a large server is some tens of kilobytes.
    private static let bodyLimit = 512 << 10

    func add(to book: inout RouteBook) {
        book.open(.post, "/v1/registrations", use: begin)
        book.open(.get, "/v1/registrations/:id", use: status)
        book.open(.post, "/v1/registrations/:id/reveal", use: reveal)
    }

    @Sendable private func begin(_ request: Request, _ context: OpenContext) async throws -> Response {
        try slow(context, cost: 1)
        let message = try await Exchange.decode(RegistrationRequest.self, from: request, limit: Self.bodyLimit)
        do {
            let reply = try await service.begin(message, from: context.remoteAddress)
            return try Exchange.reply(reply, status: .created)
        } catch let refusal as Refusal {
            // Guessing tokens costs more than registering.
            _ = limiter.take(4, from: context.remoteAddress)
            throw refusal
        }
    }

    @Sendable private func reveal(_ request: Request, _ context: OpenContext) async throws -> Response {
        let message = try await Exchange.decode(RegistrationReveal.self, from: request, limit: 4096)
        let id = try context.parameters.require("id")
        return try Exchange.reply(try await service.reveal(id, secret: request.bearer, message))
    }

    @Sendable private func status(_ request: Request, _ context: OpenContext) async throws -> Response {
        let id = try context.parameters.require("id")
        let status = try await service.status(id, secret: request.bearer, waitSeconds: try request.waitSeconds())
        return try Exchange.reply(status)
    }

    private func slow(_ context: OpenContext, cost: Double) throws {
        guard let seconds = limiter.take(cost, from: context.remoteAddress) else { return }
        throw APIFailure(
            .tooManyRequests, "too-many-requests", "this address registers too often; wait \(seconds) seconds",
            headers: [.retryAfter: "\(seconds)"])
    }
}
