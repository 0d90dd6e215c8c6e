import Contract
import Store
import Workloads

/// What nodes let their workloads have.
struct PolicyService: Sendable {
    let core: Core

    /// The site's policy, or the one that holds for a node.
    func policy(of node: NodeID?) async throws -> NodePolicy {
        try await core.store.read { transaction in
            let policies = WorkloadPolicies(transaction)
            guard let node else { return try policies.site }
            _ = try NodeService.find(node, transaction)
            return try policies.policy(of: node)
        }
    }

    /// Sets the site's policy, or a node's own; nil makes the site's hold for the node again.
    func set(_ policy: NodePolicy?, of node: NodeID?) async throws -> NodePolicy {
        if let policy { try Self.check(policy) }
        let core = core
        return try await core.change { transaction, announcements in
            if let node { _ = try NodeService.find(node, transaction) }
            let now = core.now()
            let text = try policy.map { String(decoding: try Wire.encode($0), as: UTF8.self) }
            try transaction.setSetting(WorkloadPolicies.setting(node), to: text)
            let names = policy?.permissions.sorted().map(\.rawValue).joined(separator: ", ") ?? ""
            try announcements.event(
                transaction, at: now, node: node, kind: "policy",
                policy == nil
                    ? "its workloads' policy is the site's again"
                    : "the policy of workloads allows \(names.isEmpty ? "no permission" : names)")
            try Assigner(transaction: transaction, now: now).refresh(&announcements)
            let policies = WorkloadPolicies(transaction)
            return try node.map { try policies.policy(of: $0) } ?? policies.site
        }
    }

    private static func check(_ policy: NodePolicy) throws {
        guard policy.format == wireFormat else { throw APIFailure.malformed("field 'format' is \(wireFormat)") }
        guard (1...4_194_304).contains(policy.maximumPIDs), policy.maximumMilliCPUs.map({ $0 > 0 }) ?? true,
            policy.maximumMemoryBytes.map({ $0 > 0 }) ?? true, policy.firstPublishedPort > 0,
            policy.reservedPorts.count <= 256
        else {
            throw APIFailure.malformed(
                "a policy's bounds are above 0, at most 4194304 processes and 256 reserved ports")
        }
    }
}
