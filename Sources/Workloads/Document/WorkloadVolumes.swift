/// Something writable that a workload sees at a path.
public struct VolumeMount: Sendable, Hashable {
    /// Where it is seen: an absolute path without `.` and `..`.
    public var target: String
    /// Whether the workload may only read it.
    public var isReadOnly: Bool
    /// What it is.
    public var source: Source

    /// What a volume is.
    public enum Source: Sendable, Hashable {
        /// Kept on the node's state disk under the workload's name, with hard quotas.
        case persistent(name: WorkloadName, bytes: UInt64, inodes: Int)
        /// Memory, gone when the workload stops; counts to its memory.
        case memory(bytes: UInt64, mode: UInt16)
    }

    /// Makes a mount.
    public init(target: String, isReadOnly: Bool = false, source: Source) {
        self.target = target
        self.isReadOnly = isReadOnly
        self.source = source
    }

    /// The long syntax of the Compose Specification, whose `volume` also holds the quotas.
    init?(_ item: DocumentItem) {
        if case .string = item.value {
            item.fail("allowed is an object with type, source, target and a size: every volume has a quota here")
            return nil
        }
        guard var reader = DocumentReader(item) else { return nil }
        let kind = reader.require("type", "volume or tmpfs")?.choice(Kind.self)
        target = reader.require("target", "an absolute path")?.targetPath() ?? "/"
        isReadOnly = reader.take("read_only")?.flag() ?? false
        let name = reader.take("source")
        let quota = reader.take("volume")
        let memory = reader.take("tmpfs")
        reader.finish(hints: ["bind": "a workload sees no path of the node", "image": "one image per workload"])
        switch kind {
        case .volume:
            guard let source = Self.persistent(reader, name: name, quota: quota) else { return nil }
            memory?.fail("belongs to type tmpfs")
            self.source = source
        case .tmpfs:
            guard let source = Self.memory(reader, memory) else { return nil }
            for other in [name, quota] { other?.fail("belongs to type volume") }
            self.source = source
        case nil: return nil
        }
    }

    private enum Kind: String, CaseIterable { case volume, tmpfs }

    private static func persistent(
        _ reader: DocumentReader, name: DocumentItem?, quota: DocumentItem?
    ) -> Source? {
        guard let name else {
            reader.findings.add("\(reader.path).source", nil, "is missing; allowed is \(WorkloadName.allowed)")
            return nil
        }
        guard let quota, var fields = DocumentReader(quota) else {
            reader.findings.add("\(reader.path).volume", nil, "is missing; allowed is an object with size and inodes")
            return nil
        }
        let bytes = fields.require("size", "a size such as 1g")?.bytes(1 << 20...64 << 40)
        let inodes = fields.take("inodes")?.integer(16...1 << 31)
        fields.finish()
        guard let name = name.parsed(WorkloadName.allowed, WorkloadName.init), let bytes else { return nil }
        // One inode for 16 KiB is what ext4 itself is made with.
        return .persistent(name: name, bytes: bytes, inodes: inodes ?? max(1024, Int(bytes / 16_384)))
    }

    private static func memory(_ reader: DocumentReader, _ memory: DocumentItem?) -> Source? {
        guard let memory, var fields = DocumentReader(memory) else {
            reader.findings.add("\(reader.path).tmpfs", nil, "is missing; allowed is an object with size and mode")
            return nil
        }
        let bytes = fields.require("size", "a size such as 64m")?.bytes(64 << 10...1 << 40)
        let mode = fields.take("mode")?.fileMode(allowed: 0o1777)
        fields.finish()
        return bytes.map { .memory(bytes: $0, mode: mode ?? 0o1777) }
    }

    var value: DocumentValue {
        var fields: [String: DocumentValue] = ["target": .string(target), "read_only": .bool(isReadOnly)]
        switch source {
        case .persistent(let name, let bytes, let inodes):
            fields["type"] = .string("volume")
            fields["source"] = .string(name.rawValue)
            fields["volume"] = .object([
                "size": .string(WorkloadUnits.text(bytes: bytes)), "inodes": .integer(Int64(inodes)),
            ])
        case .memory(let bytes, let mode):
            fields["type"] = .string("tmpfs")
            fields["tmpfs"] = .object([
                "size": .string(WorkloadUnits.text(bytes: bytes)), "mode": .string(FileMode.text(mode)),
            ])
        }
        return .object(fields)
    }
}

/// A secret that the server holds, seen by the workload as a file in memory.
public struct SecretMount: Sendable, Hashable {
    /// The secret's name at the server.
    public var source: WorkloadName
    /// The file: an absolute path, or a name below `/run/secrets`.
    public var target: String
    /// Its owner inside the workload.
    public var uid: UInt32
    /// Its group inside the workload.
    public var gid: UInt32
    /// Its mode.
    public var mode: UInt16

    /// Makes a mount.
    public init(source: WorkloadName, target: String, uid: UInt32 = 0, gid: UInt32 = 0, mode: UInt16 = 0o400) {
        self.source = source
        self.target = target
        self.uid = uid
        self.gid = gid
        self.mode = mode
    }

    /// The short or the long syntax of the Compose Specification.
    init?(_ item: DocumentItem) {
        if case .string = item.value {
            guard let name = item.parsed(WorkloadName.allowed, WorkloadName.init) else { return nil }
            self.init(source: name, target: "/run/secrets/\(name)")
            return
        }
        guard var reader = DocumentReader(item) else { return nil }
        let name = reader.require("source", "a secret's name")?.parsed(WorkloadName.allowed, WorkloadName.init)
        let target = reader.take("target")
        let uid = reader.take("uid")?.identifier()
        let gid = reader.take("gid")?.identifier()
        let mode = reader.take("mode")?.fileMode(allowed: 0o777)
        reader.finish()
        guard let name else { return nil }
        var path = "/run/secrets/\(name)"
        if let target, case .string(let text) = target.value {
            if text.hasPrefix("/") {
                path = target.targetPath() ?? path
            } else if WorkloadPath.isComponent(text) {
                path = "/run/secrets/\(text)"
            } else {
                target.fail("allowed is an absolute path, or a file's name")
            }
        } else {
            target?.fail("allowed is an absolute path, or a file's name")
        }
        self.init(source: name, target: path, uid: uid ?? 0, gid: gid ?? 0, mode: mode ?? 0o400)
    }

    var value: DocumentValue {
        .object([
            "source": .string(source.rawValue), "target": .string(target), "uid": .integer(Int64(uid)),
            "gid": .integer(Int64(gid)), "mode": .string(FileMode.text(mode)),
        ])
    }
}

/// Permission bits in text: octal with a leading zero.
enum FileMode {
    static func text(_ mode: UInt16) -> String { "0" + String(mode, radix: 8) }
}

/// What a path inside a workload may look like.
enum WorkloadPath {
    static func isComponent(_ text: some StringProtocol) -> Bool {
        (1...255).contains(text.utf8.count) && text != "." && text != ".."
            && text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F && $0 != 0x2F }
    }

    /// Whether it is absolute, in its shortest form and no longer than 1024 bytes.
    static func isAbsolute(_ text: String) -> Bool {
        text == "/"
            || (text.hasPrefix("/") && text.utf8.count <= 1024
                && text.dropFirst().split(separator: "/", omittingEmptySubsequences: false).allSatisfy(isComponent))
    }
}

extension DocumentItem {
    /// An absolute path in its shortest form, where a mount may stand.
    func targetPath() -> String? {
        guard let path = absolutePath() else { return nil }
        for taken in ["/proc", "/sys", "/dev", "/"] where path == taken || (taken != "/" && path.hasPrefix(taken + "/"))
        {
            fail("allowed is an absolute path other than / and outside /dev, /proc and /sys")
            return nil
        }
        return path
    }

    func absolutePath() -> String? {
        parsed("an absolute path in its shortest form") { WorkloadPath.isAbsolute($0) ? $0 : nil }
    }

    /// Permission bits: a text of octal digits with a leading zero, or the number that YAML makes of it.
    func fileMode(allowed mask: UInt16) -> UInt16? {
        let parsed: UInt16? =
            switch value {
            case .string(let text) where text.hasPrefix("0"): UInt16(text, radix: 8)
            case .integer(let number): UInt16(exactly: number)
            default: nil
            }
        guard let parsed, parsed & ~mask == 0 else {
            fail("allowed are octal permission bits in quotes up to \"\(FileMode.text(mask))\"")
            return nil
        }
        return parsed
    }

    /// A user's or group's number inside the workload.
    func identifier() -> UInt32? {
        if case .string(let text) = value, let number = UInt32(text), number <= 65_535 { return number }
        return integer(0...65_535).map(UInt32.init)
    }
}
