import Contract
import HTTPTypes
import Hummingbird
import Workloads

/// `/v1/node`: for a node, about itself.
struct NodeRoutes: Sendable {
    let service: NodeService
    let workloads: NodeWorkloads
    /// Bounds how fast each node may report.
    let limiter: RateLimiter

    func add(to book: inout RouteBook) {
        book.node(.get, "/v1/node/plan", use: plan)
        book.node(.get, "/v1/node/desired", use: desired)
        book.node(.post, "/v1/node/status", use: status)
        book.node(.post, "/v1/node/steps", use: steps)
        book.node(.post, "/v1/node/log", use: log)
        book.node(.post, "/v1/node/events", use: event)
        book.node(.get, "/v1/node/workloads", use: assignment)
        book.node(.post, "/v1/node/workloads", use: reports)
    }

    @Sendable private func plan(_ request: Request, _ context: NodeContext) async throws -> Response {
        Exchange.reply(json: try await service.plan(for: context.node))
    }

    @Sendable private func desired(_ request: Request, _ context: NodeContext) async throws -> Response {
        let after = try request.number("after", within: 0...Int64(Int32.max), fallback: 0)
        return try Exchange.reply(
            try await service.desired(
                for: context.node, after: Int(after), waitSeconds: try request.waitSeconds()))
    }

    @Sendable private func status(_ request: Request, _ context: NodeContext) async throws -> Response {
        try slow(context)
        let status = try await Exchange.decode(NodeStatus.self, from: request, limit: 256 << 10)
        return try Exchange.reply(try await service.receive(status, from: context.node))
    }

    @Sendable private func steps(_ request: Request, _ context: NodeContext) async throws -> Response {
        try slow(context)
        let reports = try await Exchange.decode(StepReports.self, from: request, limit: 512 << 10)
        try await service.receive(reports, from: context.node)
        return try Exchange.reply(Acknowledgement(message: "noted"))
    }

    @Sendable private func log(_ request: Request, _ context: NodeContext) async throws -> Response {
        try slow(context)
        // JSON may spend six bytes on one of the text's.
        let chunk = try await Exchange.decode(LogChunk.self, from: request, limit: WireLimit.message)
        guard chunk.text.utf8.count <= WireLimit.logChunk else { throw APIFailure.tooLarge(limit: WireLimit.logChunk) }
        try await service.receive(chunk, from: context.node)
        return try Exchange.reply(Acknowledgement(message: "noted"))
    }

    @Sendable private func event(_ request: Request, _ context: NodeContext) async throws -> Response {
        try slow(context)
        let event = try await Exchange.decode(NodeEvent.self, from: request, limit: 16 << 10)
        try await service.receive(event, from: context.node)
        return try Exchange.reply(Acknowledgement(message: "noted"))
    }

    /// The one reply with secrets; nothing on the way may keep it, which `no-store` says.
    @Sendable private func assignment(_ request: Request, _ context: NodeContext) async throws -> Response {
        try slow(context)
        return Exchange.reply(json: try await workloads.assignment(for: context.node))
    }

    @Sendable private func reports(_ request: Request, _ context: NodeContext) async throws -> Response {
        try slow(context)
        let reports = try await Exchange.decode(
            WorkloadReports.self, from: request, limit: WorkloadWireLimit.reports)
        try await workloads.receive(reports, from: context.node)
        return try Exchange.reply(Acknowledgement(message: "noted"))
    }

    private func slow(_ context: NodeContext) throws {
        guard let seconds = limiter.take(1, from: context.node.rawValue) else { return }
        throw APIFailure(
            .tooManyRequests, "too-many-requests", "this node reports too often; wait \(seconds) seconds",
            headers: [.retryAfter: "\(seconds)"])
    }
}
