import Access
import Contract
import Hummingbird
import Store
import Workloads

/// What a route for people and programs needs.
enum Need: Sendable, Equatable {
    /// To be known: what concerns the caller alone.
    case identity
    /// A verb, on what the route is about.
    case verb(Verb, Reach)

    /// What a route is about.
    enum Reach: Sendable, Equatable {
        /// The site as a whole.
        case site
        /// Things of all nodes: the handler leaves out those that the caller may not see.
        case anywhere
        /// The node `:id`.
        case node
        /// The workload `:name`, wherever it may run.
        case workload
    }
}

/// Refuses callers who lack what a route needs, before its handler runs.
struct Gate: Sendable {
    let store: any ServerStore

    func demand(_ need: Need, _ context: OperatorContext) async throws {
        guard case .verb(let verb, let reach) = need else { return }
        let principal = context.principal
        guard !principal.permissions.allows(verb) else { return }
        try principal.demandSomewhere(verb)
        switch reach {
        case .site: try principal.demand(verb)
        case .anywhere: break
        case .node:
            let id = try context.nodeID()
            let labels = try await store.read { try NodeService.find(id, $0).labels }
            try principal.demand(verb, on: id, labels: labels)
        case .workload:
            let name = try context.workload()
            try await store.read { transaction in
                // What there is not yet is judged by its document.
                guard let stored = try transaction.workload(name) else { return }
                let view = try WorkloadReach(transaction)
                let workload = try WorkloadViews.read(stored)
                let isAllowed =
                    verb == .workloadRead
                    ? view.touches(workload, principal.permissions) : view.allows(verb, workload, principal.permissions)
                guard isAllowed else { throw principal.refusal(verb, "wherever workload '\(name)' may run") }
            }
        }
    }
}

/// Where workloads may come to run, for callers who may not act everywhere.
struct WorkloadReach {
    private let nodes: [PlaceableNode]

    init(_ transaction: any StoreTransaction) throws { nodes = try transaction.placeableNodes() }

    /// Whether somebody may do something to a workload on every node that it may come to run on: its document demands
    /// the labels of their scope, or names nodes that all have them.
    func allows(_ verb: Verb, _ workload: Workload, _ permissions: Rights) -> Bool {
        let placement = workload.revision.placement
        return permissions.allows(verb) { scope in
            let demanded = placement.constraints.filter(\.isEqual)
            if scope.allSatisfy({ label in
                demanded.contains { $0.key == label.key && $0.value == label.value }
            }) {
                return true
            }
            let named = nodes.filter { !$0.names.isDisjoint(with: placement.nodes) }
            let known = named.reduce(into: Set<String>()) { $0.formUnion($1.names) }
            return !placement.nodes.isEmpty && known.isSuperset(of: placement.nodes)
                && named.allSatisfy { node in scope.allSatisfy { node.labels[$0.key] == $0.value } }
        }
    }

    /// Whether somebody may see a workload: it runs on a node that they may read workloads of, or only could.
    func touches(_ workload: Workload, _ permissions: Rights) -> Bool {
        allows(.workloadRead, workload, permissions)
            || nodes.contains {
                WorkloadPlacer.runs(workload.revision.placement, on: $0)
                    && permissions.allows(.workloadRead, on: $0.labels)
            }
    }

    /// A view without the nodes that somebody may not see.
    func seen(_ view: WorkloadView, _ permissions: Rights) -> WorkloadView {
        var view = view
        let visible = Set(nodes.filter { permissions.allows(.workloadRead, on: $0.labels) }.map(\.id))
        view.nodes = view.nodes.filter { visible.contains($0.node) }
        return view
    }
}
