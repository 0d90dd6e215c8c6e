import Contract
import Cryptography
import Store
import Workloads

/// All workloads of the server within one transaction, read, with all that goes into assignments.
struct SiteWorkloads {
    /// A workload with its document read.
    struct Entry {
        var stored: StoredWorkload
        var workload: Workload
        /// SHA-256 of the document as it is stored.
        var digest: Digest256
        /// What it takes in an assignment, in bytes, at most.
        var bytes: Int
    }

    let entries: [Entry]
    let secrets: [WorkloadName: SecretEntry]
    let registries: [StoredRegistry]
    let policies: WorkloadPolicies

    init(_ transaction: any StoreTransaction) throws {
        let secrets = Dictionary(uniqueKeysWithValues: try transaction.secrets().map { ($0.name, $0) })
        entries = try transaction.workloads().map { try Self.entry($0, secrets) }
        self.secrets = secrets
        registries = try transaction.registries()
        policies = WorkloadPolicies(transaction)
    }

    var workloads: [Workload] { entries.map(\.workload) }

    /// The workloads that a node runs, by name.
    func entries(on node: PlaceableNode) -> [Entry] {
        entries.filter { WorkloadPlacer.runs($0.workload.revision.placement, on: node) }
    }

    /// The SHA-256 of all that goes into a node's assignment; secrets and accounts go in by their versions.
    func fingerprint(of node: PlaceableNode) throws -> Digest256 {
        let entries = entries(on: node)
        var lines = ["policy " + String(decoding: try Wire.encode(try policies.policy(of: node.id)), as: UTF8.self)]
        lines += registries(for: entries).map { "registry \($0.account.host) \($0.version)" }
        for entry in entries {
            lines.append("workload \(entry.digest) \(entry.stored.isStopped) \(entry.stored.restarts)")
            lines += Self.secretNames(entry.workload).map { "secret \($0) \(secrets[$0]?.version ?? 0)" }
        }
        return try Secrets.digest(SHA256.digest(Array(lines.joined(separator: "\n").utf8)))
    }

    /// A node's assignment with the secrets' values.
    func assignment(
        of node: PlaceableNode, generation: Int, _ transaction: any StoreTransaction
    ) throws -> WorkloadAssignment {
        let entries = entries(on: node)
        return WorkloadAssignment(
            generation: generation, policy: try policies.policy(of: node.id),
            registries: registries(for: entries).map(\.account),
            workloads: try entries.map { entry in
                var values: [String: SecretValue] = [:]
                for name in Self.secretNames(entry.workload) {
                    values[name.rawValue] = try transaction.secret(name)
                }
                return AssignedWorkload(
                    workload: entry.stored.document, revision: entry.stored.revision,
                    isStopped: entry.stored.isStopped, restarts: entry.stored.restarts, secrets: values)
            })
    }

    /// Why a node cannot be given all that is placed on it, as a sentence; nil where it can.
    func overload(of node: PlaceableNode) -> String? {
        let entries = entries(on: node)
        guard entries.count <= WorkloadLimit.workloadsPerNode else {
            return "node \(node.id) would have \(entries.count) workloads; at most \(WorkloadLimit.workloadsPerNode) "
                + "are possible"
        }
        let bytes = entries.reduce(64 << 10) { $0 + $1.bytes } + registries(for: entries).reduce(0) { $0 + $1.bytes }
        guard bytes <= WorkloadWireLimit.assignment else {
            return "the documents and secrets of node \(node.id)'s workloads are \(bytes) bytes; at most "
                + "\(WorkloadWireLimit.assignment) are possible"
        }
        return nil
    }

    /// The secrets that a workload names, sorted.
    static func secretNames(_ workload: Workload) -> [WorkloadName] {
        Set(workload.revision.secrets.map(\.source)).sorted()
    }

    /// Only the accounts of registries that the workloads' images are at: a node learns no other password.
    private func registries(for entries: [Entry]) -> [StoredRegistry] {
        let hosts = Set(entries.flatMap { $0.workload.revision.images.map(\.registry) })
        return registries.filter { hosts.contains($0.account.host) }
    }

    private static func entry(
        _ stored: StoredWorkload, _ secrets: [WorkloadName: SecretEntry]
    ) throws -> Entry {
        let bytes = Array(stored.document.utf8)
        do {
            let workload = try Workload(parsing: bytes)
            let values = secretNames(workload).reduce(0) { $0 + (secrets[$1]?.bytes ?? 0) * 4 / 3 + 128 }
            return Entry(
                stored: stored, workload: workload, digest: try Secrets.digest(SHA256.digest(bytes)),
                bytes: escaped(bytes) + values + 256)
        } catch let error as DocumentError {
            throw StoreError("the document of workload '\(stored.name)' cannot be read: \(error)")
        }
    }

    /// The length of text within a JSON string, at most.
    private static func escaped(_ bytes: [UInt8]) -> Int {
        bytes.reduce(0) { $0 + ($1 < 0x20 ? 6 : $1 == UInt8(ascii: "\"") || $1 == UInt8(ascii: "\\") ? 2 : 1) }
    }
}

extension StoredRegistry {
    /// What it takes in an assignment, in bytes, about.
    fileprivate var bytes: Int {
        (account.caPEM?.utf8.count ?? 0) * 5 / 4 + (account.password?.bytes.count ?? 0) * 4 / 3 + 2048
    }
}

/// What nodes let workloads have: the site's policy, and those of nodes that have one of their own.
struct WorkloadPolicies {
    let transaction: any StoreTransaction

    init(_ transaction: any StoreTransaction) { self.transaction = transaction }

    /// The name of a node's policy among the settings; of the site's for nil.
    static func setting(_ node: NodeID?) -> String { "workload-policy" + (node.map { "/\($0)" } ?? "") }

    /// The policy that holds for a node.
    func policy(of node: NodeID) throws -> NodePolicy { try own(node) ?? site }

    /// A node's own policy.
    func own(_ node: NodeID) throws -> NodePolicy? {
        try transaction.setting(Self.setting(node)).map { try Wire.decode(NodePolicy.self, from: Array($0.utf8)) }
    }

    /// The site's policy; without one nothing is loosened.
    var site: NodePolicy {
        get throws {
            try transaction.setting(Self.setting(nil)).map { try Wire.decode(NodePolicy.self, from: Array($0.utf8)) }
                ?? NodePolicy()
        }
    }
}
