internal import CFdisk
internal import Decisions
internal import Linux

/// The bytes of a GPT in their places, made by libfdisk on a sparse file in memory.
///
/// libfdisk writes where and when it wants, straight into a descriptor. Here it writes into a scratch file, and the few
/// sectors that matter are then written to the real disk in an order with flushes in between, which survives a power
/// cut at every point.
struct TableImage {
    /// The protective MBR, padded to a sector.
    let protectiveRecord: [UInt8]
    let primaryHeader: Region
    let primaryEntries: Region
    let backupHeader: Region
    let backupEntries: Region

    /// Bytes and where they belong.
    struct Region {
        var offset: UInt64
        var bytes: [UInt8]
    }

    /// Where the primary copy ends, and where the backup copy begins, in bytes.
    var primaryEnd: UInt64 { primaryEntries.offset + UInt64(primaryEntries.bytes.count) }
    var backupStart: UInt64 { min(backupEntries.offset, backupHeader.offset) }

    init(_ layout: TableLayout, sectorSizeBytes: Int, diskSizeBytes: UInt64) throws {
        guard sectorSizeBytes == 512 || sectorSizeBytes == 4096 else {
            throw PartitionError("sectors of \(sectorSizeBytes) bytes are not supported; use 512 or 4096")
        }
        try Self.validate(layout, sectorSizeBytes: sectorSizeBytes, diskSizeBytes: diskSizeBytes)
        let scratch = try OwnedDescriptor.inMemory(name: "apus-table")
        try scratch.truncate(to: diskSizeBytes)
        try Fdisk.write(layout, to: scratch, sectorSizeBytes: sectorSizeBytes)

        let sector = UInt64(sectorSizeBytes)
        func read(_ offset: UInt64, _ count: Int) throws -> Region {
            var bytes = [UInt8](repeating: 0, count: count)
            try bytes.withUnsafeMutableBytes { try scratch.read(at: offset, into: $0) }
            return Region(offset: offset, bytes: bytes)
        }
        func entries(of header: Region) throws -> Region {
            func number(_ at: Int, _ count: Int) -> UInt64 {
                header.bytes[at..<at + count].reversed().reduce(0) { $0 << 8 | UInt64($1) }
            }
            let bytes = number(80, 4) * number(84, 4)
            return try read(number(72, 8) * sector, Int((bytes + sector - 1) / sector * sector))
        }
        protectiveRecord = try read(0, sectorSizeBytes).bytes
        primaryHeader = try read(sector, sectorSizeBytes)
        backupHeader = try read(diskSizeBytes / sector * sector - sector, sectorSizeBytes)
        primaryEntries = try entries(of: primaryHeader)
        backupEntries = try entries(of: backupHeader)
    }

    /// Writes backup, primary and protective record, in UEFI's order, each durable before the next.
    ///
    /// While one copy is being written the other one, old or new, is whole.
    func write(to device: any BlockDevice) throws {
        for copy in [[backupEntries, backupHeader], [primaryEntries, primaryHeader]] {
            for region in copy {
                try region.bytes.withUnsafeBytes { try device.write($0, at: region.offset) }
            }
            try device.flush()
        }
        try protectiveRecord.withUnsafeBytes { try device.write($0, at: 0) }
        try device.flush()
    }

    private static func validate(
        _ layout: TableLayout, sectorSizeBytes: Int, diskSizeBytes: UInt64
    ) throws(PartitionError) {
        let sector = UInt64(sectorSizeBytes)
        guard diskSizeBytes >= 2 << 20, diskSizeBytes <= 1 << 60 else {
            throw PartitionError("a disk of \(diskSizeBytes) bytes cannot be divided")
        }
        guard Set(layout.partitions.map(\.number)).count == layout.partitions.count,
            layout.partitions.allSatisfy({ (1...128).contains($0.number) }),
            Set(layout.partitions.map(\.uuid)).count == layout.partitions.count
        else { throw PartitionError("two partitions share a number or an identifier; plan again") }
        var end: UInt64 = 0
        for partition in layout.partitions.sorted(by: { $0.startBytes < $1.startBytes }) {
            let (partitionEnd, overflow) = partition.startBytes.addingReportingOverflow(partition.sizeBytes)
            guard !overflow, partition.sizeBytes > 0, partition.startBytes >= end, partitionEnd <= diskSizeBytes,
                partition.startBytes.isMultiple(of: sector), partition.sizeBytes.isMultiple(of: sector),
                partition.label.utf16.count <= 36
            else {
                throw PartitionError(
                    "partition \(partition.number) '\(partition.label)' overlaps another, does not lie on sectors, or "
                        + "reaches beyond the disk's \(diskSizeBytes) bytes; plan again")
            }
            end = partitionEnd
        }
    }
}

/// libfdisk, as far as it is needed.
private enum Fdisk {
    static func write(
        _ layout: TableLayout, to scratch: borrowing OwnedDescriptor, sectorSizeBytes: Int
    ) throws(PartitionError) {
        guard let context = fdisk_new_context() else { throw PartitionError("libfdisk has no memory") }
        defer { fdisk_unref_context(context) }
        fdisk_disable_dialogs(context, 1)
        let sector = UInt32(sectorSizeBytes)
        try check(fdisk_save_user_sector_size(context, sector, sector), "set the sector size")
        try check(fdisk_assign_device_by_fd(context, scratch.rawValue, "apus-table", 0), "open the table")
        defer { fdisk_deassign_device(context, 1) }
        try check(fdisk_create_disklabel(context, "gpt"), "make a table")
        try check(fdisk_set_disklabel_id_from_string(context, layout.diskUUID.text), "set the table's identifier")
        // It keeps a megabyte free before the first partition; the plan has decided that already.
        guard let label = fdisk_get_label(context, "gpt") else { throw PartitionError("libfdisk does not know GPT") }
        for partition in layout.partitions {
            try add(partition, to: context, label, sectorSizeBytes: UInt64(sectorSizeBytes))
        }
        try check(fdisk_write_disklabel(context), "write the table")
    }

    private static func add(
        _ partition: TableLayout.Partition, to context: OpaquePointer, _ label: OpaquePointer, sectorSizeBytes: UInt64
    ) throws(PartitionError) {
        guard let new = fdisk_new_partition(), let type = fdisk_label_parse_parttype(label, partition.type.text) else {
            throw PartitionError("libfdisk does not take the type \(partition.type)")
        }
        defer {
            fdisk_unref_partition(new)
            fdisk_unref_parttype(type)
        }
        try check(fdisk_partition_set_partno(new, partition.number - 1), "number a partition")
        try check(fdisk_partition_set_start(new, partition.startBytes / sectorSizeBytes), "place a partition")
        try check(fdisk_partition_set_size(new, partition.sizeBytes / sectorSizeBytes), "size a partition")
        // Without this it rounds the end to its own idea of alignment.
        try check(fdisk_partition_size_explicit(new, 1), "size a partition")
        try check(fdisk_partition_set_type(new, type), "type a partition")
        try check(fdisk_partition_set_uuid(new, partition.uuid.text), "identify a partition")
        try check(fdisk_partition_set_name(new, partition.label), "name a partition")
        var number = partition.number - 1
        try check(
            fdisk_add_partition(context, new, &number), "add partition \(partition.number) '\(partition.label)'")
        guard number == partition.number - 1 else {
            throw PartitionError("libfdisk gave partition \(partition.number) another number")
        }
    }

    private static func check(_ result: Int32, _ operation: String) throws(PartitionError) {
        guard result < 0 else { return }
        throw PartitionError("libfdisk cannot \(operation): \(SystemError.reason(-result))")
    }
}
