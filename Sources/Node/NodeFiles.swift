public import Contract
internal import Linux

/// Who this node is, as the server told it: `node.json`.
public struct NodeIdentity: Sendable, Codable, Equatable {
    /// The version of this format.
    public var format = wireFormat
    /// The node's id.
    public var nodeID: NodeID
    /// The registration that admitted it, which its plans name.
    public var registrationID: String
    /// The server's address that it was admitted at.
    public var endpoint: String

    /// Makes an identity from its parts.
    public init(nodeID: NodeID, registrationID: String, endpoint: String) {
        self.nodeID = nodeID
        self.registrationID = registrationID
        self.endpoint = endpoint
    }
}

/// The node's files on the state partition: `/var/lib/apus` in the installed system. All are owner-only, and each
/// write replaces a file as a whole and survives a power cut.
public struct NodeFiles: Sendable {
    /// The directory.
    public let directory: String
    /// Where the directory is in the installed system.
    public static let installedDirectory = "/var/lib/apus"

    /// Names the directory; it need not exist yet.
    public init(directory: String = NodeFiles.installedDirectory) { self.directory = directory }

    /// The files of a state partition that is mounted somewhere else than at `/var`.
    public init(stateMountedAt path: String) { directory = path + "/lib/apus" }

    /// The files.
    public enum Name: String, Sendable, CaseIterable {
        /// `NodeIdentity`.
        case identity = "node.json"
        /// The node's private key in PEM.
        case key = "node.key"
        /// The node's certificate chain in PEM.
        case certificate = "node.crt"
        /// The site's facts that the node believes, `SiteTrust`, without a join token.
        case trust = "trust.json"
        /// The network settings that worked, `NetworkSettings`.
        case network = "network.json"
        /// What the recovery partition holds as `apus.json`, where the node was told of its site by a boot medium.
        case medium = "apus.json"
        /// What the agent remembers.
        case agent = "agent.json"
        /// What the node remembers of the server's audit log, `AuditHead`.
        case auditHead = "audit-head.json"
        /// systemd's machine id (machine-id(5)).
        case machineID = "machine-id"
    }

    /// The path of a file.
    public func path(_ name: Name) -> String { directory + "/" + name.rawValue }

    /// Makes the directory where it is missing, and closes it to others.
    /// - Throws: `SystemError`.
    public func prepare() throws {
        try Files.makeDirectory(directory, mode: 0o700)
        try Files.setMode(directory, to: 0o700)
    }

    /// The text of a file, or nil where it does not exist.
    /// - Throws: `SystemError` where it cannot be read or is too large.
    public func text(_ name: Name) throws -> String? {
        guard Files.exists(path(name)) else { return nil }
        return String(decoding: try Files.read(path(name), limitBytes: WireLimit.message), as: UTF8.self)
    }

    /// The value of a JSON file, or nil where it does not exist.
    /// - Throws: `SystemError`, or `NodeError` that names the file where its content is wrong.
    public func value<Value: Decodable>(_ type: Value.Type, _ name: Name) throws -> Value? {
        guard Files.exists(path(name)) else { return nil }
        let bytes = try Files.read(path(name), limitBytes: WireLimit.message)
        do {
            return try Wire.decode(type, from: bytes)
        } catch {
            throw NodeError("'\(path(name))' is damaged: \(error)")
        }
    }

    /// Replaces a text file durably.
    public func write(_ text: String, _ name: Name) throws {
        try Files.writeDurably(Array(text.utf8), to: path(name))
    }

    /// Replaces a JSON file durably.
    public func write(_ value: some Encodable, as name: Name) throws {
        try Files.writeDurably(try Wire.encode(value), to: path(name))
    }

    /// The small files that go beside the boot artifact on the recovery partition: without `apus.json` an artifact that
    /// has no site built in could not recover.
    public func recoveryFiles() -> [(path: String, bytes: [UInt8])] {
        guard let text = try? text(.medium) else { return [] }
        return [(BootMedium.fileName, Array(text.utf8))]
    }

    /// Removes a file for good; one that is not there is fine.
    public func remove(_ name: Name) throws {
        try Files.remove(path(name))
        try Files.syncDirectory(directory)
    }
}
