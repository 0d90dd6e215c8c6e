import Contract
import Decisions
import Linux
import Testing

@testable import Partitions

/// A disk in memory that logs writes and flushes.
private final class LoggedDisk: BlockDevice {
    enum Event {
        case write(offset: Int, bytes: [UInt8])
        case flush
    }
    var bytes: [UInt8]
    var log: [Event] = []
    let sectorSizeBytes: Int
    var sizeBytes: UInt64 { UInt64(bytes.count) }

    init(_ bytes: [UInt8], sectorSizeBytes: Int) {
        self.bytes = bytes
        self.sectorSizeBytes = sectorSizeBytes
    }

    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws {
        buffer.copyBytes(from: bytes[Int(offset)..<Int(offset) + buffer.count])
    }
    func write(_ new: UnsafeRawBufferPointer, at offset: UInt64) throws {
        bytes.replaceSubrange(Int(offset)..<Int(offset) + new.count, with: new)
        log.append(.write(offset: Int(offset), bytes: Array(new)))
    }
    func flush() throws { log.append(.flush) }

    /// Every state that a power cut can leave, for each point in the log: what was flushed is there; of what was not,
    /// all, none, each alone, all but one, and each torn at a sector or in the middle of one.
    func cuts(from start: [UInt8], _ visit: ([UInt8]) throws -> Void) throws -> Int {
        var durable = start
        var pending: [(offset: Int, bytes: [UInt8])] = []
        var count = 0
        func applied(_ writes: [(offset: Int, bytes: [UInt8])]) -> [UInt8] {
            var disk = durable
            for write in writes {
                disk.replaceSubrange(write.offset..<write.offset + write.bytes.count, with: write.bytes)
            }
            return disk
        }
        func look(_ writes: [(offset: Int, bytes: [UInt8])]) throws {
            count += 1
            try visit(applied(writes))
        }
        for event in log {
            switch event {
            case .flush:
                durable = applied(pending)
                pending = []
            case .write(let offset, let bytes):
                pending.append((offset, bytes))
                let before = pending.dropLast()
                try look(pending)
                try look([(offset, bytes)])
                for length in [sectorSizeBytes / 2, sectorSizeBytes, bytes.count / 2, bytes.count - 1]
                where length < bytes.count {
                    try look(before + [(offset, Array(bytes.prefix(length)))])
                    try look(before + [(offset + length, Array(bytes.dropFirst(length)))])
                }
            }
        }
        try look([])
        return count
    }
}

private func layout(_ seed: Int, _ sizes: [UInt64]) throws -> TableLayout {
    var start: UInt64 = 1 << 20
    var partitions: [TableLayout.Partition] = []
    for (index, size) in sizes.enumerated() {
        partitions.append(
            TableLayout.Partition(
                number: index + 1, uuid: try #require(GUID("\(seed)0000000-0000-4000-8000-00000000000\(index)")),
                type: PartitionRole.state.type(.amd64), label: "apus-\(seed)-\(index)", startBytes: start,
                sizeBytes: size << 20))
        start += size << 20
    }
    return TableLayout(
        diskUUID: try #require(GUID("\(seed)0000000-0000-4000-8000-ffffffffffff")), partitions: partitions)
}

@Test(arguments: [512, 4096])
func aCutWhileReplacingATableLeavesTheOldOrTheNewOne(sector: Int) throws {
    let old = LoggedDisk([UInt8](repeating: 0, count: 5 << 20), sectorSizeBytes: sector)
    try Partitions.write(try layout(1, [1, 2]), to: old, wipingOldSignatures: false)
    let oldTable = try #require(try PartitionTable(of: old)).partitions

    let disk = LoggedDisk(old.bytes, sectorSizeBytes: sector)
    try Partitions.write(try layout(2, [2, 1]), to: disk, wipingOldSignatures: true)
    let newTable = try #require(try PartitionTable(of: disk)).partitions
    #expect(try PartitionTable(of: disk)?.isWhole == true)

    let explored = try disk.cuts(from: old.bytes) { bytes in
        let cut = LoggedDisk(bytes, sectorSizeBytes: sector)
        let found = try PartitionTable(of: cut)
        try #require(found?.partitions == oldTable || found?.partitions == newTable)
        // What is found can be made whole, whichever it is.
        try Partitions.repair(cut)
        let repaired = try PartitionTable(of: cut)
        try #require(repaired?.isWhole == true && repaired?.partitions == found?.partitions)
    }
    print("partition table, \(sector)-byte sectors, over an old table: \(explored) power cuts explored")
    #expect(explored > 40)
}

@Test(arguments: [512, 4096])
func aCutOnABlankDiskLeavesItBlankOrOurs(sector: Int) throws {
    let blank = [UInt8](repeating: 0, count: 5 << 20)
    let disk = LoggedDisk(blank, sectorSizeBytes: sector)
    let wanted = try layout(3, [1, 2])
    try Partitions.write(wanted, to: disk, wipingOldSignatures: true)
    let whole = try #require(try PartitionTable(of: disk)).partitions
    let explored = try disk.cuts(from: blank) { bytes in
        let cut = LoggedDisk(bytes, sectorSizeBytes: sector)
        // Never foreign: a disk that was cut once must be taken again without leave to erase foreign data.
        try #require(DiskContent.of(cut) != .foreign)
        if let found = try PartitionTable(of: cut) { try #require(found.partitions == whole) }
        try Partitions.write(wanted, to: cut, wipingOldSignatures: true)
        try #require(try PartitionTable(of: cut)?.isWhole == true)
    }
    print("partition table, \(sector)-byte sectors, on a blank disk: \(explored) power cuts explored")
    #expect(explored > 40)
}
