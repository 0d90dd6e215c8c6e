import Contract
import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import Workloads

/// `/v1/workloads` and the policies of workloads: for operators.
struct WorkloadRoutes: Sendable {
    let service: WorkloadService
    let policies: PolicyService

    func add(to book: inout RouteBook) {
        book.on(.get, "/v1/workloads", needs: .workloadRead, .anywhere, use: list)
        book.on(.put, "/v1/workloads/:name", needs: .workloadWrite, .workload, use: apply)
        book.on(.get, "/v1/workloads/:name", needs: .workloadRead, .workload, use: show)
        book.on(.delete, "/v1/workloads/:name", needs: .workloadWrite, .workload, use: delete)
        book.on(.get, "/v1/workloads/:name/revisions", needs: .workloadRead, .workload, use: revisions)
        book.on(.post, "/v1/workloads/:name/rollback", needs: .workloadWrite, .workload, use: rollBack)
        book.on(.post, "/v1/workloads/:name/stop", needs: .workloadOperate, .workload) { try await order(.stop, $1) }
        book.on(.post, "/v1/workloads/:name/start", needs: .workloadOperate, .workload) { try await order(.start, $1) }
        book.on(.post, "/v1/workloads/:name/restart", needs: .workloadOperate, .workload) {
            try await order(.restart, $1)
        }
        book.on(.get, "/v1/workload-policy", needs: .workloadPolicyRead, .site, use: sitePolicy)
        book.on(.put, "/v1/workload-policy", needs: .workloadPolicyWrite, .site, use: setSitePolicy)
        book.on(.get, "/v1/nodes/:id/workload-policy", needs: .workloadPolicyRead, .node, use: nodePolicy)
        book.on(.put, "/v1/nodes/:id/workload-policy", needs: .workloadPolicyWrite, .node, use: setNodePolicy)
        book.on(.delete, "/v1/nodes/:id/workload-policy", needs: .workloadPolicyWrite, .node, use: resetNodePolicy)
    }

    @Sendable private func list(_ request: Request, _ context: OperatorContext) async throws -> Response {
        let after = try request.uri.queryParameters["after"].map { text in
            guard let name = WorkloadName(String(text)) else {
                throw APIFailure.malformed("query parameter 'after' is a workload's name")
            }
            return name
        }
        return try Exchange.reply(try await service.list(after: after, for: context.principal))
    }

    /// Takes the document itself: the strict reader names every mistake, which no decoder does.
    @Sendable private func apply(_ request: Request, _ context: OperatorContext) async throws -> Response {
        let name = try context.workload()
        let document = try await Exchange.bytes(of: request, limit: WorkloadLimit.documentBytes)
        return try Exchange.reply(try await service.apply(name, document: document, by: context.principal))
    }

    @Sendable private func show(_ request: Request, _ context: OperatorContext) async throws -> Response {
        try Exchange.reply(try await service.show(try context.workload(), for: context.principal))
    }

    @Sendable private func delete(_ request: Request, _ context: OperatorContext) async throws -> Response {
        try Exchange.reply(try await service.delete(try context.workload()))
    }

    @Sendable private func revisions(_ request: Request, _ context: OperatorContext) async throws -> Response {
        try Exchange.reply(try await service.revisions(try context.workload()))
    }

    @Sendable private func rollBack(_ request: Request, _ context: OperatorContext) async throws -> Response {
        let message = try await Exchange.decodeIfPresent(RollbackRequest.self, from: request, limit: 4096)
        return try Exchange.reply(
            try await service.rollBack(
                try context.workload(), to: message?.revision, by: context.principal))
    }

    private func order(_ order: WorkloadService.Order, _ context: OperatorContext) async throws -> Response {
        try Exchange.reply(try await service.order(order, try context.workload()))
    }

    // MARK: - Policies

    @Sendable private func sitePolicy(_ request: Request, _ context: OperatorContext) async throws -> Response {
        try Exchange.reply(try await policies.policy(of: nil))
    }

    @Sendable private func setSitePolicy(_ request: Request, _ context: OperatorContext) async throws -> Response {
        try Exchange.reply(try await policies.set(try await policy(request), of: nil))
    }

    @Sendable private func nodePolicy(_ request: Request, _ context: OperatorContext) async throws -> Response {
        try Exchange.reply(try await policies.policy(of: try context.nodeID()))
    }

    @Sendable private func setNodePolicy(_ request: Request, _ context: OperatorContext) async throws -> Response {
        let node = try context.nodeID()
        return try Exchange.reply(try await policies.set(try await policy(request), of: node))
    }

    @Sendable private func resetNodePolicy(_ request: Request, _ context: OperatorContext) async throws -> Response {
        try Exchange.reply(try await policies.set(nil, of: try context.nodeID()))
    }

    private func policy(_ request: Request) async throws -> NodePolicy {
        try await Exchange.decode(NodePolicy.self, from: request, limit: 64 << 10)
    }
}

/// `/v1/secrets` and `/v1/registries`: for operators, who never see a value again.
struct SecretRoutes: Sendable {
    let secrets: SecretService
    let registries: RegistryService

    func add(to book: inout RouteBook) {
        book.on(.get, "/v1/secrets", needs: .secretRead, .site, use: listSecrets)
        book.on(.put, "/v1/secrets/:name", needs: .secretWrite, .site, use: setSecret)
        book.on(.delete, "/v1/secrets/:name", needs: .secretWrite, .site, use: deleteSecret)
        book.on(.get, "/v1/registries", needs: .registryRead, .site, use: listRegistries)
        book.on(.put, "/v1/registries/:host", needs: .registryWrite, .site, use: setRegistry)
        book.on(.delete, "/v1/registries/:host", needs: .registryWrite, .site, use: deleteRegistry)
    }

    @Sendable private func listSecrets(_ request: Request, _ context: OperatorContext) async throws -> Response {
        try Exchange.reply(try await secrets.list())
    }

    @Sendable private func setSecret(_ request: Request, _ context: OperatorContext) async throws -> Response {
        let name = try secretName(context)
        let message = try await Exchange.decode(SecretRequest.self, from: request, limit: 128 << 10)
        return try Exchange.reply(try await secrets.set(name, to: message.value))
    }

    @Sendable private func deleteSecret(_ request: Request, _ context: OperatorContext) async throws -> Response {
        try Exchange.reply(try await secrets.delete(try secretName(context)))
    }

    @Sendable private func listRegistries(_ request: Request, _ context: OperatorContext) async throws -> Response {
        try Exchange.reply(try await registries.list())
    }

    @Sendable private func setRegistry(_ request: Request, _ context: OperatorContext) async throws -> Response {
        let message = try await Exchange.decode(RegistryRequest.self, from: request, limit: 128 << 10)
        return try Exchange.reply(try await registries.set(try host(context), message))
    }

    @Sendable private func deleteRegistry(_ request: Request, _ context: OperatorContext) async throws -> Response {
        try Exchange.reply(try await registries.delete(try host(context)))
    }

    private func secretName(_ context: OperatorContext) throws -> WorkloadName {
        let text = try context.parameters.require("name")
        guard let name = WorkloadName(text) else {
            throw APIFailure.malformed(
                "'\(CleanText.line(text, limit: 80))' is no secret's name: \(WorkloadName.allowed)")
        }
        return name
    }

    /// A port's colon may come escaped.
    private func host(_ context: OperatorContext) throws -> String {
        let text = try context.parameters.require("host")
        return text.removingPercentEncoding ?? text
    }
}

/// Reads names in paths.
extension OperatorContext {
    /// The workload that the path names.
    func workload(_ parameter: String = "name") throws -> WorkloadName {
        let text = try parameters.require(parameter)
        guard let name = WorkloadName(text) else {
            throw APIFailure.malformed(
                "'\(CleanText.line(text, limit: 80))' is no workload's name: \(WorkloadName.allowed)")
        }
        return name
    }

    /// The node that the path names.
    func nodeID() throws -> NodeID {
        guard let id = NodeID(try parameters.require("id")) else {
            throw APIFailure(
                .notFound, "node-unknown",
                "this is not a node id of 26 characters; 'apus node list' shows those there are")
        }
        return id
    }
}
