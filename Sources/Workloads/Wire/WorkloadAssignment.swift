public import Contract

/// Bounds of what server and node say to each other about workloads, in bytes unless the name says otherwise.
public enum WorkloadWireLimit {
    /// An assignment.
    public static let assignment = 4 << 20
    /// A node's reports.
    public static let reports = 512 << 10
    /// Images in a node's reports.
    public static let reportedImages = 512
    /// A reason in a node's reports.
    public static let reason = 1024
    /// Registries that one server knows.
    public static let registries = 64
    /// A registry's CA certificates.
    public static let certificates = 64 << 10
    /// A user name, or a password, for a registry.
    public static let credential = 4096
    /// Secrets that one server knows.
    public static let secrets = 4096
    /// Revisions that the server keeps of each workload.
    public static let revisions = 20
}

/// All that the server wants of a node's workloads: `GET /v1/node/workloads`.
///
/// It holds secrets: a node keeps them in files for their owner only, and neither prints it nor hands it on.
public struct WorkloadAssignment: Sendable, Codable, Equatable, CustomStringConvertible, CustomReflectable {
    /// The version of this format.
    public var format = wireFormat
    /// Differs from every earlier assignment's of this node; `DesiredState.workloads` names the newest.
    public var generation: Int
    /// What this node lets workloads have.
    public var policy: NodePolicy
    /// How registries are reached; those that are not listed are asked without a name, by the system's authorities.
    public var registries: [RegistryAccount]
    /// The workloads, by name.
    public var workloads: [AssignedWorkload]

    /// Makes an assignment.
    public init(
        generation: Int, policy: NodePolicy = NodePolicy(), registries: [RegistryAccount] = [],
        workloads: [AssignedWorkload] = []
    ) {
        self.generation = generation
        self.policy = policy
        self.registries = registries
        self.workloads = workloads
    }

    /// Decodes and checks an assignment, as a node does with what arrives and with what lies on its disk.
    public static func decoded(from bytes: some Collection<UInt8>) throws(WireError) -> WorkloadAssignment {
        let assignment = try Wire.decode(
            WorkloadAssignment.self, from: bytes, limit: WorkloadWireLimit.assignment)
        guard assignment.workloads.count <= WorkloadLimit.workloadsPerNode else {
            throw WireError("an assignment has at most \(WorkloadLimit.workloadsPerNode) workloads")
        }
        guard assignment.registries.count <= WorkloadWireLimit.registries else {
            throw WireError("an assignment has at most \(WorkloadWireLimit.registries) registries")
        }
        return assignment
    }

    /// Its generation and the number of its workloads; never what is in it.
    public var description: String { "assignment \(generation) with \(workloads.count) workloads" }

    /// Shows no member to debuggers and `dump`.
    public var customMirror: Mirror { Mirror(self, children: []) }
}

/// One workload of an assignment.
public struct AssignedWorkload: Sendable, Codable, Equatable, CustomStringConvertible, CustomReflectable {
    /// The document as JSON, at most `WorkloadLimit.documentBytes`; `desired()` reads it.
    public var workload: String
    /// The SHA-256 of the revision's canonical bytes.
    public var revision: Digest256
    /// Whether an operator stopped it.
    public var isStopped: Bool
    /// Rises when an operator asks for a restart.
    public var restarts: Int
    /// The values of the secrets that the document names and the server has, by name.
    public var secrets: [String: SecretValue]

    /// Makes one workload of an assignment.
    public init(
        workload: String, revision: Digest256, isStopped: Bool = false, restarts: Int = 0,
        secrets: [String: SecretValue] = [:]
    ) {
        self.workload = workload
        self.revision = revision
        self.isStopped = isStopped
        self.restarts = restarts
        self.secrets = secrets
    }

    /// What the planner takes: the document read as strictly as everywhere. That the revision is the document's is for
    /// the caller to check, with the SHA-256 of `workload.revision.canonical`.
    public func desired() throws(DocumentError) -> DesiredWorkload {
        DesiredWorkload(
            workload: try Workload(parsing: Array(workload.utf8)), revision: revision, isStopped: isStopped,
            restarts: restarts)
    }

    /// The revision; never what is in it.
    public var description: String { "revision \(revision) and \(secrets.count) secrets" }

    /// Shows no member to debuggers and `dump`.
    public var customMirror: Mirror { Mirror(self, children: []) }
}

/// How one registry is reached.
public struct RegistryAccount: Sendable, Codable, Equatable, CustomStringConvertible, CustomReflectable {
    /// The registry as images name it, such as `registry.example:5000`.
    public var host: String
    /// A server that is asked before it, such as `https://mirror.example`; with `http://` it is spoken to in plain text:
    /// what it sends by digest is verified all the same.
    public var mirror: String?
    /// The user's name at the registry; never sent to the mirror.
    public var username: String?
    /// The password or access token.
    public var password: SecretValue?
    /// The CA certificates in PEM that are believed for the registry and its mirror; nil takes the system's.
    public var caPEM: String?

    /// Makes an account.
    public init(
        host: String, mirror: String? = nil, username: String? = nil, password: SecretValue? = nil,
        caPEM: String? = nil
    ) {
        self.host = host
        self.mirror = mirror
        self.username = username
        self.password = password
        self.caPEM = caPEM
    }

    /// The registry's name; never its password.
    public var description: String { "registry \(host)" }

    /// Shows no member to debuggers and `dump`.
    public var customMirror: Mirror { Mirror(self, children: []) }
}
