public import Contract

/// A node as far as placement looks at it.
public struct PlaceableNode: Sendable, Hashable {
    /// The node.
    public var id: NodeID
    /// Its labels.
    public var labels: [String: String]

    /// Describes a node.
    public init(id: NodeID, labels: [String: String]) {
        self.id = id
        self.labels = labels
    }

    /// What documents may call it: its id, and the value of its label `name`.
    public var names: Set<String> { Set([id.rawValue] + (name.map { [$0] } ?? [])) }

    /// The value of its label `name`.
    public var name: String? { labels["name"] }
}

/// Says which nodes run a workload: pure, from what the document asks for and what the nodes are called.
public enum WorkloadPlacer {
    /// Whether a node runs a workload.
    public static func runs(_ placement: WorkloadPlacement, on node: PlaceableNode) -> Bool {
        placement.matches(nodeNames: node.names, labels: node.labels)
    }

    /// The nodes that run a workload, in the order in which they were given.
    public static func nodes(for placement: WorkloadPlacement, among nodes: [PlaceableNode]) -> [PlaceableNode] {
        nodes.filter { runs(placement, on: $0) }
    }

    /// Nodes that a document names and that there are none of, sorted.
    public static func unknownNames(in placement: WorkloadPlacement, among nodes: [PlaceableNode]) -> [String] {
        let known = nodes.reduce(into: Set<String>()) { $0.formUnion($1.names) }
        return Set(placement.nodes).subtracting(known).sorted()
    }

    /// What a workload would need on each node and does not find there: dependencies that run elsewhere only, and
    /// ports of the node that another workload there publishes.
    public static func conflicts(
        of workload: Workload, beside others: [Workload], on node: PlaceableNode
    ) -> [DocumentProblem] {
        let here = others.filter { $0.name != workload.name && runs($0.revision.placement, on: node) }
        let names = Set(here.map(\.name))
        var problems = workload.revision.dependencies.subtracting(names).sorted().map {
            DocumentProblem(path: "depends_on", value: $0.rawValue, reason: "does not run on node \(label(node))")
        }
        for (index, port) in workload.revision.ports.enumerated() {
            guard let holder = here.first(where: { $0.revision.ports.contains(where: port.conflicts) }) else {
                continue
            }
            problems.append(
                DocumentProblem(
                    path: "ports[\(index)]", value: "\(port.published)/\(port.transport.rawValue)",
                    reason: "belongs to '\(holder.name)' on node \(label(node))"))
        }
        return problems
    }

    private static func label(_ node: PlaceableNode) -> String { node.name ?? node.id.rawValue }
}
