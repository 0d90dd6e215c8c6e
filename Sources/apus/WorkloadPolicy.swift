public import ArgumentParser
import Contract
import Operator
public import Workloads

struct WorkloadPolicyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "policy", abstract: "Shows or changes what nodes let workloads have.",
        discussion: """
            Without --node it is the site's policy, which holds for every node that has none of its own. Without \
            changes it is only shown.
            """)
    @Option(help: "A node: its name, its id, or the first four or more characters of it.")
    var node: String?
    @Option(help: "A permission that documents may ask for, such as writable-root; may be repeated.")
    var allow: [WorkloadPermission] = []
    @Option(help: "A permission that documents may no longer ask for; may be repeated.")
    var deny: [WorkloadPermission] = []
    @Option(help: "The most memory of one workload, such as 2g; 'none' for no bound.")
    var maxMemory: Bound?
    @Flag(help: "Take the node's own policy away: the site's holds for it again.")
    var reset = false
    @OptionGroup var connection: Connection
    @OptionGroup var output: OutputOptions

    /// A size, or the absence of one.
    enum Bound: ExpressibleByArgument {
        case none
        case bytes(UInt64)

        init?(argument: String) {
            if argument == "none" {
                self = .none
            } else if let bytes = WorkloadUnits.bytes(argument), bytes > 0 {
                self = .bytes(bytes)
            } else {
                return nil
            }
        }

        var bytes: UInt64? { if case .bytes(let bytes) = self { bytes } else { nil } }
    }

    private var isChange: Bool { !allow.isEmpty || !deny.isEmpty || maxMemory != nil }

    func validate() throws {
        if reset, isChange { throw ValidationError("--reset takes the policy away: it goes with no change") }
        if reset, node == nil { throw ValidationError("--reset is about a node: name it with --node") }
        if let both = allow.first(where: deny.contains) {
            throw ValidationError("'\(both.rawValue)' is both allowed and denied")
        }
    }

    func run() throws {
        try reporting {
            let api = try connection.open()
            let id = try node.map { try findNodeByName($0, api).id }
            var policy = try api.workloadPolicy(of: id)
            if let id, reset {
                policy = try api.resetWorkloadPolicy(of: id)
            } else if isChange {
                policy.permissions.formUnion(allow)
                policy.permissions.subtract(deny)
                if let maxMemory { policy.maximumMemoryBytes = maxMemory.bytes }
                policy = try api.setWorkloadPolicy(policy, of: id)
            }
            try output.show(policy) { describe(policy) }
        }
    }

    private func describe(_ policy: NodePolicy) -> String {
        let permissions = policy.permissions.sorted().map(\.rawValue).joined(separator: ", ")
        let ports = policy.reservedPorts.sorted().map { "\($0)" }.joined(separator: ", ")
        return listing([
            ("permissions", permissions.isEmpty ? "none" : permissions),
            ("memory", policy.maximumMemoryBytes.map { WorkloadUnits.text(bytes: $0) } ?? "no bound"),
            ("processors", policy.maximumMilliCPUs.map { WorkloadUnits.text(milliCPUs: $0) } ?? "no bound"),
            ("processes", "\(policy.maximumPIDs)"),
            ("volume", policy.maximumVolumeBytes.map { WorkloadUnits.text(bytes: $0) } ?? "no bound"),
            ("first port", "\(policy.firstPublishedPort)"), ("kept ports", ports),
        ])
    }
}

extension WorkloadPermission: ExpressibleByArgument {}
