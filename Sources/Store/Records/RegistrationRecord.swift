public import Contract

/// A registration under way, or the one that a node was admitted by.
public struct RegistrationRecord: Sendable, Equatable {
    /// Names it.
    public var id: String
    /// SHA-256 of its bearer secret.
    public var secretHash: Digest256
    /// SHA-256 of the node's public key.
    public var nodeKey: Digest256
    /// The certificate request in PEM.
    public var certificateRequest: String
    /// The node's commitment to its nonce.
    public var commitment: Digest256
    /// The server's nonce, 32 bytes.
    public var serverNonce: [UInt8]
    /// The node's nonce, once it is revealed.
    public var nodeNonce: [UInt8]?
    /// The join token's id, where the node named one.
    public var tokenID: String?
    /// The inventory that came with it.
    public var inventory: Inventory
    /// Where it stands.
    public var phase: Phase
    /// The node, once judged.
    public var nodeID: NodeID?
    /// The certificate chain in PEM, once admitted.
    public var certificate: String?
    /// How many wrong codes were given.
    public var wrongCodes: Int
    /// Where it came from, for people.
    public var remoteAddress: String
    /// When it began, in seconds since 1970.
    public var createdSeconds: Int64
    /// When the node last asked, in seconds since 1970.
    public var lastPollSeconds: Int64

    /// Where a registration stands.
    public enum Phase: String, Sendable {
        /// The server's nonce is out, the node's is not yet revealed.
        case committed
        /// Revealed; a person must act.
        case waiting
        /// Approved; the node has not yet fetched its certificate.
        case approved
        /// Has its certificate.
        case admitted
        /// Ended without admission.
        case refused
    }

    /// Makes the record of a registration that begins.
    public init(
        id: String, secretHash: Digest256, nodeKey: Digest256, certificateRequest: String, commitment: Digest256,
        serverNonce: [UInt8], tokenID: String?, inventory: Inventory, remoteAddress: String, createdSeconds: Int64
    ) {
        self.id = id
        self.secretHash = secretHash
        self.nodeKey = nodeKey
        self.certificateRequest = certificateRequest
        self.commitment = commitment
        self.serverNonce = serverNonce
        self.tokenID = tokenID
        self.inventory = inventory
        phase = .committed
        wrongCodes = 0
        self.remoteAddress = remoteAddress
        self.createdSeconds = createdSeconds
        lastPollSeconds = createdSeconds
    }
}

/// The registrations.
public protocol RegistrationTable {
    /// The registration with an id.
    func registration(_ id: String) throws -> RegistrationRecord?

    /// How many are not yet admitted.
    func countOfOpenRegistrations() throws -> Int

    /// Those not yet admitted whose nodes have not asked for long, at most 256: since `seconds` where they wait or are
    /// approved, since `briefSeconds` where they have only begun or are refused.
    func openRegistrations(idleSince seconds: Int64, orBriefly briefSeconds: Int64) throws -> [RegistrationRecord]

    /// Inserts a registration, or replaces the one with its id.
    func save(_ registration: RegistrationRecord) throws

    /// Removes a registration.
    func removeRegistration(_ id: String) throws
}
