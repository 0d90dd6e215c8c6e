public import Contract

/// A machine that the server knows.
public struct NodeRecord: Sendable, Equatable {
    /// Assigned by the server; sorts by the time of the first registration.
    public var id: NodeID
    /// Its state.
    public var state: NodeState
    /// Why, as a sentence.
    public var reason: String
    /// SHA-256 of its public key (SubjectPublicKeyInfo).
    public var keyDigest: Digest256
    /// Its SMBIOS identity where that is usable, as `SMBIOSIdentity` writes it.
    public var identity: String?
    /// Its labels.
    public var labels: [String: String]
    /// Its inventory.
    public var inventory: Inventory
    /// Its newest status.
    public var status: NodeStatus?
    /// The release that it should run.
    public var desiredRelease: Digest256?
    /// How a new version proves itself, where an operator said so.
    public var probation: ProbationRule?
    /// Rises with each change of its desired state.
    public var generation: Int
    /// Rises with each plan that it was given.
    public var planGeneration: Int
    /// The registration that it was admitted by, or waits in.
    public var registrationID: String?
    /// The join token that it was admitted by.
    public var tokenID: String?
    /// Whether it ever received a certificate.
    public var wasAdmitted: Bool
    /// Whether it was online since it was last provisioned.
    public var wasOnline: Bool
    /// Whether an operator asked for its next provisioning to erase its state.
    public var wipeRequested: Bool
    /// When it registered first, in seconds since 1970.
    public var registeredSeconds: Int64
    /// When it was last heard of, in seconds since 1970.
    public var lastSeenSeconds: Int64

    /// Makes the record of a node that registers for the first time.
    public init(
        id: NodeID, state: NodeState, reason: String, keyDigest: Digest256, identity: String?,
        labels: [String: String], inventory: Inventory, registeredSeconds: Int64
    ) {
        self.id = id
        self.state = state
        self.reason = reason
        self.keyDigest = keyDigest
        self.identity = identity
        self.labels = labels
        self.inventory = inventory
        generation = 1
        planGeneration = 0
        wasAdmitted = false
        wasOnline = false
        wipeRequested = false
        self.registeredSeconds = registeredSeconds
        lastSeenSeconds = registeredSeconds
    }
}

extension NodeRecord {
    /// What a node needs a release for.
    public enum Need: Sendable, Hashable {
        /// It runs it.
        case running
        /// It should run it.
        case desired
        /// It has it in the slot that does not run, to go back to.
        case other
    }

    /// What the node needs a release for, as far as it reported; nil where it needs it for nothing.
    public func need(of release: Digest256) -> Need? {
        let slots = status?.slots.filter { $0.value.release == release } ?? [:]
        if let running = status?.runningSlot, slots[running] != nil { return .running }
        if desiredRelease == release { return .desired }
        return slots.isEmpty ? nil : .other
    }
}

/// The nodes.
public protocol NodeTable {
    /// The node with an id.
    func node(_ id: NodeID) throws -> NodeRecord?

    /// The newest node with a public key, by the key's digest, retired ones included.
    func node(keyDigest: Digest256) throws -> NodeRecord?

    /// Nodes that were admitted, are not retired and claim an SMBIOS identity; oldest first, at most 16.
    func admittedNodes(identity: String) throws -> [NodeRecord]

    /// At most `limit` nodes after an id, oldest first; from the start for nil.
    func nodes(after id: NodeID?, limit: Int) throws -> [NodeRecord]

    /// At most `limit` nodes that need a release and are not retired, oldest first.
    func nodes(needing release: Digest256, limit: Int) throws -> [NodeRecord]

    /// How many nodes were never admitted.
    func countOfUnadmittedNodes() throws -> Int

    /// Inserts a node, or replaces the one with its id.
    func save(_ node: NodeRecord) throws

    /// Removes a node with its events' link, commands, steps and log.
    func removeNode(_ id: NodeID) throws
}
