public import Contract

/// What a partition of ours is for, in the order in which they lie on the disk.
public enum PartitionRole: String, Sendable, Codable, CaseIterable, Hashable {
    /// The boot artifact, on a FAT32 EFI system partition with the fallback path.
    case recovery
    /// Slot A's UKI, on a FAT32 partition of its own.
    case bootA = "boot-a"
    /// Slot B's UKI, on a FAT32 partition of its own.
    case bootB = "boot-b"
    /// Two copies of the boot record, raw.
    case record
    /// Slot A's root filesystem.
    case rootA = "root-a"
    /// Slot A's dm-verity tree.
    case treeA = "tree-a"
    /// Slot B's root filesystem.
    case rootB = "root-b"
    /// Slot B's dm-verity tree.
    case treeB = "tree-b"
    /// What outlives every release, mounted at `/var`.
    case state

    /// The GPT name, such as `apus-boot-a`.
    public var label: String { "apus-\(rawValue)" }

    /// The role of a GPT name, or nil for others' partitions.
    public init?(label: String) {
        guard label.hasPrefix("apus-") else { return nil }
        self.init(rawValue: String(label.dropFirst(5)))
    }

    /// The UKI's partition of a slot.
    public static func boot(_ slot: SlotName) -> PartitionRole { slot == .a ? .bootA : .bootB }
    /// The root filesystem's partition of a slot.
    public static func root(_ slot: SlotName) -> PartitionRole { slot == .a ? .rootA : .rootB }
    /// The verity tree's partition of a slot.
    public static func tree(_ slot: SlotName) -> PartitionRole { slot == .a ? .treeA : .treeB }

    /// The partition that holds what a target starts from.
    public static func boot(_ target: StartTarget) -> PartitionRole {
        switch target {
        case .slot(let slot): boot(slot)
        case .recovery: .recovery
        }
    }

    /// The partition type: EFI system (UEFI 2.10, table 5.7), those of the Discoverable Partitions Specification, and
    /// our own for the record.
    public func type(_ architecture: Architecture) -> GUID {
        switch (self, architecture) {
        case (.recovery, _), (.bootA, _), (.bootB, _): Self.systemPartition
        case (.record, _): Self.recordPartition
        case (.rootA, .amd64), (.rootB, .amd64): Self.rootAMD64
        case (.rootA, .arm64), (.rootB, .arm64): Self.rootARM64
        case (.treeA, .amd64), (.treeB, .amd64): Self.treeAMD64
        case (.treeA, .arm64), (.treeB, .arm64): Self.treeARM64
        case (.state, _): Self.variableData
        }
    }

    private static let systemPartition = GUID(constant: "c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
    private static let recordPartition = GUID(constant: "61707573-0001-4000-8000-7265636f7264")
    private static let rootAMD64 = GUID(constant: "4f68bce3-e8cd-4db1-96e7-fbcaf984b709")
    private static let rootARM64 = GUID(constant: "b921b045-1df0-41c3-af44-4c6f280d3fae")
    private static let treeAMD64 = GUID(constant: "2c7357ed-ebd2-46d9-aec1-23d437ec2bf5")
    private static let treeARM64 = GUID(constant: "df3300ce-d69f-4c92-978c-9bfb0f38d820")
    private static let variableData = GUID(constant: "4d21b016-b534-45c2-a9fb-5c16e091fd2d")
}

/// A partition as a table describes it: mostly one that is on a disk now.
public struct ExistingPartition: Sendable, Equatable, Codable {
    /// Its number in the table, from 1.
    public var number: Int
    /// Its own identifier.
    public var uuid: GUID
    /// Its type.
    public var type: GUID
    /// Its GPT name.
    public var label: String
    /// Where it begins, in bytes.
    public var startBytes: UInt64
    /// Its size in bytes.
    public var sizeBytes: UInt64

    /// Describes a partition.
    public init(number: Int, uuid: GUID, type: GUID, label: String, startBytes: UInt64, sizeBytes: UInt64) {
        self.number = number
        self.uuid = uuid
        self.type = type
        self.label = label
        self.startBytes = startBytes
        self.sizeBytes = sizeBytes
    }

    /// What a plan's partition will be, once it is written.
    public init(_ planned: PlannedPartition) {
        self.init(
            number: planned.number, uuid: planned.uuid, type: planned.type, label: planned.label,
            startBytes: planned.startBytes, sizeBytes: planned.sizeBytes)
    }
}

/// How a disk will be divided: exact offsets and identifiers, nothing left to choose.
public struct PartitionPlan: Sendable, Equatable, Codable {
    /// The identifier of the new table; nil where the one on the disk is kept.
    public var diskUUID: GUID?
    /// The disk's logical sector size in bytes.
    public var sectorSizeBytes: Int
    /// The disk's size in bytes.
    public var diskSizeBytes: UInt64
    /// The partitions in order, one of each role, numbered from 1.
    public var partitions: [PlannedPartition]
    /// Whether the table on the disk already is this one and is left as it is.
    public var keepsTable: Bool
    /// Whether the state partition's content is kept.
    public var keepsState: Bool

    /// Describes a division.
    public init(
        diskUUID: GUID?, sectorSizeBytes: Int, diskSizeBytes: UInt64, partitions: [PlannedPartition], keepsTable: Bool,
        keepsState: Bool
    ) {
        self.diskUUID = diskUUID
        self.sectorSizeBytes = sectorSizeBytes
        self.diskSizeBytes = diskSizeBytes
        self.partitions = partitions
        self.keepsTable = keepsTable
        self.keepsState = keepsState
    }

    /// The partition of a role.
    public subscript(role: PartitionRole) -> PlannedPartition? { partitions.first { $0.role == role } }
}

/// One partition of a plan.
public struct PlannedPartition: Sendable, Equatable, Codable {
    /// What it is for.
    public var role: PartitionRole
    /// Its number in the table, from 1.
    public var number: Int
    /// Its own identifier, random.
    public var uuid: GUID
    /// Its type.
    public var type: GUID
    /// Where it begins, in bytes.
    public var startBytes: UInt64
    /// Its size in bytes.
    public var sizeBytes: UInt64

    /// Its GPT name.
    public var label: String { role.label }

    /// Describes a partition.
    public init(role: PartitionRole, number: Int, uuid: GUID, type: GUID, startBytes: UInt64, sizeBytes: UInt64) {
        self.role = role
        self.number = number
        self.uuid = uuid
        self.type = type
        self.startBytes = startBytes
        self.sizeBytes = sizeBytes
    }
}
