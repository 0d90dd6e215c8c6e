import Contract
import Decisions
import Linux
import Slots

/// A partition table in two copies, as GPT has them: the one at the end is written first.
final class PlainTable {
    static let diskName = "sda"
    private static let bytes = 4096
    private static let magic = Array("SIMTABLE".utf8)
    private let disk: FaultyDisk
    /// What was decoded last: the table is read far more often than it changes.
    private var last: (payload: [UInt8], table: [PlannedPartition])?

    init(_ disk: FaultyDisk) { self.disk = disk }

    private var offsets: [UInt64] { [0, disk.sizeBytes - UInt64(Self.bytes)] }

    func read() -> [PlannedPartition]? {
        for offset in offsets {
            guard let bytes = try? disk.bytes(at: offset, count: Self.bytes), bytes.starts(with: Self.magic) else {
                continue
            }
            let count = Int(bytes[8]) << 8 | Int(bytes[9])
            guard count <= Self.bytes - 18 else { continue }
            let payload = Array(bytes[18..<18 + count])
            if let last, last.payload == payload { return last.table }
            guard Array(bytes[10..<18]) == Self.checksum(payload),
                let table = try? Wire.decode([PlannedPartition].self, from: payload)
            else { continue }
            last = (payload, table)
            return table
        }
        return nil
    }

    func write(_ table: [PlannedPartition]) throws {
        let payload = try Wire.encode(table)
        let header = Self.magic + [UInt8(payload.count >> 8), UInt8(payload.count & 255)] + Self.checksum(payload)
        let copy = header + payload + [UInt8](repeating: 0, count: Self.bytes - header.count - payload.count)
        for offset in offsets.reversed() {
            try copy.withUnsafeBytes { try disk.write($0, at: offset) }
            try disk.flush()
        }
    }

    /// FNV-1a, 64 bits: enough against a torn write.
    private static func checksum(_ bytes: [UInt8]) -> [UInt8] {
        var sum: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in bytes { sum = (sum ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
        return (0..<8).map { UInt8(truncatingIfNeeded: sum >> (8 * UInt64($0))) }
    }
}

/// The real boot record's store over a simulated partition.
enum RealRecord {
    static func load(_ window: () throws -> any BlockDevice) -> RecordReading {
        do {
            guard let record = try BootRecordStore(window()).read() else { return .missing }
            return .valid(record)
        } catch {
            return .unreadable("\(error)")
        }
    }

    static func store(_ record: BootRecord, _ window: () throws -> any BlockDevice) throws {
        try BootRecordStore(window()).write(record)
    }
}
