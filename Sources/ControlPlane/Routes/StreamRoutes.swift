import Contract
import HTTPTypes
import Hummingbird
import Workloads

/// Streams: one pair of ends for the node, one for the operator.
struct StreamRoutes: Sendable {
    let service: StreamService

    func add(to book: inout RouteBook) {
        book.on(.post, "/v1/nodes/:id/workloads/:name/streams", needs: .workloadLogs, .node, use: open)
        book.on(.get, "/v1/streams/:id/output", needs: .workloadLogs, .anywhere, use: readOutput)
        book.on(.put, "/v1/streams/:id/input", needs: .workloadLogs, .anywhere, use: writeInput)
        book.on(.delete, "/v1/streams/:id", needs: .workloadLogs, .anywhere, use: end)
        book.node(.put, "/v1/node/streams/:id/output", use: writeOutput)
        book.node(.get, "/v1/node/streams/:id/input", use: readInput)
    }

    @Sendable private func open(_ request: Request, _ context: OperatorContext) async throws -> Response {
        let order = try await Exchange.decode(StreamOrder.self, from: request, limit: 128 << 10)
        let stream = try await service.open(
            order, to: try context.workload(), on: try context.nodeID(), by: context.principal)
        return try Exchange.reply(stream, status: .created)
    }

    @Sendable private func readOutput(_ request: Request, _ context: OperatorContext) async throws -> Response {
        try Self.demandBody(request)
        let (hub, id) = (service.hub, try context.parameters.require("id"))
        let stream = try hub.take(.operatorOutput, of: id, by: .owner(context.principal.name))
        return service.reply(
            from: stream.output, onLife: { hub.saw(id) },
            onEnd: { hub.release(.operatorOutput, of: id) })
    }

    @Sendable private func readInput(_ request: Request, _ context: NodeContext) async throws -> Response {
        try Self.demandBody(request)
        let (hub, id) = (service.hub, try context.parameters.require("id"))
        let stream = try hub.take(.nodeInput, of: id, by: .node(context.node))
        return service.reply(from: stream.input, onLife: {}, onEnd: { hub.release(.nodeInput, of: id) })
    }

    @Sendable private func writeInput(_ request: Request, _ context: OperatorContext) async throws -> Response {
        let id = try context.parameters.require("id")
        let stream = try service.hub.take(.operatorInput, of: id, by: .owner(context.principal.name))
        defer { service.hub.release(.operatorInput, of: id) }
        _ = try await service.send(request.body, to: stream.input, kinds: [.input, .window])
        return try Exchange.reply(Acknowledgement(message: "the input is over"))
    }

    /// However the node's end ends, the operator hears of it.
    @Sendable private func writeOutput(_ request: Request, _ context: NodeContext) async throws -> Response {
        let id = try context.parameters.require("id")
        let stream = try service.hub.take(.nodeOutput, of: id, by: .node(context.node))
        defer { service.hub.release(.nodeOutput, of: id) }
        do {
            let last = try await service.send(
                request.body, to: stream.output, kinds: [.output, .error, .exit, .failure])
            if last != .exit, last != .failure, stream.request.kind != .logs {
                try? await stream.output.send(Self.cut, patience: .zero)
            }
        } catch {
            try? await stream.output.send(Self.cut, patience: .zero)
            throw error
        }
        return try Exchange.reply(Acknowledgement(message: "the output is over"))
    }

    /// A stream cannot be looked at without being taken.
    private static func demandBody(_ request: Request) throws {
        guard request.method != .head else {
            throw APIFailure(.methodNotAllowed, "method-not-allowed", "a stream answers GET alone")
        }
    }

    private static let cut = StreamFrame(.failure, Array("the node's connection ended".utf8))

    @Sendable private func end(_ request: Request, _ context: OperatorContext) async throws -> Response {
        try service.hub.end(try context.parameters.require("id"), by: .owner(context.principal.name))
        return try Exchange.reply(Acknowledgement(message: "the stream is over"))
    }
}
