/// Upper bounds of what an image may be; units are in the names, and everything is per image.
public struct ImageLimits: Sendable, Equatable {
    /// A manifest or index. The distribution specification asks registries to take at least 4 MiB.
    public var manifestBytes = 4 << 20
    /// A configuration.
    public var configBytes = 1 << 20
    /// How many layers there may be.
    public var layers = 127
    /// All layers as they travel.
    public var packedBytes: UInt64 = 16 << 30
    /// All layers' archives and all files' bytes, unpacked.
    public var unpackedBytes: UInt64 = 32 << 30
    /// How many times larger than packed a layer may be, once it is larger than `bombFloorBytes`.
    public var expansion: UInt64 = 250
    /// Below this size, unpacked, the expansion is not looked at: an empty archive compresses well.
    public var bombFloorBytes: UInt64 = 32 << 20
    /// Entries of all layers together, whiteouts included. Merging takes about a kilobyte of memory for each, for as long
    /// as it lasts: whoever runs it in a long-lived process sets this by what that process may take.
    public var entries = 300_000
    /// The bytes of all names, link targets and extended attributes together; what the table keeps in memory.
    public var nameBytes = 48 << 20
    /// What the table of all files may take in memory, about.
    public var tableBytes = 64 << 20
    /// One path, as `PATH_MAX` less its end.
    public var pathBytes = 4095
    /// One name, as `NAME_MAX`.
    public var componentBytes = 255
    /// Directories above one another.
    public var depth = 128
    /// The extended attributes of one file, names and values.
    public var attributeBytes = 16 << 10

    /// The directory of a zip, which libarchive keeps in memory as a whole.
    public var directoryBytes = 16 << 20

    /// The limits that the agent uses.
    public static let standard = ImageLimits()

    /// Those of a function's zip: 250 MB unpacked, as on Lambda, and no more than that packed (Lambda developer guide,
    /// "Lambda quotas", deployment package).
    public static let zip: ImageLimits = {
        var limits = ImageLimits()
        limits.packedBytes = 250 << 20
        limits.unpackedBytes = 250 << 20
        limits.entries = 100_000
        limits.nameBytes = 16 << 20
        limits.tableBytes = 32 << 20
        return limits
    }()

    /// Makes the standard limits, to be changed.
    public init() {}
}

/// What to do with files that run with their owner's rights: set-user-id and set-group-id bits and file capabilities.
///
/// Workloads run with `no_new_privs`, where these have no effect; they are kept only where a policy allows them.
public enum SetIDRule: String, Sendable, Codable {
    /// The image is refused.
    case refuse
    /// The bits and the capabilities are left out of the tree, and the tree says of how many files.
    case strip
    /// They are kept.
    case keep
}

/// What a policy lets an image's layers have.
public struct LayerPolicy: Sendable, Equatable {
    /// What becomes of set-id bits and file capabilities.
    public var setID: SetIDRule
    /// Owners are below this number: the size of a workload's user namespace.
    public var owners: UInt32

    /// Makes a policy; by default set-id bits are stripped and owners are below 65,536.
    public init(setID: SetIDRule = .strip, owners: UInt32 = 65_536) {
        self.setID = setID
        self.owners = owners
    }
}
