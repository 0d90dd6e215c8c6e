public import Contract

/// Tells what a disk holds before anything is written to it.
public enum DiskContent {
    /// Looks at a disk's partition table and, where there is none, for signatures of file systems, volume managers and
    /// RAID members at both ends.
    ///
    /// A partition table counts as ours where a partition is named `apus-…` and none is named otherwise. An unreadable
    /// disk is `foreign`: nothing may be lost on it.
    public static func of(_ device: any BlockDevice) -> Inventory.Disk.Content {
        do {
            if let table = try PartitionTable(of: device), !table.partitions.isEmpty {
                return table.partitions.allSatisfy { $0.name.hasPrefix("apus-") } ? .apus : .foreign
            }
            return try hasSignature(device) ? .foreign : .blank
        } catch {
            return .foreign
        }
    }

    /// A byte sequence at a fixed place: from the disk's start, or counted back from its end where negative.
    private struct Signature {
        var offset: Int64
        var bytes: [UInt8]
        init(_ offset: Int64, _ bytes: [UInt8]) {
            self.offset = offset
            self.bytes = bytes
        }
        init(_ offset: Int64, _ text: String) { self.init(offset, Array(text.utf8)) }
    }

    // The places are those that the formats' own documents and libblkid name. A GPT header without a valid checksum and
    // without the protective MBR is what a power cut leaves of our own first write, and is no one's data.
    private static let signatures: [Signature] = [
        Signature(510, [0x55, 0xaa]),  // MBR, FAT, NTFS, exFAT
        Signature(1080, [0x53, 0xef]),  // ext2, ext3, ext4
        Signature(0, "XFSB"), Signature(0x10040, "_BHRfS_M"),  // XFS, btrfs
        Signature(0, [0x4c, 0x55, 0x4b, 0x53, 0xba, 0xbe]),  // LUKS
        Signature(0, "LABELONE"), Signature(512, "LABELONE"), Signature(1024, "LABELONE"),  // LVM2
        Signature(1536, "LABELONE"),
        Signature(0, [0xfc, 0x4e, 0x2b, 0xa9]), Signature(4096, [0xfc, 0x4e, 0x2b, 0xa9]),  // Linux RAID 1.1, 1.2
        Signature(-8192, [0xfc, 0x4e, 0x2b, 0xa9]), Signature(-65536, [0xfc, 0x4e, 0x2b, 0xa9]),  // 1.0, 0.90
        Signature(-131072, [0xfc, 0x4e, 0x2b, 0xa9]),
        Signature(4086, "SWAPSPACE2"), Signature(4086, "SWAP-SPACE"),
        Signature(0x8001, "CD001"), Signature(0x8001, "BEA01"), Signature(0x8001, "NSR0"),  // ISO 9660, UDF
        Signature(0, "hsqs"), Signature(1024, [0xe2, 0xe1, 0xf5, 0xe0]),  // SquashFS, EROFS
        Signature(1024, [0x10, 0x20, 0xf5, 0xf2]), Signature(1024, "H+"), Signature(32, "NXSB"),  // F2FS, HFS+, APFS
        Signature(0, "bluestore block device"), Signature(0x10034, "ReIsErFs"), Signature(0x10034, "ReIsEr2Fs"),
        Signature(4120, [0xc6, 0x85, 0x73, 0xf6, 0x4e, 0x1a, 0x45, 0xca]),  // bcache
        Signature(0x200000, [0x0d, 0xd0, 0x01, 0xc0]), Signature(0x100000, [0x0d, 0xd0, 0x01, 0xc0]),  // VMFS
        Signature(-512, "Intel Raid ISM Cfg Sig."), Signature(-1024, "Intel Raid ISM Cfg Sig."),
        Signature(-512, [0x11, 0xde, 0x11, 0xde]),  // DDF
    ]

    private static func hasSignature(_ device: any BlockDevice) throws -> Bool {
        for signature in signatures {
            let start = signature.offset >= 0 ? signature.offset : Int64(clamping: device.sizeBytes) + signature.offset
            guard start >= 0, UInt64(start) + UInt64(signature.bytes.count) <= device.sizeBytes else { continue }
            if try matches(device, UInt64(start), signature.bytes) { return true }
        }
        return try hasZFSLabel(device)
    }

    private static func matches(_ device: any BlockDevice, _ start: UInt64, _ wanted: [UInt8]) throws -> Bool {
        let sector = UInt64(device.sectorSizeBytes)
        let lead = start % sector
        let span = (lead + UInt64(wanted.count) + sector - 1) / sector * sector
        guard start - lead + span <= device.sizeBytes else { return false }
        let bytes = try device.bytes(at: start - lead, count: Int(span))
        return bytes[Int(lead)..<Int(lead) + wanted.count].elementsEqual(wanted)
    }

    /// ZFS writes a ring of uberblocks in the second half of its first 256 KiB label; any of them will do.
    private static func hasZFSLabel(_ device: any BlockDevice) throws -> Bool {
        guard device.sizeBytes >= 256 << 10 else { return false }
        let bytes = try device.bytes(at: 128 << 10, count: 128 << 10)
        return stride(from: 0, to: bytes.count, by: 1024).contains { at in
            let word = bytes.little64(at)
            return word == 0x00ba_b10c || word.byteSwapped == 0x00ba_b10c
        }
    }
}
