public import Contract

/// Why a disk cannot be divided as the plan wants it.
public struct PartitionRefusal: Error, Sendable, Equatable, CustomStringConvertible {
    /// A sentence that says what to do.
    public var description: String

    /// Makes a refusal from its sentence.
    public init(_ sentence: String) { description = sentence }
}

/// What is known of the disk that is to be divided.
public struct PartitioningRequest: Sendable, Equatable {
    /// The disk's name, for messages.
    public var disk: String
    /// Its size in bytes.
    public var diskSizeBytes: UInt64
    /// Its logical sector size in bytes: 512 or 4096.
    public var sectorSizeBytes: Int
    /// The wanted sizes.
    public var layout: DiskLayout
    /// The architecture, which decides the types.
    public var architecture: Architecture
    /// What the release needs, where it is known.
    public var release: ReleaseFacts?
    /// The partitions that are there now.
    public var existing: [ExistingPartition]
    /// Whether the state partition is this node's own and must be kept.
    public var keepsState: Bool

    /// Describes a disk and what is wanted of it.
    public init(
        disk: String, diskSizeBytes: UInt64, sectorSizeBytes: Int, layout: DiskLayout, architecture: Architecture,
        release: ReleaseFacts?, existing: [ExistingPartition], keepsState: Bool
    ) {
        self.disk = disk
        self.diskSizeBytes = diskSizeBytes
        self.sectorSizeBytes = sectorSizeBytes
        self.layout = layout
        self.architecture = architecture
        self.release = release
        self.existing = existing
        self.keepsState = keepsState
    }
}

/// Divides a disk: all offsets and sizes are multiples of 1 MiB, and a table that fits is kept as it is.
public enum PartitionPlanner {
    /// Alignment of every partition, in bytes.
    public static let alignmentBytes: UInt64 = 1 << 20
    /// The size of the boot record's partition in bytes.
    public static let recordBytes: UInt64 = 1 << 20
    /// The largest partition or disk that is believed, in bytes: 1 EiB.
    static let largestBytes: UInt64 = 1 << 60

    /// Plans the table.
    ///
    /// - Parameters:
    ///   - request: The disk and what is wanted of it.
    ///   - generator: Gives the identifiers; every new partition gets one of its own.
    public static func plan(
        _ request: PartitioningRequest, using generator: inout some RandomNumberGenerator
    ) throws(PartitionRefusal) -> PartitionPlan {
        try check(request)
        if let kept = keptTable(request) { return kept }
        if request.keepsState {
            throw PartitionRefusal(
                "disk \(request.disk) carries a layout that does not fit the plan, and its state is to be kept: "
                    + "plan the sizes that are there, or provision again with a wipe")
        }
        return try newTable(request, using: &generator)
    }

    /// The sizes that the plan wants; state is the least.
    static func sizes(_ layout: DiskLayout) -> [(role: PartitionRole, bytes: UInt64)] {
        PartitionRole.allCases.map { role in
            switch role {
            case .recovery: (role, layout.recoveryBytes)
            case .bootA, .bootB: (role, layout.bootBytes)
            case .record: (role, recordBytes)
            case .rootA, .rootB: (role, layout.rootBytes)
            case .treeA, .treeB: (role, layout.treeBytes)
            case .state: (role, layout.minimumStateBytes)
            }
        }
    }

    /// The least size of a disk that a layout fits on, without the backup table, in bytes.
    public static func requiredBytes(_ layout: DiskLayout) -> UInt64 {
        sizes(layout).reduce(alignmentBytes) { sum, part in
            // Impossible sizes are refused with a sentence of their own; here they must only not overflow.
            sum + aligned(min(part.bytes, largestBytes / 16))
        }
    }

    private static func check(_ request: PartitioningRequest) throws(PartitionRefusal) {
        guard request.sectorSizeBytes == 512 || request.sectorSizeBytes == 4096 else {
            throw PartitionRefusal(
                "disk \(request.disk) has sectors of \(request.sectorSizeBytes) bytes; 512 and 4096 are supported")
        }
        for (role, bytes) in sizes(request.layout) {
            guard bytes > 0, bytes <= largestBytes else {
                throw PartitionRefusal("the plan gives \(role.label) an impossible size of \(bytes) bytes")
            }
        }
        let least = leastFATBytes(sectorSizeBytes: request.sectorSizeBytes)
        for (name, bytes) in [("recovery", request.layout.recoveryBytes), ("boot", request.layout.bootBytes)]
        where bytes < least {
            throw PartitionRefusal(
                "the plan's \(name) partition of \(mebibytes(bytes)) is too small for FAT32 with sectors of "
                    + "\(request.sectorSizeBytes) bytes: plan at least \(mebibytes(least))")
        }
        guard let release = request.release else { return }
        try PlanValidation.checkFit(release, in: request.layout)
    }

    /// The least size of a FAT32 partition in bytes: 65525 clusters of at least one sector (Microsoft FAT specification
    /// 1.03, "FAT type determination"), two FATs of four bytes a cluster and reserved sectors.
    public static func leastFATBytes(sectorSizeBytes: Int) -> UInt64 {
        let sector = UInt64(sectorSizeBytes)
        let clusters: UInt64 = 65525
        let tables = 2 * ((clusters + 2) * 4 + sector - 1) / sector
        return aligned((clusters + tables + 34) * sector)
    }

    private static func aligned(_ bytes: UInt64) -> UInt64 {
        (bytes + alignmentBytes - 1) / alignmentBytes * alignmentBytes
    }

    private static func mebibytes(_ bytes: UInt64) -> String { "\(bytes >> 20) MiB" }

    // MARK: A table that is there

    /// The table on the disk as a plan, where it has exactly our partitions in their order and each is large enough.
    private static func keptTable(_ request: PartitioningRequest) -> PartitionPlan? {
        let existing = request.existing.sorted { $0.startBytes < $1.startBytes }
        let wanted = sizes(request.layout)
        guard existing.count == wanted.count, Set(existing.map(\.uuid)).count == existing.count else { return nil }
        var partitions: [PlannedPartition] = []
        var end: UInt64 = 0
        for (partition, want) in zip(existing, wanted) {
            guard partition.label == want.role.label, partition.type == want.role.type(request.architecture),
                partition.sizeBytes >= want.bytes, partition.sizeBytes <= largestBytes,
                partition.startBytes >= max(end, alignmentBytes),
                partition.startBytes.isMultiple(of: alignmentBytes),
                partition.startBytes <= request.diskSizeBytes,
                partition.sizeBytes <= request.diskSizeBytes - partition.startBytes
            else { return nil }
            end = partition.startBytes + partition.sizeBytes
            partitions.append(
                PlannedPartition(
                    role: want.role, number: partition.number, uuid: partition.uuid, type: partition.type,
                    startBytes: partition.startBytes, sizeBytes: partition.sizeBytes))
        }
        return PartitionPlan(
            diskUUID: nil, sectorSizeBytes: request.sectorSizeBytes,
            diskSizeBytes: request.diskSizeBytes, partitions: partitions, keepsTable: true,
            keepsState: request.keepsState)
    }

    // MARK: A new table

    private static func newTable(
        _ request: PartitioningRequest, using generator: inout some RandomNumberGenerator
    ) throws(PartitionRefusal) -> PartitionPlan {
        // The backup table takes 32 sectors of entries, or 16 KiB, and one of header at the end (UEFI 2.10, 5.3).
        let sector = UInt64(request.sectorSizeBytes)
        let backupBytes = max(16384, sector) + sector
        let usable = request.diskSizeBytes > backupBytes ? request.diskSizeBytes - backupBytes : 0
        let end = usable / alignmentBytes * alignmentBytes
        let wanted = sizes(request.layout)
        let needed = requiredBytes(request.layout)
        guard needed <= end else {
            throw PartitionRefusal(
                "disk \(request.disk) is too small: it has \(mebibytes(request.diskSizeBytes)) and the plan needs "
                    + "\(mebibytes(needed + alignmentBytes)); take a larger disk or plan smaller partitions")
        }
        var start = alignmentBytes
        let diskUUID = GUID.random(using: &generator)
        var partitions: [PlannedPartition] = []
        for (index, (role, bytes)) in wanted.enumerated() {
            let size = role == .state ? end - start : aligned(bytes)
            partitions.append(
                PlannedPartition(
                    role: role, number: index + 1, uuid: .random(using: &generator),
                    type: role.type(request.architecture), startBytes: start, sizeBytes: size))
            start += size
        }
        return PartitionPlan(
            diskUUID: diskUUID, sectorSizeBytes: request.sectorSizeBytes, diskSizeBytes: request.diskSizeBytes,
            partitions: partitions, keepsTable: false, keepsState: false)
    }
}
