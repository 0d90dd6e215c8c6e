/// The partitions of a disk as its GUID Partition Table names them, read without trusting a byte of it
/// (UEFI Specification 2.10, section 5.3).
public struct PartitionTable: Sendable, Equatable {
    /// The disk's own identifier.
    public var diskUUID: StoredUUID
    /// The partitions in use, by rising number.
    public var partitions: [Partition]
    /// Whether the primary header was damaged and the backup at the disk's end was used.
    public var isFromBackup: Bool
    /// Whether the header at the disk's end is valid as well and describes the same partitions.
    public var hasMatchingBackup: Bool
    /// Whether sector 0 is a protective MBR; without it kernel and firmware overlook the table (UEFI 2.10, 5.2.3).
    public var hasProtectiveRecord: Bool
    /// Whether nothing about it needs a repair.
    public var isWhole: Bool { !isFromBackup && hasMatchingBackup && hasProtectiveRecord }

    /// One partition.
    public struct Partition: Sendable, Equatable {
        /// Its number, from 1.
        public var number: Int
        /// Its type.
        public var type: StoredUUID
        /// Its own identifier.
        public var uuid: StoredUUID
        /// Its name, at most 36 UTF-16 units.
        public var name: String
        /// Where it begins, in bytes.
        public var startBytes: UInt64
        /// Its size in bytes.
        public var sizeBytes: UInt64
    }

    /// Reads the table of a disk: nil where there is no valid one. Throws only where the disk cannot be read.
    public init?(of device: any BlockDevice) throws {
        let sector = UInt64(device.sectorSizeBytes)
        let last = device.sizeBytes / sector
        guard last >= 4 else { return nil }
        let primary = try Header(of: device, at: 1).flatMap { try Self.partitions(of: device, $0) }
        let backup = try Header(of: device, at: last - 1).flatMap { try Self.partitions(of: device, $0) }
        guard let chosen = primary ?? backup else { return nil }
        let record = try device.bytes(at: 0, count: Int(sector))
        // Four entries of 16 bytes from byte 446; the fifth byte of each is the type, 0xEE for GPT.
        hasProtectiveRecord =
            record[510] == 0x55 && record[511] == 0xaa && (0..<4).contains { record[450 + $0 * 16] == 0xee }
        diskUUID = chosen.disk
        partitions = chosen.found
        isFromBackup = primary == nil
        hasMatchingBackup = backup.map { $0.disk == chosen.disk && $0.found == chosen.found } ?? false
    }

    private struct Header {
        var disk: StoredUUID
        var usable: ClosedRange<UInt64>
        var entriesAt: UInt64
        var count: Int
        var entryBytes: Int
        var entriesCRC: UInt32

        init?(of device: any BlockDevice, at sectorNumber: UInt64) throws {
            let sector = UInt64(device.sectorSizeBytes)
            let bytes = try device.bytes(at: sectorNumber * sector, count: Int(sector))
            guard bytes.starts(with: Array("EFI PART".utf8)) else { return nil }
            let size = Int(bytes.little32(12))
            guard (92...Int(sector)).contains(size) else { return nil }
            var header = Array(bytes[..<size])
            header.replaceSubrange(16..<20, with: [0, 0, 0, 0])
            guard CRC32.of(header) == bytes.little32(16), bytes.little64(24) == sectorNumber,
                let disk = StoredUUID(storedBytes: bytes[56..<72])
            else { return nil }
            let total = device.sizeBytes / sector
            let (first, last) = (bytes.little64(40), bytes.little64(48))
            guard first <= last, last < total else { return nil }
            self.disk = disk
            usable = first...last
            entriesAt = bytes.little64(72)
            count = Int(bytes.little32(80))
            entryBytes = Int(bytes.little32(84))
            entriesCRC = bytes.little32(88)
            // 128 entries of 128 bytes is what everything writes; a table eight times as large is refused.
            guard (1...1024).contains(count), entryBytes >= 128, entryBytes <= 1024,
                entryBytes.nonzeroBitCount == 1, entriesAt >= 1, entriesAt < total
            else { return nil }
        }
    }

    private static func partitions(
        of device: any BlockDevice, _ header: Header
    ) throws -> (disk: StoredUUID, found: [Partition])? {
        let sector = UInt64(device.sectorSizeBytes)
        let length = header.count * header.entryBytes
        let padded = (length + Int(sector) - 1) / Int(sector) * Int(sector)
        guard header.entriesAt * sector + UInt64(padded) <= device.sizeBytes else { return nil }
        let bytes = Array(try device.bytes(at: header.entriesAt * sector, count: padded).prefix(length))
        guard CRC32.of(bytes) == header.entriesCRC else { return nil }
        var found: [Partition] = []
        for index in 0..<header.count {
            let start = index * header.entryBytes
            // An entry without a type is not in use.
            guard bytes.little64(start) | bytes.little64(start + 8) != 0 else { continue }
            let entry = Array(bytes[start..<start + 128])
            guard let type = StoredUUID(storedBytes: entry[0..<16]), let uuid = StoredUUID(storedBytes: entry[16..<32])
            else { continue }
            let (first, last) = (entry.little64(32), entry.little64(40))
            guard first <= last, header.usable.contains(first), header.usable.contains(last) else { return nil }
            found.append(
                Partition(
                    number: index + 1, type: type, uuid: uuid, name: name(entry[56..<128]), startBytes: first * sector,
                    sizeBytes: (last - first + 1) * sector))
        }
        let ordered = found.sorted { $0.startBytes < $1.startBytes }
        for (one, next) in zip(ordered, ordered.dropFirst()) where one.startBytes + one.sizeBytes > next.startBytes {
            return nil
        }
        return (header.disk, found)
    }

    private static func name(_ bytes: ArraySlice<UInt8>) -> String {
        let bytes = Array(bytes)
        let units = stride(from: 0, to: bytes.count, by: 2).map { UInt16(bytes[$0]) | UInt16(bytes[$0 + 1]) << 8 }
        return String(decoding: units.prefix { $0 != 0 }, as: UTF16.self)
    }
}

extension BlockDevice {
    /// Reads `count` bytes at `offset`.
    public func bytes(at offset: UInt64, count: Int) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        try bytes.withUnsafeMutableBytes { try read(at: offset, into: $0) }
        return bytes
    }
}

extension [UInt8] {
    /// Two bytes, little endian.
    func little16(_ at: Int) -> UInt16 { UInt16(self[at]) | UInt16(self[at + 1]) << 8 }
    /// Four bytes, little endian.
    func little32(_ at: Int) -> UInt32 { UInt32(little16(at)) | UInt32(little16(at + 2)) << 16 }
    /// Eight bytes, little endian.
    func little64(_ at: Int) -> UInt64 { UInt64(little32(at)) | UInt64(little32(at + 4)) << 32 }
}

/// The checksum of GPT: CRC-32 with the polynomial 0x04C11DB7, reflected (UEFI 2.10, section 5.3.2).
enum CRC32 {
    private static let table: [UInt32] = (0..<256).map { index in
        (0..<8).reduce(UInt32(index)) { crc, _ in crc >> 1 ^ (crc & 1 == 0 ? 0 : 0xedb8_8320) }
    }

    static func of(_ bytes: [UInt8]) -> UInt32 {
        bytes.withUnsafeBufferPointer { bytes in
            table.withUnsafeBufferPointer { table in
                var crc = UInt32.max
                var index = 0
                // Not `for`, whose iterator takes a debug build five times as long.
                while index < bytes.count {
                    crc = crc >> 8 ^ table[Int(UInt8(truncatingIfNeeded: crc) ^ bytes[index])]
                    index += 1
                }
                return ~crc
            }
        }
    }
}
