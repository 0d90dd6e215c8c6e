internal import Contract
public import Decisions
public import Linux
internal import Slots

/// A disk that carries our partitions, with the node of each.
public final class InstalledDisk {
    /// One partition of ours.
    public struct Partition: Sendable, Equatable {
        /// Its node, such as `/dev/vda3`.
        public var path: String
        /// Its own identifier.
        public var uuid: Decisions.GUID
        /// Its number in the table.
        public var number: Int
        /// Where it begins on the disk, in bytes.
        public var startBytes: UInt64
        /// Its size in bytes.
        public var sizeBytes: UInt64
    }

    /// The kernel's name for the disk, such as `vda`.
    public let name: String
    /// The disk's logical sector size in bytes.
    public let sectorSizeBytes: Int
    /// Our partitions.
    public let partitions: [PartitionRole: Partition]

    init(name: String, sectorSizeBytes: Int, partitions: [PartitionRole: Partition]) {
        self.name = name
        self.sectorSizeBytes = sectorSizeBytes
        self.partitions = partitions
    }

    /// The disk that carries our boot record.
    ///
    /// A partition counts as ours by its name and its type together. Among several disks of ours it is the one with the
    /// partition `bootPartition`, then the first by name. A stick that holds the boot artifact has no boot record, and
    /// so is none of them.
    public static func find(bootPartition: Decisions.GUID?) -> InstalledDisk? {
        var byDisk: [String: (sector: Int, found: [PartitionRole: Partition], hasBoot: Bool)] = [:]
        for found in BlockNodes().allPartitions() {
            guard let role = PartitionRole(label: found.partition.name),
                let uuid = Decisions.GUID(found.partition.uuid.description),
                role.type(.current).text == found.partition.type.description
            else { continue }
            var disk = byDisk[found.disk] ?? (found.sectorSizeBytes, [:], false)
            // Of two with one name, which no disk of ours has, the first counts.
            if disk.found[role] == nil {
                disk.found[role] = Partition(
                    path: found.path, uuid: uuid, number: found.partition.number,
                    startBytes: found.partition.startBytes, sizeBytes: found.partition.sizeBytes)
            }
            disk.hasBoot = disk.hasBoot || uuid == bootPartition
            byDisk[found.disk] = disk
        }
        let ours = byDisk.filter { $0.value.found[.record] != nil }.sorted { $0.key < $1.key }
        guard let chosen = ours.first(where: \.value.hasBoot) ?? ours.first else { return nil }
        return InstalledDisk(name: chosen.key, sectorSizeBytes: chosen.value.sector, partitions: chosen.value.found)
    }

    /// Where a role's partition is.
    /// - Throws: `NodeError` where the disk lacks it.
    public func partition(_ role: PartitionRole) throws(NodeError) -> Partition {
        guard let partition = partitions[role] else {
            throw NodeError("disk \(name) has no partition '\(role.label)'")
        }
        return partition
    }

    /// Opens a partition.
    /// - Throws: `NodeError` or `SystemError`.
    public func open(_ role: PartitionRole, writable: Bool) throws -> FileBlockDevice {
        try FileBlockDevice(
            path: try partition(role).path, sectorSizeBytes: sectorSizeBytes, writable: writable)
    }

    /// What the boot decision needs to know of it.
    public func facts() -> DiskFacts {
        var facts = DiskFacts(name: name, partitions: partitions.mapValues(\.uuid), startable: [])
        for target in StartTarget.allCases where holdsFile(of: target) { facts.startable.insert(target) }
        return facts
    }

    /// Whether a target's FAT is valid and holds its file.
    private func holdsFile(of target: StartTarget) -> Bool {
        guard let device = try? open(PartitionRole.boot(target), writable: false),
            let volume = try? FATVolume(device), (try? volume.open(InstalledDisk.path(of: target))) != nil
        else { return false }
        return true
    }

    /// The path of a target's file on its FAT.
    public static func path(of target: StartTarget) -> String {
        switch target {
        case .slot: BootNames.slotPath
        case .recovery: BootNames.recoveryPath(.current)
        }
    }

    /// A slot's root and tree.
    func slot(_ slot: SlotName, writable: Bool) throws -> SlotPartitions {
        SlotPartitions(
            name: "slot \(slot.letter)", root: try open(.root(slot), writable: writable),
            tree: try open(.tree(slot), writable: writable))
    }
}

/// The disk that record, slots and state are read from and written to; one for all effects of a program.
public final class DiskInUse {
    /// The disk, once there is one.
    public var disk: InstalledDisk?

    /// Starts with a disk, or none.
    public init(_ disk: InstalledDisk? = nil) { self.disk = disk }

    /// The disk.
    /// - Throws: `NodeError` where none is in use.
    public func get() throws(NodeError) -> InstalledDisk {
        guard let disk else { throw NodeError("no disk of this machine carries an installation") }
        return disk
    }
}
