/// The states of a node at the server. Only the server moves a node between them.
public enum NodeState: String, Sendable, Codable, CaseIterable {
    /// Registered a moment ago, not yet judged.
    case new = "NEW"
    /// A person must act.
    case pending = "PENDING"
    /// Approved; the node has not yet fetched its certificate.
    case approved = "APPROVED"
    /// Has its certificate and its plan.
    case admitted = "ADMITTED"
    /// Writing its disk.
    case provisioning = "PROVISIONING"
    /// The installed system reported healthy.
    case online = "ONLINE"
    /// Installing or proving another version.
    case upgrading = "UPGRADING"
    /// Taken out of service by an operator.
    case maintenance = "MAINTENANCE"
    /// Stopped by an error that it cannot mend itself.
    case failed = "FAILED"
    /// Will not be admitted again.
    case retired = "RETIRED"
}

/// First message of a registration: `POST /v1/registrations`.
///
/// The node commits to its nonce before it sees the server's, so that neither side can steer the challenge code.
public struct RegistrationRequest: Sendable, Codable, Equatable {
    /// The version of this format.
    public var format = wireFormat
    /// A PKCS #10 certificate request in PEM (RFC 2986) that carries the node's public key and proves its possession.
    public var certificateRequest: String
    /// SHA-256 of `RegistrationTranscript.commitmentInput`.
    public var commitment: Digest256
    /// The join token, where the node has one.
    public var token: String?
    /// What the machine is made of.
    public var inventory: Inventory
    /// Version of the boot artifact.
    public var bootArtifactVersion: String

    /// Makes a request from its parts.
    public init(
        certificateRequest: String, commitment: Digest256, token: String?, inventory: Inventory,
        bootArtifactVersion: String
    ) {
        self.certificateRequest = certificateRequest
        self.commitment = commitment
        self.token = token
        self.inventory = inventory
        self.bootArtifactVersion = bootArtifactVersion
    }
}

/// Reply to a `RegistrationRequest`.
public struct RegistrationReply: Sendable, Codable, Equatable {
    /// The version of this format.
    public var format = wireFormat
    /// Names this registration in later requests.
    public var registrationID: String
    /// Bearer secret for later requests of this registration; never logged.
    public var secret: String
    /// The server's nonce: 32 bytes in lower-case hexadecimal digits.
    public var serverNonce: String
    /// The server's clock in seconds since 1970.
    public var clockSeconds: Int64

    /// Makes a reply from its parts.
    public init(registrationID: String, secret: String, serverNonce: String, clockSeconds: Int64) {
        self.registrationID = registrationID
        self.secret = secret
        self.serverNonce = serverNonce
        self.clockSeconds = clockSeconds
    }
}

/// Opens the node's commitment: `POST /v1/registrations/{id}/reveal`.
public struct RegistrationReveal: Sendable, Codable, Equatable {
    /// The node's nonce: 32 bytes in lower-case hexadecimal digits.
    public var nodeNonce: String

    /// Makes a reveal from the nonce.
    public init(nodeNonce: String) { self.nodeNonce = nodeNonce }
}

/// Where a registration stands: reply to the reveal and to `GET /v1/registrations/{id}?waitSeconds=N`.
public struct RegistrationStatus: Sendable, Codable, Equatable {
    /// The version of this format.
    public var format = wireFormat
    /// The node's state at the server.
    public var state: NodeState
    /// Why, as a sentence for the console.
    public var reason: String
    /// The node's id, once it is admitted.
    public var nodeID: NodeID?
    /// The node's certificate chain in PEM, once it is admitted.
    public var certificate: String?

    /// Makes a status from its parts.
    public init(state: NodeState, reason: String, nodeID: NodeID? = nil, certificate: String? = nil) {
        self.state = state
        self.reason = reason
        self.nodeID = nodeID
        self.certificate = certificate
    }
}

/// The bytes that both sides hash during a registration.
public enum RegistrationTranscript {
    /// What the node's commitment is the SHA-256 of: a label, its public key's digest and its nonce.
    public static func commitmentInput(nodeKey: Digest256, nodeNonce: [UInt8]) -> [UInt8] {
        Array("apus-registration-commitment-v1\0".utf8) + nodeKey.bytes + nodeNonce
    }

    /// What the challenge code is derived from: a label, the SHA-256 of both public keys (SubjectPublicKeyInfo,
    /// RFC 5280 section 4.1.2.7; the server's is its CA's) and both nonces.
    public static func codeInput(
        nodeKey: Digest256, serverKey: Digest256, nodeNonce: [UInt8], serverNonce: [UInt8]
    ) -> [UInt8] {
        Array("apus-registration-code-v1\0".utf8) + nodeKey.bytes + serverKey.bytes + nodeNonce + serverNonce
    }

    /// The code that a person compares: eight characters of Crockford base 32 (40 bits) of the SHA-256 of
    /// `codeInput`, written `XXXX-XXXX`.
    public static func code(from digest: Digest256) -> String {
        let alphabet = Array("0123456789ABCDEFGHJKMNPQRSTVWXYZ")
        var bits = digest.bytes.prefix(5).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        var characters: [Character] = []
        for _ in 0..<8 {
            characters.append(alphabet[Int(bits & 31)])
            bits >>= 5
        }
        let text = characters.reversed()
        return String(text.prefix(4)) + "-" + String(text.dropFirst(4))
    }
}
