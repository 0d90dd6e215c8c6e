/// What a node is told to do with its disk: immutable, signed by the server's CA key, fetched once admitted.
///
/// It travels as a `SignedEnvelope` whose `signed` has `_type` `apus-plan`.
public struct ProvisioningPlan: Sendable, Codable, Equatable {
    /// Always `apus-plan`.
    public var type = "apus-plan"
    /// The version of this format.
    public var format = wireFormat
    /// Rises with each plan for this node; a node refuses one that is not above the last it carried out.
    public var generation: Int
    /// The node that it is for.
    public var nodeID: NodeID
    /// The registration that it answers; a plan of another registration is stale.
    public var registrationID: String
    /// The release to install: the SHA-256 of its manifest.
    public var release: Digest256
    /// The release's version, for people.
    public var releaseVersion: String
    /// Which disk to take.
    public var disk: DiskRule
    /// How to divide it.
    public var layout: DiskLayout
    /// Whether the state partition and the node's key are erased where they exist.
    public var wipeState: Bool
    /// How to start the installed system.
    public var handOver: HandOver
    /// The server's clock in seconds since 1970 when the plan was made.
    public var clockSeconds: Int64

    enum CodingKeys: String, CodingKey {
        case type = "_type"
        case format, generation, nodeID, registrationID, release, releaseVersion, disk, layout, wipeState, handOver
        case clockSeconds
    }

    /// Makes a plan from its parts.
    public init(
        generation: Int, nodeID: NodeID, registrationID: String, release: Digest256, releaseVersion: String,
        disk: DiskRule, layout: DiskLayout, wipeState: Bool, handOver: HandOver, clockSeconds: Int64
    ) {
        self.generation = generation
        self.nodeID = nodeID
        self.registrationID = registrationID
        self.release = release
        self.releaseVersion = releaseVersion
        self.disk = disk
        self.layout = layout
        self.wipeState = wipeState
        self.handOver = handOver
        self.clockSeconds = clockSeconds
    }
}

/// How the installed system is started after provisioning.
public enum HandOver: String, Sendable, Codable {
    /// Reset through the firmware.
    case reboot
    /// Start the slot's kernel directly, without the firmware.
    case kexec
    /// Switch the machine off, as an imaging line wants it.
    case powerOff = "power-off"
}

/// Which disk to take: all that is given must hold; among several, the smallest, then the lowest path.
public struct DiskRule: Sendable, Codable, Equatable {
    /// The least size in bytes.
    public var minimumSizeBytes: UInt64?
    /// The largest size in bytes.
    public var maximumSizeBytes: UInt64?
    /// Accepted transports, such as `nvme`; empty accepts all but USB.
    public var transports: [String]
    /// The exact serial number.
    public var serial: String?
    /// A part of the model's name.
    public var model: String?
    /// Whether a disk with foreign data may be taken, which erases it.
    public var overwriteForeignData: Bool

    /// Makes a rule from its conditions.
    public init(
        minimumSizeBytes: UInt64? = nil, maximumSizeBytes: UInt64? = nil, transports: [String] = [],
        serial: String? = nil, model: String? = nil, overwriteForeignData: Bool = false
    ) {
        self.minimumSizeBytes = minimumSizeBytes
        self.maximumSizeBytes = maximumSizeBytes
        self.transports = transports
        self.serial = serial
        self.model = model
        self.overwriteForeignData = overwriteForeignData
    }
}

/// Sizes of the partitions in bytes. The state partition takes the rest.
public struct DiskLayout: Sendable, Codable, Equatable {
    /// The recovery ESP.
    public var recoveryBytes: UInt64
    /// Each slot's boot partition.
    public var bootBytes: UInt64
    /// Each slot's root partition.
    public var rootBytes: UInt64
    /// Each slot's verity tree partition.
    public var treeBytes: UInt64
    /// The least that must remain for state.
    public var minimumStateBytes: UInt64

    /// Makes a layout from its sizes.
    public init(
        recoveryBytes: UInt64, bootBytes: UInt64, rootBytes: UInt64, treeBytes: UInt64, minimumStateBytes: UInt64
    ) {
        self.recoveryBytes = recoveryBytes
        self.bootBytes = bootBytes
        self.rootBytes = rootBytes
        self.treeBytes = treeBytes
        self.minimumStateBytes = minimumStateBytes
    }

    /// 512 MiB recovery, 288 MiB boot and 2 GiB root a slot, 32 MiB trees, at least 1 GiB for state: fits 8 GB.
    ///
    /// 288 MiB leave a FAT32 file system with 4096-byte sectors above its least cluster count of 65525 (Microsoft
    /// FAT specification 1.03, "FAT type determination").
    public static let standard = DiskLayout(
        recoveryBytes: 512 << 20, bootBytes: 288 << 20, rootBytes: 2 << 30, treeBytes: 32 << 20,
        minimumStateBytes: 1 << 30)
}
