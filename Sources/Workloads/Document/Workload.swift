import Contract
import FoundationEssentials

/// A workload: what a person names, labels and changes. Each change makes a new revision.
public struct Workload: Sendable, Hashable {
    /// Its name, unique at the server.
    public var name: WorkloadName
    /// Labels for people and programs.
    public var labels: [String: String]
    /// What is to run.
    public var revision: Revision

    /// Makes a workload from its parts.
    public init(name: WorkloadName, labels: [String: String] = [:], revision: Revision) {
        self.name = name
        self.labels = labels
        self.revision = revision
    }

    /// Reads a JSON document; the error names everything that is wrong.
    ///
    /// - Parameter requiresDigest: false only where tags are still to be resolved: at the server's front door.
    public init(parsing bytes: [UInt8], requiresDigest: Bool = true) throws(DocumentError) {
        let value: DocumentValue
        do {
            value = try DocumentValue(parsing: bytes)
        } catch {
            throw DocumentError(problems: [DocumentProblem(path: "", reason: error.description)])
        }
        try self.init(document: value, requiresDigest: requiresDigest)
    }

    /// Reads a document that was parsed before, from JSON or YAML.
    public init(document: DocumentValue, requiresDigest: Bool = true) throws(DocumentError) {
        let findings = DocumentFindings()
        let item = DocumentItem(path: "", value: document, findings: findings)
        let parts = DocumentReader(item).map { reader in
            var reader = reader
            if let format = reader.take("format"), format.value != .integer(Int64(wireFormat)) {
                format.fail("allowed is \(wireFormat)")
            }
            let name = reader.require("name", WorkloadName.allowed)?.parsed(WorkloadName.allowed, WorkloadName.init)
            let labels = WorkloadLabels.read(reader.take("labels"))
            let revision = Revision(&reader, requiresDigest: requiresDigest)
            reader.finish(hints: ComposeHints.fields)
            return (name: name, labels: labels, revision: revision)
        }
        if let name = parts?.name, let revision = parts?.revision, revision.dependencies.contains(name) {
            findings.add("links", name.rawValue, "a workload cannot depend on itself")
        }
        try findings.check()
        guard let parts, let name = parts.name, let revision = parts.revision else {
            throw DocumentError(problems: [DocumentProblem(path: "", reason: "allowed is an object with named fields")])
        }
        self.init(name: name, labels: parts.labels, revision: revision)
    }

    /// The whole document with every default written out; equal workloads have equal bytes in `document.json`.
    public var document: DocumentValue {
        var fields = revision.fields
        fields["format"] = .integer(Int64(wireFormat))
        fields["name"] = .string(name.rawValue)
        if !labels.isEmpty { fields["labels"] = .object(labels.mapValues { .string($0) }) }
        return .object(fields)
    }
}

extension Workload: Codable {
    /// Decodes a document as strictly as `init(document:requiresDigest:)`.
    public init(from decoder: any Decoder) throws {
        let value = try DocumentValue(from: decoder)
        do {
            try self.init(document: value)
        } catch {
            throw DecodingError.dataCorrupted(
                DecodingError.Context(codingPath: decoder.codingPath, debugDescription: "\(error)"))
        }
    }

    /// Encodes the document with every default written out.
    public func encode(to encoder: any Encoder) throws { try document.encode(to: encoder) }
}

/// What to say about fields of the Compose Specification that have no counterpart.
enum ComposeHints {
    static let fields: [String: String] = [
        "build": "build and push the image, then name it by digest",
        "cap_add": "ask by name in permissions, such as capability.chown; the node's policy must allow it",
        "cap_drop": "no capability is held that was not asked for in permissions",
        "container_name": "the workload's name is the only one",
        "devices": "devices are granted to a workload by roles and grants, not by its document",
        "env_file": "write environment, and secrets for what is secret",
        "ipc": "namespaces are never shared", "pid": "namespaces are never shared",
        "userns_mode": "every workload has a user namespace of its own",
        "networks": "use egress, ports and links", "dns": "every workload has a resolver of its own",
        "extra_hosts": "use links", "expose": "use exposed_ports",
        "privileged": "it does not exist; ask by name in permissions",
        "security_opt": "the posture is fixed; ask by name in permissions",
        "sysctls": "kernel settings cannot be changed by a workload",
        "tmpfs": "use volumes with type tmpfs, which has a size",
        "memswap_limit": "workloads have no swap", "services": "one document describes one workload",
        "profiles": "use labels", "scale": "one instance runs on each matching node",
        "stdin_open": "use attach", "version": "use format",
    ]
}

/// A value that must not be seen: it prints as a placeholder everywhere but on the wire to its node.
public struct SecretValue: Sendable, Hashable, Codable, CustomStringConvertible, CustomReflectable {
    /// The bytes as they are written to the workload's file.
    public let bytes: [UInt8]

    /// Takes at most 64 KiB; nil for more.
    public init?(bytes: [UInt8]) {
        guard bytes.count <= 64 << 10 else { return nil }
        self.bytes = bytes
    }

    /// Never the value.
    public var description: String { "(secret)" }

    /// Shows no member to debuggers and `dump`.
    public var customMirror: Mirror { Mirror(self, children: []) }

    /// Decodes Base64 (RFC 4648, section 4).
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let data = Data(base64Encoded: try container.decode(String.self)),
            let value = SecretValue(bytes: Array(data))
        else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "a secret is at most 64 KiB in Base64")
        }
        self = value
    }

    /// Encodes Base64.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(Data(bytes).base64EncodedString())
    }
}
