public import Contract

/// What the planners need to know of a release whose signed metadata was verified.
public struct ReleaseFacts: Sendable, Equatable {
    /// The release's name: the SHA-256 of its signed manifest.
    public var release: Digest256
    /// Its version, for people.
    public var version: String
    /// Its epoch.
    public var epoch: Int
    /// The architecture that it runs on.
    public var architecture: Architecture
    /// The dm-verity root hash.
    public var rootHash: Digest256
    /// The dm-verity salt.
    public var salt: [UInt8]
    /// The root filesystem's size in blocks of 4096 bytes.
    public var blocks: UInt64
    /// The size of the verity tree in bytes, its superblock included.
    public var treeBytes: UInt64
    /// SHA-256 of the slot's UKI.
    public var ukiDigest: Digest256
    /// The size of the slot's UKI in bytes.
    public var ukiBytes: UInt64
    /// The boot artifact that the release brings, for the recovery partition.
    public var recovery: BootRecord.RecoveryArtifact
    /// When the metadata expires, in seconds since 1970.
    public var expiresSeconds: Int64

    /// Describes a release.
    public init(
        release: Digest256, version: String, epoch: Int, architecture: Architecture, rootHash: Digest256,
        salt: [UInt8], blocks: UInt64, treeBytes: UInt64, ukiDigest: Digest256, ukiBytes: UInt64,
        recovery: BootRecord.RecoveryArtifact, expiresSeconds: Int64
    ) {
        self.release = release
        self.version = version
        self.epoch = epoch
        self.architecture = architecture
        self.rootHash = rootHash
        self.salt = salt
        self.blocks = blocks
        self.treeBytes = treeBytes
        self.ukiDigest = ukiDigest
        self.ukiBytes = ukiBytes
        self.recovery = recovery
        self.expiresSeconds = expiresSeconds
    }

    /// What the boot record says of a slot that holds it.
    public var installed: InstalledRelease {
        InstalledRelease(
            release: release, version: version, epoch: epoch, architecture: architecture, rootHash: rootHash,
            salt: salt, blocks: blocks, ukiDigest: ukiDigest, ukiBytes: ukiBytes, recovery: recovery)
    }

    /// The size of the root filesystem in bytes.
    public var rootBytes: UInt64 { blocks.multipliedReportingOverflow(by: 4096).partialValue }
}
