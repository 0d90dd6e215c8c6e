import Contract
import HTTPTypes
import Hummingbird

/// `/v1/nodes`, `/v1/tokens` and `/v1/events`: for operators.
struct OperatorRoutes: Sendable {
    let service: OperatorService
    let tokens: TokenService

    private static let bodyLimit = 64 << 10

    func add(to book: inout RouteBook) {
        book.on(.get, "/v1/nodes", for: OperatorContext.self, use: nodes)
        book.on(.get, "/v1/nodes/:id", for: OperatorContext.self, use: node)
        book.on(.get, "/v1/nodes/:id/logs", for: OperatorContext.self, use: logs)
        book.on(.get, "/v1/nodes/:id/steps", for: OperatorContext.self, use: steps)
        book.on(.post, "/v1/nodes/:id/approve", for: OperatorContext.self, use: approve)
        book.on(.post, "/v1/nodes/:id/labels", for: OperatorContext.self, use: label)
        book.on(.post, "/v1/nodes/:id/retire", for: OperatorContext.self, use: retire)
        book.on(.post, "/v1/nodes/:id/upgrade", for: OperatorContext.self, use: upgrade)
        book.on(.post, "/v1/nodes/:id/maintenance", for: OperatorContext.self, use: maintenance)
        book.on(.post, "/v1/nodes/:id/commands", for: OperatorContext.self, use: command)
        book.on(.post, "/v1/nodes/:id/reprovision", for: OperatorContext.self, use: reprovision)
        book.on(.get, "/v1/events", for: OperatorContext.self, use: events)
        book.on(.get, "/v1/tokens", for: OperatorContext.self, use: listTokens)
        book.on(.post, "/v1/tokens", for: OperatorContext.self, use: createToken)
        book.on(.post, "/v1/tokens/:id/revoke", for: OperatorContext.self, use: revokeToken)
    }

    @Sendable private func nodes(_ request: Request, _ context: OperatorContext) async throws -> Response {
        try Exchange.reply(try await service.nodes(after: try request.node("after")))
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
        return try Exchange.reply(try await service.label(try id(context), message))
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
                after: after, node: try request.node("node"), waitSeconds: try request.waitSeconds()))
    }

    @Sendable private func listTokens(_ request: Request, _ context: OperatorContext) async throws -> Response {
        try Exchange.reply(try await tokens.list())
    }

    @Sendable private func createToken(_ request: Request, _ context: OperatorContext) async throws -> Response {
        let message = try await body(TokenRequest.self, request)
        return try Exchange.reply(try await tokens.create(message), status: .created)
    }

    @Sendable private func revokeToken(_ request: Request, _ context: OperatorContext) async throws -> Response {
        try Exchange.reply(try await tokens.revoke(try context.parameters.require("id")))
    }

    private func body<Value: Decodable>(_ type: Value.Type, _ request: Request) async throws -> Value {
        try await Exchange.decode(type, from: request, limit: Self.bodyLimit)
    }

    private func id(_ context: OperatorContext) throws -> NodeID {
        guard let id = NodeID(try context.parameters.require("id")) else {
            throw APIFailure(
                .notFound, "node-unknown",
                "this is not a node id of 26 characters; 'apus node list' shows those there are")
        }
        return id
    }
}
