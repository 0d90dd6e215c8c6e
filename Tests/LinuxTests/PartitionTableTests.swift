import Contract
import Glibc
import TestSupport
import Testing

@testable import Linux

/// A small disk with a table that sfdisk made.
private func image(_ scratch: Scratch) throws -> String {
    let path = try scratch.sparseFile("disk", sizeBytes: 16 << 20)
    let script = """
        label: gpt
        label-id: 01234567-89AB-4DEF-8123-456789ABCDEF
        first-lba: 64
        start=2048, size=4096, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, uuid=11111111-1111-4111-8111-111111111111, \
        name="apus-recovery"
        start=8192, size=4096, type=61707573-0001-4000-8000-7265636F7264, uuid=22222222-2222-4222-8222-222222222222, \
        name="Größe"

        """
    let outcome = try Processes.run("/usr/sbin/sfdisk", ["-q", path], input: Array(script.utf8), timeoutSeconds: 30)
    try #require(outcome.succeeded, "sfdisk \(outcome.summary)")
    return path
}

private func change(_ path: String, at offset: UInt64, _ bytes: [UInt8]) throws {
    let device = try FileBlockDevice(path: path)
    try bytes.withUnsafeBytes { try device.write($0, at: offset) }
    try device.flush()
}

private func table(_ path: String) throws -> PartitionTable? {
    try PartitionTable(of: try FileBlockDevice(path: path, writable: false))
}

@Test func aTableOfSfdiskIsRead() throws {
    let scratch = try Scratch()
    let found = try #require(try table(try image(scratch)))
    #expect(found.isWhole)
    #expect(found.diskUUID.description == "01234567-89ab-4def-8123-456789abcdef")
    #expect(found.partitions.map(\.name) == ["apus-recovery", "Größe"])
    #expect(found.partitions.map(\.number) == [1, 2])
    #expect(found.partitions.map(\.startBytes) == [1 << 20, 4 << 20])
    #expect(found.partitions.map(\.sizeBytes) == [2 << 20, 2 << 20])
    #expect(found.partitions.first?.type.description == "c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
}

@Test func theBackupIsUsedWhereThePrimaryIsDamaged() throws {
    let scratch = try Scratch()
    let path = try image(scratch)
    let whole = try table(path)
    // In the header, and in the entries.
    for place in [552, 1224] as [UInt64] {
        let path = try image(scratch)
        try change(path, at: place, [0xee])
        let found = try #require(try table(path))
        #expect(found.isFromBackup)
        #expect(found.partitions == whole?.partitions)
    }
    try change(path, at: 512, [UInt8](repeating: 0, count: 512))
    try change(path, at: (16 << 20) - 512, [0])
    #expect(try table(path) == nil)
}

@Test func aMissingProtectiveRecordAndADamagedBackupAreNoticed() throws {
    let scratch = try Scratch()
    let path = try image(scratch)
    try change(path, at: 450, [0])
    #expect(try table(path)?.hasProtectiveRecord == false)
    try change(path, at: (16 << 20) - 480, [0xee])
    #expect(try table(path)?.hasMatchingBackup == false)
    #expect(try table(path)?.isFromBackup == false)
}

/// Puts a value into both copies of header or entries, with right checksums, as a hostile disk would.
private func forge(_ path: String, header: [(Int, [UInt8])] = [], entry: [(Int, [UInt8])] = []) throws {
    for at in [512, 16_776_704] as [UInt64] {
        let device = try FileBlockDevice(path: path)
        var bytes = try device.bytes(at: at, count: 512)
        let entriesAt = bytes.little64(72) * 512
        var entries = try device.bytes(at: entriesAt, count: 16384)
        for (offset, value) in entry { entries.replaceSubrange(offset..<offset + value.count, with: value) }
        func put(_ crc: UInt32, _ offset: Int) {
            for index in 0..<4 { bytes[offset + index] = UInt8(truncatingIfNeeded: crc >> (index * 8)) }
        }
        put(CRC32.of(entries), 88)
        for (offset, value) in header { bytes.replaceSubrange(offset..<offset + value.count, with: value) }
        put(0, 16)
        put(CRC32.of(Array(bytes[..<Int(min(512, max(92, bytes.little32(12))))])), 16)
        try change(path, at: entriesAt, entries)
        try change(path, at: at, bytes)
    }
}

@Test(
    arguments: [
        // Header: sizes of 0 and 4 GiB, entries beyond the disk, no entries, 4 billion entries, entries of 0, 100 and 4 GiB
        // bytes, a usable range that is empty or beyond the disk.
        [(12, [0, 0, 0, 0])], [(12, [255, 255, 255, 255])], [(72, [255, 255, 255, 255, 255, 255, 255, 127])],
        [(80, [0, 0, 0, 0])], [(80, [255, 255, 255, 255])], [(84, [0, 0, 0, 0])], [(84, [100, 0, 0, 0])],
        [(84, [0, 0, 0, 128])], [(40, [255, 255, 255, 255])], [(48, [255, 255, 255, 255, 255, 255, 255, 255])],
    ] as [[(Int, [UInt8])]])
func hostileHeadersAreRefused(header: [(Int, [UInt8])]) throws {
    let scratch = try Scratch()
    let path = try image(scratch)
    try forge(path)
    try #require(try table(path) != nil)
    try forge(path, header: header)
    #expect(try table(path) == nil)
}

@Test(
    arguments: [
        // The second entry: over the first, before the usable range, beyond it, backwards.
        [(128 + 32, [0, 9, 0, 0, 0, 0, 0, 0])], [(128 + 32, [1, 0, 0, 0, 0, 0, 0, 0])],
        [(128 + 40, [255, 255, 255, 255, 255, 255, 255, 255])], [(128 + 40, [0, 1, 0, 0, 0, 0, 0, 0])],
    ] as [[(Int, [UInt8])]])
func hostileEntriesAreRefused(entry: [(Int, [UInt8])]) throws {
    let scratch = try Scratch()
    let path = try image(scratch)
    try forge(path, entry: entry)
    #expect(try table(path) == nil)
}

@Test func aDiskThatIsTooSmallHasNoTable() throws {
    let scratch = try Scratch()
    for size in [0, 512, 1024, 2048] as [UInt64] {
        #expect(try table(try scratch.sparseFile("small\(size)", sizeBytes: size)) == nil)
    }
}

@Test func foreignDataIsRecognised() throws {
    let scratch = try Scratch()
    let made: [(String, [String])] = [
        ("/usr/sbin/mkfs.ext4", ["-q", "-F"]), ("/usr/sbin/mkfs.fat", []), ("/usr/sbin/mkswap", ["-q"]),
    ]
    for (program, arguments) in made where Files.exists(program) {
        let path = try scratch.sparseFile("disk", sizeBytes: 16 << 20)
        try Files.remove(path)
        _ = try scratch.sparseFile("disk", sizeBytes: 16 << 20)
        #expect(DiskContent.of(try FileBlockDevice(path: path)) == .blank)
        try run(program, arguments + [path])
        #expect(DiskContent.of(try FileBlockDevice(path: path)) == .foreign, "\(program)")
        try Files.remove(path)
    }
    // One foreign partition beside one of ours: not ours.
    #expect(DiskContent.of(try FileBlockDevice(path: try image(scratch))) == .foreign)
}
