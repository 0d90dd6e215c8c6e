internal import Contract
internal import Cryptography
internal import Linux
internal import Workloads

/// The assignment on the disk, and what the keeper remembers. A write is whole or was not, whenever power goes.
struct AssignmentStore: Sendable {
    let places: NodePlaces

    /// What was read.
    struct Content: Sendable {
        var generation = 0
        var policy = NodePolicy()
        var registries: [RegistryAccount] = []
        var desired: [DesiredWorkload] = []
        var secrets = AssignmentSecrets()
        /// Documents that cannot be used, and why.
        var refused: [String] = []
    }

    /// Stores an assignment: what is secret first, so that no document ever lacks what came with it.
    ///
    /// - Parameter keeping: secrets' names by workload that revisions to go back to still need.
    func save(_ assignment: WorkloadAssignment, keeping: [WorkloadName: Set<String>]) throws {
        let old = secrets()
        var open = assignment
        var secret = AssignmentSecrets()
        for (index, workload) in assignment.workloads.enumerated() {
            open.workloads[index].secrets = [:]
            guard let name = try? workload.desired().workload.name else { continue }
            let kept = (old.secrets[name.rawValue] ?? [:]).filter { keeping[name]?.contains($0.key) ?? false }
            secret.secrets[name.rawValue] = kept.merging(workload.secrets) { _, new in new }
        }
        for (index, account) in assignment.registries.enumerated() {
            secret.passwords[account.host] = account.password
            open.registries[index].password = nil
        }
        try Files.makeDirectory(places.state, mode: 0o700)
        try Files.writeDurably(try Wire.encode(secret), to: places.secrets)
        try Files.writeDurably(try Wire.encode(open), to: places.assignment)
    }

    /// The assignment on the disk; nil where there is none.
    func load() throws -> Content? {
        guard Files.exists(places.assignment) else { return nil }
        let bytes = try Files.read(places.assignment, limitBytes: WorkloadWireLimit.assignment)
        let secret = secrets()
        var assignment = try WorkloadAssignment.decoded(from: bytes)
        for index in assignment.registries.indices {
            assignment.registries[index].password = secret.passwords[assignment.registries[index].host]
        }
        var content = Content(
            generation: assignment.generation, policy: assignment.policy, registries: assignment.registries,
            secrets: secret)
        for workload in assignment.workloads {
            do {
                content.desired.append(try Self.checked(workload))
            } catch {
                content.refused.append("\(error)")
            }
        }
        return content
    }

    /// A document whose revision is what it says.
    static func checked(_ assigned: AssignedWorkload) throws -> DesiredWorkload {
        let desired = try assigned.desired()
        guard SHA256.digest(desired.workload.revision.canonical) == desired.revision.bytes else {
            throw SandboxError(
                "the document of '\(desired.workload.name)' does not have the revision \(desired.revision); the server "
                    + "and this node understand it differently, so upgrade the older of the two")
        }
        return desired
    }

    private func secrets() -> AssignmentSecrets {
        guard let bytes = try? Files.read(places.secrets, limitBytes: 2 * WorkloadWireLimit.assignment),
            let found = try? Wire.decode(
                AssignmentSecrets.self, from: bytes, limit: 2 * WorkloadWireLimit.assignment)
        else { return AssignmentSecrets() }
        return found
    }

    // MARK: Memory

    /// What the keeper remembers; nothing where it is damaged: what runs is found anew.
    func memory() -> KeeperMemory {
        guard let bytes = try? Files.read(places.records, limitBytes: WorkloadWireLimit.assignment),
            let memory = try? Wire.decode(KeeperMemory.self, from: bytes, limit: WorkloadWireLimit.assignment)
        else { return KeeperMemory() }
        return memory
    }

    func save(_ memory: KeeperMemory) throws {
        try Files.makeDirectory(places.state, mode: 0o700)
        try Files.writeDurably(try Wire.encode(memory), to: places.records)
    }

    // MARK: Documents of revisions

    private func documentPath(_ key: RevisionKey) -> String {
        "\(places.documents)/\(key.workload).\(key.revision).json"
    }

    /// Keeps a revision's document for the time when it is no longer the one that is wanted.
    func keepDocument(_ workload: Workload, _ revision: Digest256) throws {
        let path = documentPath(RevisionKey(workload.name, revision))
        guard !Files.exists(path) else { return }
        try Files.makeDirectory(places.documents, mode: 0o700)
        try Files.writeDurably(workload.document.json, to: path)
    }

    /// The documents that are kept, and whole.
    func documents() -> [RevisionKey: Workload] {
        guard let names = try? Files.list(places.documents, limit: 8192) else { return [:] }
        var found: [RevisionKey: Workload] = [:]
        for name in names {
            let parts = name.split(separator: ".")
            guard parts.count == 3, let workload = WorkloadName(String(parts[0])),
                let revision = Digest256(hex: parts[1]),
                let bytes = try? Files.read(places.documents + "/" + name, limitBytes: 2 << 20),
                let document = try? Workload(parsing: bytes), document.name == workload,
                SHA256.digest(document.revision.canonical) == revision.bytes
            else { continue }
            found[RevisionKey(workload, revision)] = document
        }
        return found
    }

    /// Removes documents that nobody goes back to.
    func forgetDocuments(except kept: Set<RevisionKey>) {
        for key in documents().keys where !kept.contains(key) { try? Files.remove(documentPath(key)) }
    }
}
