import Contract
import HTTPTypes
import Store
import Workloads

/// Gives nodes another assignment, and wakes them, where anything in it has changed.
struct Assigner {
    let transaction: any StoreTransaction
    let now: Int64

    /// Compares what nodes should have with what they were given last; returns the nodes that get another assignment.
    ///
    /// - Parameters:
    ///   - only: the one node that anything changed for; nil looks at all.
    ///   - isRefusing: whether to refuse, with an `APIFailure`, what a node cannot be given. Where that is not the
    ///     caller's fault, an event says it instead, and the node keeps what it has.
    @discardableResult
    func refresh(
        _ announcements: inout Announcements, only: NodeID? = nil, isRefusing: Bool = true
    ) throws -> [NodeID] {
        let site = try SiteWorkloads(transaction)
        var changed: [NodeID] = []
        for node in try transaction.placeableNodes() where only == nil || node.id == only {
            let fingerprint = try site.fingerprint(of: node)
            let before = try transaction.assignment(of: node.id)
            guard before?.fingerprint != fingerprint else { continue }
            if let overload = site.overload(of: node) {
                guard !isRefusing else { throw Self.tooMuch(overload) }
                try announcements.event(transaction, at: now, node: node.id, kind: "workload", overload)
                continue
            }
            // The clock in it sees to it that a server restored from a backup never gives a number twice.
            let generation = max((before?.generation ?? 0) + 1, Int(now))
            var after = NodeAssignment(node: node.id, generation: generation, fingerprint: fingerprint)
            after.reportedGeneration = before?.reportedGeneration
            after.images = before?.images ?? []
            try transaction.save(after)
            try transaction.raiseGeneration(of: node.id)
            announcements.add(.desired(node.id))
            changed.append(node.id)
        }
        return changed
    }

    static func tooMuch(_ sentence: String) -> APIFailure {
        APIFailure(.conflict, "assignment-too-large", sentence + "; place workloads on other nodes")
    }
}
