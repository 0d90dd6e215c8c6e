import Contract
import HTTPTypes
import Hummingbird

/// `/v1/nodes`, `/v1/tokens` and `/v1/events`: for operators.
struct OperatorRoutes: Sendable {
    let service: OperatorService
    let tokens: TokenService
    let gate: Gate

    private static let bodyLimit = 64 << 10

    func add(to book: inout RouteBook) {
        book.on(.get, "/v1/nodes", needs: .nodeRead, .anywhere, use: nodes)
        book.on(.get, "/v1/nodes/:id", needs: .nodeRead, .node, use: node)
        book.on(.get, "/v1/nodes/:id/logs", needs: .nodeRead, .node, use: logs)
        book.on(.get, "/v1/nodes/:id/steps", needs: .nodeRead, .node, use: steps)
        book.on(.post, "/v1/nodes/:id/approve", needs: .nodeApprove, .node, use: approve)
        book.on(.post, "/v1/nodes/:id/labels", needs: .nodeLabel, .node, use: label)
        book.on(.post, "/v1/nodes/:id/retire", needs: .nodeRetire, .node, use: retire)
        book.on(.post, "/v1/nodes/:id/upgrade", needs: .nodeUpgrade, .node, use: upgrade)
        book.on(.post, "/v1/nodes/:id/maintenance", needs: .nodeOperate, .node, use: maintenance)
        book.on(.post, "/v1/nodes/:id/commands", needs: .nodeOperate, .node, use: command)
        book.on(.post, "/v1/nodes/:id/reprovision", needs: .nodeReprovision, .node, use: reprovision)
        book.on(.get, "/v1/events", needs: .eventRead, .anywhere, use: events)
        book.on(.get, "/v1/tokens", needs: .joinTokenRead, .anywhere, use: listTokens)
        book.on(.post, "/v1/tokens", needs: .joinTokenWrite, .anywhere, use: createToken)
        book.on(.post, "/v1/tokens/:id/revoke", needs: .joinTokenWrite, .anywhere, use: revokeToken)
    }

    @Sendable private func nodes(_ request: Request, _ context: OperatorContext) async throws -> Response {
        try Exchange.reply(try await service.nodes(after: try request.node("after"), for: context.principal))
    }

    @Sendable private func node(_ request: Request, _ context: OperatorContext) async throws -> Response {
        try Exchange.reply(try await service.node(try id(context)))
    }

    @Sendable private func logs(_ request: Request, _ context: OperatorContext) async throws -> Response {
        let after = try request.number("after", within: 0...Int64.max, fallback: 0)
        let source = request.uri.queryParameters["source"].map(String.init)
        return try Exchange.reply(
            try await service.logs(
                try id(context), after: after, source: source, waitSeconds: try request.waitSeconds()))
    }

    @Sendable private func steps(_ request: Request, _ context: OperatorContext) async throws -> Response {
        try Exchange.reply(try await service.steps(try id(context)))
    }

    @Sendable private func approve(_ request: Request, _ context: OperatorContext) async throws -> Response {
        let message = try await body(ApprovalRequest.self, request)
        return try Exchange.reply(try await service.approve(try id(context), code: message.code))
    }

    @Sendable private func label(_ request: Request, _ context: OperatorContext) async throws -> Response {
        let message = try await body(LabelRequest.self, request)
        return try Exchange.reply(try await service.label(try id(context), message, by: context.principal))
    }

    @Sendable private func retire(_ request: Request, _ context: OperatorContext) async throws -> Response {
        try Exchange.reply(try await service.retire(try id(context)))
    }

    @Sendable private func upgrade(_ request: Request, _ context: OperatorContext) async throws -> Response {
        let message = try await body(UpgradeRequest.self, request)
        return try Exchange.reply(try await service.upgrade(try id(context), message))
    }

    @Sendable private func maintenance(_ request: Request, _ context: OperatorContext) async throws -> Response {
        let message = try await body(MaintenanceRequest.self, request)
        return try Exchange.reply(try await service.maintain(try id(context), message))
    }

    @Sendable private func command(_ request: Request, _ context: OperatorContext) async throws -> Response {
        let message = try await body(CommandRequest.self, request)
        if message.kind == .reprovision {
            try await gate.demand(.verb(.nodeReprovision, .node), context)
        }
        return try Exchange.reply(try await service.command(try id(context), message), status: .created)
    }

    /// Takes the same message as `commands`, or no body at all.
    @Sendable private func reprovision(_ request: Request, _ context: OperatorContext) async throws -> Response {
        let isEmpty = request.headers[.contentLength].map { $0 == "0" } ?? (request.headers[.transferEncoding] == nil)
        let message = isEmpty ? nil : try await body(CommandRequest.self, request)
        guard message.map({ $0.kind == .reprovision }) ?? true else {
            throw APIFailure.malformed("field 'kind' is 'reprovision' here; other commands go to 'commands'")
        }
        let command = CommandRequest(kind: .reprovision, wipeState: message?.wipeState)
        return try Exchange.reply(try await service.command(try id(context), command), status: .created)
    }

    @Sendable private func events(_ request: Request, _ context: OperatorContext) async throws -> Response {
        let after = try request.number("after", within: 0...Int64.max, fallback: 0)
        return try Exchange.reply(
            try await service.events(
                after: after, node: try request.node("node"), waitSeconds: try request.waitSeconds(),
                for: context.principal))
    }

    @Sendable private func listTokens(_ request: Request, _ context: OperatorContext) async throws -> Response {
        try Exchange.reply(try await tokens.list(for: context.principal))
    }

    @Sendable private func createToken(_ request: Request, _ context: OperatorContext) async throws -> Response {
        let message = try await body(TokenRequest.self, request)
        return try Exchange.reply(try await tokens.create(message, by: context.principal), status: .created)
    }

    @Sendable private func revokeToken(_ request: Request, _ context: OperatorContext) async throws -> Response {
        try Exchange.reply(try await tokens.revoke(try context.parameters.require("id"), by: context.principal))
    }

    private func body<Value: Decodable>(_ type: Value.Type, _ request: Request) async throws -> Value {
        try await Exchange.decode(type, from: request, limit: Self.bodyLimit)
    }

    private func id(_ context: OperatorContext) throws -> NodeID { try context.nodeID() }
}
