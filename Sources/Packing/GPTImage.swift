internal import Cryptography

/// The partition table of a USB stick's image: one EFI system partition on a GPT of 512-byte sectors
/// (UEFI specification 2.10, section 5.3).
struct GPTImage {
    static let sectorBytes = 512
    private static let entryCount = 128
    private static let entryBytes = 128
    private static let tableSectors = entryCount * entryBytes / sectorBytes

    /// Where the partition starts, in bytes: 1 MiB.
    static let partitionOffset: UInt64 = 1 << 20
    /// The partition's size in bytes.
    let partitionBytes: UInt64
    /// What the GUIDs follow from, so that equal contents give equal images.
    let seed: [UInt8]

    /// The whole image's size in bytes: a MiB at its end holds the second table.
    var imageBytes: UInt64 { Self.partitionOffset + partitionBytes + (1 << 20) }

    private var lastSector: UInt64 { imageBytes / UInt64(Self.sectorBytes) - 1 }

    /// The sectors in front of the partition: protective MBR, header, entries.
    var start: [UInt8] {
        var bytes = protectiveMBR + header(own: 1, other: lastSector, entries: 2) + entries
        bytes += [UInt8](repeating: 0, count: Int(Self.partitionOffset) - bytes.count)
        return bytes
    }

    /// The image's last sectors: entries and header once more.
    var end: [UInt8] {
        entries + header(own: lastSector, other: 1, entries: lastSector - UInt64(Self.tableSectors))
    }

    private var protectiveMBR: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 446)
        bytes += [0x00, 0x00, 0x02, 0x00, 0xEE, 0xFF, 0xFF, 0xFF]
        bytes += little(UInt32(1)) + little(UInt32(clamping: lastSector))
        bytes += [UInt8](repeating: 0, count: 510 - bytes.count)
        return bytes + [0x55, 0xAA]
    }

    private var entries: [UInt8] {
        let sector = UInt64(Self.sectorBytes)
        // C12A7328-F81F-11D2-BA4B-00A0C93EC93B, its first three fields little-endian (appendix A).
        var bytes: [UInt8] = [
            0x28, 0x73, 0x2A, 0xC1, 0x1F, 0xF8, 0xD2, 0x11, 0xBA, 0x4B, 0x00, 0xA0, 0xC9, 0x3E, 0xC9, 0x3B,
        ]
        bytes += guid("partition")
        bytes += little(Self.partitionOffset / sector)
        bytes += little((Self.partitionOffset + partitionBytes) / sector - 1)
        bytes += little(UInt64(0))
        for unit in "apus-boot-stick".utf16 { bytes += little(unit) }
        return bytes + [UInt8](repeating: 0, count: Self.entryCount * Self.entryBytes - bytes.count)
    }

    private func header(own: UInt64, other: UInt64, entries first: UInt64) -> [UInt8] {
        func fields(checksum: UInt32) -> [UInt8] {
            let table = UInt64(Self.tableSectors)
            var bytes = Array("EFI PART".utf8) + [0, 0, 1, 0] + little(UInt32(92)) + little(checksum)
            bytes += little(UInt32(0)) + little(own) + little(other)
            bytes += little(2 + table) + little(lastSector - table - 1)
            bytes += guid("disk") + little(first)
            bytes += little(UInt32(Self.entryCount)) + little(UInt32(Self.entryBytes))
            return bytes + little(Self.checksum(entries))
        }
        let bytes = fields(checksum: Self.checksum(fields(checksum: 0)))
        return bytes + [UInt8](repeating: 0, count: Self.sectorBytes - bytes.count)
    }

    private func guid(_ label: String) -> [UInt8] {
        var bytes = Array(SHA256.digest(Array("apus-stick-\(label)\0".utf8) + seed).prefix(16))
        // Version 8 stands in the high half of the third field, which is little-endian here.
        bytes[7] = bytes[7] & 0x0F | 0x80
        bytes[8] = bytes[8] & 0x3F | 0x80
        return bytes
    }

    private func little(_ value: some FixedWidthInteger) -> [UInt8] {
        withUnsafeBytes(of: value.littleEndian) { Array($0) }
    }

    /// CRC-32 as GPT uses it (polynomial 0x04C11DB7, reflected).
    static func checksum(_ bytes: [UInt8]) -> UInt32 {
        var sum = UInt32.max
        for byte in bytes {
            sum ^= UInt32(byte)
            for _ in 0..<8 { sum = sum & 1 == 1 ? (sum >> 1) ^ 0xEDB8_8320 : sum >> 1 }
        }
        return ~sum
    }
}
