public import Decisions
public import Linux

/// Why a disk's table could not be read or written.
public struct PartitionError: Error, Sendable, Equatable, CustomStringConvertible {
    /// A sentence that says what to do.
    public var description: String

    /// Makes an error from its sentence.
    public init(_ description: String) { self.description = description }
}

/// Reads, writes and repairs the GUID Partition Tables of disks and disk images (UEFI Specification 2.10, section 5.3).
///
/// Everything goes through `BlockDevice`, so that the same code runs on a disk, on a file and on a simulated disk whose
/// power is cut between two writes.
public enum Partitions {
    /// The partitions that are on a disk now; empty where there is no valid table.
    public static func existing(on device: any BlockDevice) throws -> [ExistingPartition] {
        guard let table = try PartitionTable(of: device) else { return [] }
        return table.partitions.compactMap { partition in
            guard let uuid = GUID(partition.uuid.description), let type = GUID(partition.type.description) else {
                return nil
            }
            return ExistingPartition(
                number: partition.number, uuid: uuid, type: type, label: partition.name,
                startBytes: partition.startBytes, sizeBytes: partition.sizeBytes)
        }
    }

    /// Makes the disk's table the plan's: old signatures wiped, both copies written, flushed and read back.
    ///
    /// A plan that keeps the table only repairs a damaged copy of it. Otherwise, at any instant of a power cut, the disk
    /// has the old table, none, or the whole new one; and no old content lies where a new partition begins.
    public static func apply(_ plan: PartitionPlan, to device: any BlockDevice) throws {
        if plan.keepsTable {
            try repair(device)
            try expect(plan, on: device)
            return
        }
        guard let diskUUID = plan.diskUUID else { throw PartitionError("the plan names no identifier for the table") }
        let layout = TableLayout(diskUUID: diskUUID, partitions: plan.partitions.map(ExistingPartition.init))
        guard plan.sectorSizeBytes == device.sectorSizeBytes, plan.diskSizeBytes == device.sizeBytes else {
            throw PartitionError(
                "the plan is for a disk of \(plan.diskSizeBytes) bytes with sectors of \(plan.sectorSizeBytes), and this "
                    + "one has \(device.sizeBytes) with sectors of \(device.sectorSizeBytes); plan again")
        }
        try write(layout, to: device, wipingOldSignatures: true)
        try expect(plan, on: device)
    }

    /// Writes a table of any partitions, flushed; `wipingOldSignatures` zeroes where each of them begins, where the last
    /// one ends, and what lies before the first.
    public static func write(_ layout: TableLayout, to device: any BlockDevice, wipingOldSignatures: Bool) throws {
        let image = try TableImage(layout, sectorSizeBytes: device.sectorSizeBytes, diskSizeBytes: device.sizeBytes)
        if wipingOldSignatures { try wipe(layout, image, on: device) }
        try image.write(to: device)
    }

    /// Completes a table of which one copy, or the protective record, was lost or torn; a whole one is not touched.
    /// Returns whether anything had to be written. Throws where there is no valid copy.
    @discardableResult
    public static func repair(_ device: any BlockDevice) throws -> Bool {
        guard let table = try PartitionTable(of: device) else {
            throw PartitionError("the disk has no valid partition table to repair; provision it again")
        }
        if table.isWhole { return false }
        guard let diskUUID = GUID(table.diskUUID.description) else {
            throw PartitionError("the disk's partition table has no identifier; provision it again")
        }
        let layout = TableLayout(diskUUID: diskUUID, partitions: try existing(on: device))
        try write(layout, to: device, wipingOldSignatures: false)
        return true
    }

    /// Completes what a power cut left of our own tables, and shows them to the kernel: while one copy or the protective
    /// record is missing, kernel and firmware may see no partitions at all. Returns what was done or failed, for the log.
    ///
    /// Only disks with a boot record among nothing but our partitions are touched; a stick that holds the boot artifact
    /// is none of them.
    public static func repairInstalled(nodes: BlockNodes = BlockNodes()) -> [String] {
        nodes.disks().compactMap { disk in
            guard let (table, sector) = nodes.table(of: disk),
                table.partitions.contains(where: { $0.name == PartitionRole.record.label }),
                table.partitions.allSatisfy({ PartitionRole(label: $0.name) != nil })
            else { return nil }
            let numbers = table.partitions.map(\.number)
            if table.isWhole, numbers.allSatisfy({ nodes.path(ofPartition: $0, disk: disk) != nil }) { return nil }
            do {
                try repair(try FileBlockDevice(path: nodes.path(of: disk), sectorSizeBytes: sector))
                try announce(numbers, ofDisk: disk, nodes: nodes, attempts: 10)
                return "completed the partition table of \(disk), which was damaged or cut short"
            } catch {
                return "ignoring that the partition table of \(disk) cannot be completed: \(error)"
            }
        }
    }

    /// Makes the kernel take over a disk's new table, and returns once it has a node for each partition.
    ///
    /// Throws `EBUSY` where a partition of the disk stays in use.
    public static func announce(
        _ numbers: [Int], ofDisk name: String, nodes: BlockNodes = BlockNodes(), attempts: Int = 50
    ) throws {
        for attempt in 1...max(1, attempts) {
            do {
                try FileBlockDevice.rereadPartitions(of: nodes.path(of: name))
                break
            } catch {
                // Whoever looks at a new disk (udev, a scan) has it open for a moment.
                guard attempt < attempts else { throw error }
                Clock.pause(milliseconds: 100)
            }
        }
        for attempt in 1...max(1, attempts) {
            let missing = numbers.filter { number in
                nodes.path(ofPartition: number, disk: name).map { !Files.exists($0) } ?? true
            }
            if missing.isEmpty { return }
            guard attempt < attempts else {
                throw PartitionError(
                    "the kernel shows no node for partition \(missing[0]) of \(name); is devtmpfs mounted on /dev?")
            }
            Clock.pause(milliseconds: 100)
        }
    }

    private static func expect(_ plan: PartitionPlan, on device: any BlockDevice) throws {
        let wanted = plan.partitions.map(ExistingPartition.init)
        guard let table = try PartitionTable(of: device), table.isWhole,
            try existing(on: device) == wanted.sorted(by: { $0.number < $1.number })
        else {
            throw PartitionError("the disk does not hold the table that was written; it is defective, replace it")
        }
    }

    /// How much is zeroed at each place: the labels of ZFS and the superblocks of btrfs lie this far in.
    private static let wipeBytes: UInt64 = 1 << 20

    private static func wipe(_ layout: TableLayout, _ image: TableImage, on device: any BlockDevice) throws {
        let sorted = layout.partitions.sorted { $0.startBytes < $1.startBytes }
        guard let first = sorted.first, let last = sorted.last else { return }
        var ranges = sorted.map { $0.startBytes..<$0.startBytes + min($0.sizeBytes, wipeBytes) }
        ranges.append(image.primaryEnd..<max(image.primaryEnd, min(first.startBytes, image.primaryEnd + wipeBytes)))
        let end = last.startBytes + last.sizeBytes
        // Metadata of RAID members lies at the very end, in the last partition or after it.
        ranges.append(max(last.startBytes, end - min(end, wipeBytes))..<end)
        ranges.append(max(end, image.backupStart - min(image.backupStart, wipeBytes))..<image.backupStart)
        let zeros = [UInt8](repeating: 0, count: Int(wipeBytes))
        for range in ranges where !range.isEmpty {
            try zeros.withUnsafeBytes { bytes in
                try device.write(UnsafeRawBufferPointer(rebasing: bytes[..<range.count]), at: range.lowerBound)
            }
        }
        try device.flush()
    }
}

/// A table to be written: what is where, with nothing left to choose.
public struct TableLayout: Sendable, Equatable {
    /// The table's own identifier.
    public var diskUUID: GUID
    /// The partitions.
    public var partitions: [Partition]

    /// One partition, with a number from 1 to 128 and a label of at most 36 UTF-16 units.
    public typealias Partition = ExistingPartition

    /// Describes a table.
    public init(diskUUID: GUID, partitions: [Partition]) {
        self.diskUUID = diskUUID
        self.partitions = partitions
    }
}
