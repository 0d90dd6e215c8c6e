public import Contract
public import Workloads

/// A workload that operators applied.
public struct StoredWorkload: Sendable, Equatable {
    /// Its name.
    public var name: WorkloadName
    /// The whole document with every default written out, its image by digest, as JSON.
    public var document: String
    /// The SHA-256 of its revision's canonical bytes.
    public var revision: Digest256
    /// Whether an operator stopped it.
    public var isStopped: Bool
    /// Rises when an operator asks for a restart.
    public var restarts: Int
    /// When it was applied first, in seconds since 1970.
    public var createdSeconds: Int64
    /// When it was changed last, in seconds since 1970.
    public var changedSeconds: Int64

    /// Makes the record of a workload that is applied for the first time.
    public init(
        name: WorkloadName, document: String, revision: Digest256, isStopped: Bool = false, restarts: Int = 0,
        createdSeconds: Int64
    ) {
        self.name = name
        self.document = document
        self.revision = revision
        self.isStopped = isStopped
        self.restarts = restarts
        self.createdSeconds = createdSeconds
        changedSeconds = createdSeconds
    }
}

/// A revision of a workload.
public struct StoredRevision: Sendable, Equatable {
    /// The SHA-256 of its canonical bytes.
    public var revision: Digest256
    /// The whole document that brought it, as JSON.
    public var document: String
    /// When it was wanted last, in seconds since 1970.
    public var appliedSeconds: Int64

    /// Makes a record from its parts.
    public init(revision: Digest256, document: String, appliedSeconds: Int64) {
        self.revision = revision
        self.document = document
        self.appliedSeconds = appliedSeconds
    }
}

/// The workloads and their revisions.
public protocol WorkloadTable {
    /// The workload with a name.
    func workload(_ name: WorkloadName) throws -> StoredWorkload?

    /// All workloads, by name.
    func workloads() throws -> [StoredWorkload]

    /// Inserts a workload, or replaces the one with its name.
    func save(_ workload: StoredWorkload) throws

    /// Removes a workload with its revisions; true where it was there.
    @discardableResult func removeWorkload(_ name: WorkloadName) throws -> Bool

    /// The revisions of a workload, the one that was wanted last first.
    func revisions(of name: WorkloadName) throws -> [StoredRevision]

    /// Makes a revision the newest of its workload, whether it was there or not, and keeps the newest `count`.
    func append(_ revision: StoredRevision, to name: WorkloadName, keeping count: Int) throws
}

/// A secret without its value.
public struct SecretEntry: Sendable, Equatable {
    /// Its name.
    public var name: WorkloadName
    /// Another with each value that was ever set.
    public var version: Int64
    /// The length of its value in bytes.
    public var bytes: Int
    /// When its value was set, in seconds since 1970.
    public var changedSeconds: Int64

    /// Makes an entry.
    public init(name: WorkloadName, version: Int64, bytes: Int, changedSeconds: Int64) {
        self.name = name
        self.version = version
        self.bytes = bytes
        self.changedSeconds = changedSeconds
    }
}

/// How a registry is reached, its password included.
public struct StoredRegistry: Sendable, Equatable {
    /// The account.
    public var account: RegistryAccount
    /// Another with each change that was ever made.
    public var version: Int64
    /// When it was set, in seconds since 1970.
    public var changedSeconds: Int64

    /// Makes a record from its parts.
    public init(account: RegistryAccount, version: Int64, changedSeconds: Int64) {
        self.account = account
        self.version = version
        self.changedSeconds = changedSeconds
    }
}

/// The secrets of workloads and the registries' accounts. Values lie in the database, which is for its owner only.
public protocol SecretTable {
    /// All secrets without their values, by name.
    func secrets() throws -> [SecretEntry]

    /// The value of a secret.
    func secret(_ name: WorkloadName) throws -> SecretValue?

    /// Sets the value of a secret.
    func setSecret(_ name: WorkloadName, to value: SecretValue, timeSeconds: Int64) throws

    /// Removes a secret; true where it was there.
    @discardableResult func removeSecret(_ name: WorkloadName) throws -> Bool

    /// All registries, by host.
    func registries() throws -> [StoredRegistry]

    /// Sets what is known of a registry.
    func setRegistry(_ account: RegistryAccount, timeSeconds: Int64) throws

    /// Removes a registry; true where it was there.
    @discardableResult func removeRegistry(_ host: String) throws -> Bool
}

/// What a node was assigned, and what it says to that.
public struct NodeAssignment: Sendable, Equatable {
    /// The node.
    public var node: NodeID
    /// Another with each change of its assignment.
    public var generation: Int
    /// The SHA-256 of all that went into the assignment.
    public var fingerprint: Digest256
    /// The generation that the node has stored, as it said last; nil until it did.
    public var reportedGeneration: Int?
    /// The images on its disk, as it said last.
    public var images: [NodeImage]

    /// Makes the record of an assignment that is new.
    public init(node: NodeID, generation: Int, fingerprint: Digest256) {
        self.node = node
        self.generation = generation
        self.fingerprint = fingerprint
        images = []
    }
}

/// What a node said of a workload.
public struct StoredReport: Sendable, Equatable {
    /// The node.
    public var node: NodeID
    /// What it said.
    public var report: WorkloadReport
    /// Since when it says so, in seconds since 1970.
    public var sinceSeconds: Int64

    /// Makes a record from its parts.
    public init(node: NodeID, report: WorkloadReport, sinceSeconds: Int64) {
        self.node = node
        self.report = report
        self.sinceSeconds = sinceSeconds
    }
}

/// Which node runs what, and how that goes.
public protocol AssignmentTable {
    /// The nodes that workloads can be placed on, which are those admitted and not retired, oldest first.
    func placeableNodes() throws -> [PlaceableNode]

    /// Raises the generation of a node's desired state.
    func raiseGeneration(of node: NodeID) throws

    /// A node's assignment.
    func assignment(of node: NodeID) throws -> NodeAssignment?

    /// All nodes' assignments.
    func assignments() throws -> [NodeAssignment]

    /// Inserts an assignment, or replaces that of its node.
    func save(_ assignment: NodeAssignment) throws

    /// The reports of a node, by workload.
    func reports(node: NodeID) throws -> [StoredReport]

    /// All nodes' reports of a workload; of all workloads for nil.
    func reports(workload: WorkloadName?) throws -> [StoredReport]

    /// Replaces all that a node said: what it says again keeps its time.
    func replaceReports(_ reports: [WorkloadReport], node: NodeID, timeSeconds: Int64) throws
}
