internal import Contract
internal import Decisions
internal import Node
internal import Sequences

/// The disk that the running system was started from, as the agent's work needs it.
enum AgentDisk {
    /// Finds it again by its partitions.
    /// - Throws: `NodeError` where it is gone or no longer carries what early boot saw.
    static func find(named name: String) throws -> InstalledDisk {
        guard let disk = InstalledDisk.find(bootPartition: nil), disk.name == name else {
            throw NodeError("disk \(name), which this system was started from, no longer carries our partitions")
        }
        return disk
    }

    /// What a release must fit, in bytes.
    static func sizes(of disk: InstalledDisk) throws -> SlotSizes {
        // Both slots are of one size; the smaller counts where they are not.
        func smaller(_ role: (SlotName) -> PartitionRole) throws -> UInt64 {
            min(try disk.partition(role(.a)).sizeBytes, try disk.partition(role(.b)).sizeBytes)
        }
        return SlotSizes(
            rootBytes: try smaller { .root($0) }, treeBytes: try smaller { .tree($0) },
            bootBytes: try smaller { .boot($0) }, recoveryBytes: try disk.partition(.recovery).sizeBytes)
    }
}
