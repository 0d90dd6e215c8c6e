public import Decisions
internal import Linux
internal import Partitions
public import Sequences

/// Disks as a whole, for real.
public final class NodeDisks: DiskEffect {
    private let use: DiskInUse
    private let bootPartition: () -> Decisions.GUID?

    /// Makes it over the disk in use; `bootPartition` is the partition that the running program was loaded from.
    public init(_ use: DiskInUse, bootPartition: @escaping () -> Decisions.GUID?) {
        self.use = use
        self.bootPartition = bootPartition
    }

    /// Finds the disk that carries our boot record, and takes it into use.
    public func findInstalled() throws -> DiskFacts? {
        for line in Partitions.repairInstalled() { KernelLog.write("apus: \(line)") }
        use.disk = InstalledDisk.find(bootPartition: bootPartition())
        return use.disk?.facts()
    }

    /// The partitions on a disk; empty without a valid table.
    public func partitions(of disk: String) throws -> [ExistingPartition] {
        try Partitions.existing(on: try open(disk, writable: false))
    }

    /// Writes the table, shows it to the kernel, and takes the disk into use.
    public func apply(_ plan: PartitionPlan, to disk: String) throws {
        try Partitions.apply(plan, to: try open(disk, writable: true))
        try Partitions.announce(plan.partitions.map(\.number), ofDisk: disk)
        let nodes = BlockNodes()
        var partitions: [PartitionRole: InstalledDisk.Partition] = [:]
        for planned in plan.partitions {
            guard let path = nodes.path(ofPartition: planned.number, disk: disk) else {
                throw NodeError("the kernel shows no node for partition \(planned.number) of \(disk)")
            }
            partitions[planned.role] = InstalledDisk.Partition(
                path: path, uuid: planned.uuid, number: planned.number, startBytes: planned.startBytes,
                sizeBytes: planned.sizeBytes)
        }
        use.disk = InstalledDisk(name: disk, sectorSizeBytes: plan.sectorSizeBytes, partitions: partitions)
    }

    private func open(_ disk: String, writable: Bool) throws -> FileBlockDevice {
        try FileBlockDevice(path: BlockNodes().path(of: disk), writable: writable)
    }
}
