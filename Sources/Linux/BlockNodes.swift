/// Disks and partitions as the kernel lists them, without udev.
public struct BlockNodes: Sendable {
    private let root: String

    /// Looks below `root`, which ends with a slash; tests give a folder of their own.
    public init(root: String = "/") { self.root = root }

    /// A partition's node and where it lies.
    public struct Found: Sendable, Equatable {
        /// The disk's kernel name, such as `nvme0n1`.
        public var disk: String
        /// The partition's node, such as `/dev/nvme0n1p3`.
        public var path: String
        /// What the table says of it.
        public var partition: PartitionTable.Partition
        /// The disk's logical sector size in bytes.
        public var sectorSizeBytes: Int
    }

    /// The names of whole disks that could hold an installation, sorted: neither virtual nor optical devices, nor
    /// hidden paths of a multipath device.
    public func disks() -> [String] {
        let names = (try? Files.list(root + "sys/class/block", limit: 8192)) ?? []
        return names.filter(isDisk)
    }

    /// The node of a disk or partition: the kernel writes `!` for a slash in its name.
    public func path(of name: String) -> String {
        root + "dev/" + String(name.map { $0 == "!" ? "/" : $0 })
    }

    /// The node of a disk's partition, from the kernel's own list; nil while the kernel does not know it.
    public func path(ofPartition number: Int, disk: String) -> String? {
        let folder = root + "sys/class/block/" + disk
        for name in (try? Files.list(folder)) ?? [] {
            guard let text = try? Files.readText("\(folder)/\(name)/partition", limitBytes: 64), Int(text) == number
            else { continue }
            return path(of: name)
        }
        return nil
    }

    /// The partition table of a disk; nil where it has no valid one or cannot be read.
    public func table(of disk: String) -> (table: PartitionTable, sectorSizeBytes: Int)? {
        guard
            let device = try? FileBlockDevice(path: path(of: disk), sectorSizeBytes: sectorSize(disk), writable: false)
        else { return nil }
        guard let table = try? PartitionTable(of: device) else { return nil }
        return (table, device.sectorSizeBytes)
    }

    /// Every partition with this identifier; more than one where a disk was cloned.
    public func partitions(withUUID uuid: String) -> [Found] {
        guard let wanted = StoredUUID(uuid) else { return [] }
        return allPartitions().filter { $0.partition.uuid == wanted }
    }

    /// Every partition of every disk that the kernel has a node for.
    public func allPartitions() -> [Found] {
        disks().flatMap { disk -> [Found] in
            guard let (table, sector) = table(of: disk) else { return [] }
            return table.partitions.compactMap { partition in
                path(ofPartition: partition.number, disk: disk).map {
                    Found(disk: disk, path: $0, partition: partition, sectorSizeBytes: sector)
                }
            }
        }
    }

    /// The size of a disk's sectors as the kernel says.
    func sectorSize(_ disk: String) -> Int {
        let text = try? Files.readText("\(root)sys/class/block/\(disk)/queue/logical_block_size", limitBytes: 64)
        return text.flatMap { Int($0) } ?? 512
    }

    private func isDisk(_ name: String) -> Bool {
        let folder = root + "sys/class/block/" + name
        guard !Files.exists(folder + "/partition"), Files.exists(folder + "/queue") else { return false }
        for prefix in ["sr", "fd", "loop", "ram", "zram", "dm-", "md", "nbd", "mtdblock"]
        where name.hasPrefix(prefix) && name.dropFirst(prefix.count).first?.isNumber == true {
            return false
        }
        // An eMMC's boot areas and its replay-protected memory are disks to the kernel.
        if name.hasPrefix("mmcblk"), name.contains("boot") || name.contains("rpmb") { return false }
        if (try? Files.readText(folder + "/hidden", limitBytes: 16)) == "1" { return false }
        let device = (try? Files.resolve(folder)) ?? ""
        return !device.contains("/devices/virtual/") || device.contains("/nvme-subsystem/")
    }
}
