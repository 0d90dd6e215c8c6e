public import Contract

/// What a slot holds, as far as this program may rely on it.
public enum SlotContents: Sendable, Equatable {
    /// Nothing that may be started.
    case empty
    /// Being written; not bootable. The release is named so that an interrupted write can be resumed.
    case writing(Digest256)
    /// Written, flushed and read back; its UKI is in place.
    case verified(InstalledRelease)

    /// The release, where the slot is verified.
    public var installed: InstalledRelease? {
        if case .verified(let release) = self { release } else { nil }
    }

    /// What a node's status says of the slot.
    public var report: SlotReport {
        switch self {
        case .empty: SlotReport(state: "empty")
        case .writing(let release): SlotReport(state: "writing", release: release)
        case .verified(let installed):
            SlotReport(state: "verified", release: installed.release, version: installed.version)
        }
    }
}

/// A release as it stands verified in a slot.
public struct InstalledRelease: Sendable, Equatable {
    /// The release's name; nil where the record was rebuilt from a slot's command line, which cannot carry it.
    public var release: Digest256?
    /// Its version, for people.
    public var version: String
    /// Its epoch: a node refuses releases of an epoch below the one it has committed.
    public var epoch: Int
    /// The architecture that it runs on.
    public var architecture: Architecture
    /// The dm-verity root hash of its root filesystem.
    public var rootHash: Digest256
    /// The dm-verity salt, at most 256 bytes.
    public var salt: [UInt8]
    /// The root filesystem's size in blocks of 4096 bytes.
    public var blocks: UInt64
    /// SHA-256 of its UKI; nil where the record was rebuilt.
    public var ukiDigest: Digest256?
    /// The size of its UKI in bytes; 0 where the record was rebuilt.
    public var ukiBytes: UInt64
    /// The boot artifact that it brings for the recovery partition; nil where the record was rebuilt.
    public var recovery: BootRecord.RecoveryArtifact?
    var preserved = PreservedFields()

    /// Makes a description from its parts.
    public init(
        release: Digest256?, version: String, epoch: Int, architecture: Architecture, rootHash: Digest256,
        salt: [UInt8], blocks: UInt64, ukiDigest: Digest256?, ukiBytes: UInt64,
        recovery: BootRecord.RecoveryArtifact? = nil
    ) {
        self.release = release
        self.version = version
        self.epoch = epoch
        self.architecture = architecture
        self.rootHash = rootHash
        self.salt = salt
        self.blocks = blocks
        self.ukiDigest = ukiDigest
        self.ukiBytes = ukiBytes
        self.recovery = recovery
    }
}

extension InstalledRelease: Codable {
    enum Key: String, CodingKey, CaseIterable {
        case release, version, epoch, architecture, rootHash, salt, blocks, ukiDigest, ukiBytes, recovery
    }

    /// Reads the JSON form; throws where it is not valid.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        release = try container.decodeIfPresent(Digest256.self, forKey: .release)
        version = try container.decode(String.self, forKey: .version)
        epoch = try container.decode(Int.self, forKey: .epoch)
        architecture = try container.decode(Architecture.self, forKey: .architecture)
        rootHash = try container.decode(Digest256.self, forKey: .rootHash)
        let hex = try container.decode(String.self, forKey: .salt)
        guard hex.utf8.count <= 512, let bytes = [UInt8](lowercaseHex: hex) else {
            throw DecodingError.dataCorruptedError(
                forKey: .salt, in: container, debugDescription: "a salt is at most 512 lower-case hexadecimal digits")
        }
        salt = bytes
        blocks = try container.decode(UInt64.self, forKey: .blocks)
        ukiDigest = try container.decodeIfPresent(Digest256.self, forKey: .ukiDigest)
        ukiBytes = try container.decode(UInt64.self, forKey: .ukiBytes)
        recovery = try container.decodeIfPresent(BootRecord.RecoveryArtifact.self, forKey: .recovery)
        preserved = try PreservedFields(from: decoder, besides: Key.self)
    }

    /// Writes the JSON form.
    public func encode(to encoder: any Encoder) throws {
        try preserved.encode(to: encoder)
        var container = encoder.container(keyedBy: Key.self)
        try container.encodeIfPresent(release, forKey: .release)
        try container.encode(version, forKey: .version)
        try container.encode(epoch, forKey: .epoch)
        try container.encode(architecture, forKey: .architecture)
        try container.encode(rootHash, forKey: .rootHash)
        try container.encode(salt.lowercaseHex, forKey: .salt)
        try container.encode(blocks, forKey: .blocks)
        try container.encodeIfPresent(ukiDigest, forKey: .ukiDigest)
        try container.encode(ukiBytes, forKey: .ukiBytes)
        try container.encodeIfPresent(recovery, forKey: .recovery)
    }
}

extension SlotContents: Codable {
    private enum Key: String, CodingKey { case state, release, installed }

    /// Reads the JSON form; throws where it is not valid.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        switch try container.decode(String.self, forKey: .state) {
        case "empty": self = .empty
        case "writing": self = .writing(try container.decode(Digest256.self, forKey: .release))
        case "verified": self = .verified(try container.decode(InstalledRelease.self, forKey: .installed))
        default:
            throw DecodingError.dataCorruptedError(
                forKey: .state, in: container, debugDescription: "a slot is empty, writing or verified")
        }
    }

    /// Writes the JSON form.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        switch self {
        case .empty: try container.encode("empty", forKey: .state)
        case .writing(let release):
            try container.encode("writing", forKey: .state)
            try container.encode(release, forKey: .release)
        case .verified(let installed):
            try container.encode("verified", forKey: .state)
            try container.encode(installed, forKey: .installed)
        }
    }
}
