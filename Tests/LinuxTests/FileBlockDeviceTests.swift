import Glibc
import Linux
import TestSupport
import Testing

private func write(_ bytes: [UInt8], _ device: FileBlockDevice, at offset: UInt64) throws {
    try bytes.withUnsafeBytes { try device.write($0, at: offset) }
}

@Test(arguments: [512, 4096])
func whatIsWrittenIsReadBackFromTheMedium(sector: Int) throws {
    let scratch = try Scratch()
    // A size that is no multiple of the alignment of direct reads.
    let path = try scratch.sparseFile("disk", sizeBytes: 3 << 20 | 512)
    let device = try FileBlockDevice(path: path, sectorSizeBytes: sector)
    #expect(device.sizeBytes == 3 << 20 | 512)
    let pattern = (0..<(2 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 9) }
    try write(pattern, device, at: 4096)
    try device.flush()
    #expect(try device.bytes(at: 4096, count: pattern.count) == pattern)
    // Reads that neither begin nor end on an alignment, and the odd tail.
    #expect(try device.bytes(at: 4096 + 513, count: 700) == Array(pattern[513..<1213]))
    #expect(try device.bytes(at: 3 << 20, count: 512) == [UInt8](repeating: 0, count: 512))
    #expect(try FileBlockDevice(path: path, writable: false).bytes(at: 4096, count: 16) == Array(pattern[..<16]))
}

@Test func aWindowHidesTheRest() throws {
    let scratch = try Scratch()
    let path = try scratch.sparseFile("disk", sizeBytes: 64 << 10)
    let window = try FileBlockDevice(path: path, offsetBytes: 8192, sizeBytes: 4096)
    try write([UInt8](repeating: 9, count: 4096), window, at: 0)
    try window.flush()
    let whole = try FileBlockDevice(path: path)
    #expect(try whole.bytes(at: 8192, count: 4096).allSatisfy { $0 == 9 })
    #expect(try whole.bytes(at: 8191, count: 1) == [0])
    #expect(try whole.bytes(at: 12288, count: 1) == [0])
    for (offset, count) in [(UInt64(4096), 1), (0, 4097), (.max, 1), (.max - 2, 8)] {
        #expect(throws: SystemError.self) { try window.bytes(at: offset, count: count) }
        #expect(throws: SystemError.self) { try write([UInt8](repeating: 0, count: count), window, at: offset) }
    }
}

@Test func windowsOutsideTheFileAreRefused() throws {
    let scratch = try Scratch()
    let path = try scratch.sparseFile("disk", sizeBytes: 64 << 10)
    #expect(throws: SystemError.self) { try FileBlockDevice(path: path, offsetBytes: 0, sizeBytes: 65 << 10) }
    #expect(throws: SystemError.self) { try FileBlockDevice(path: path, offsetBytes: 100) }
    #expect(throws: SystemError.self) { try FileBlockDevice(path: path, offsetBytes: .max - 511, sizeBytes: 512) }
    #expect(throws: SystemError.self) { try FileBlockDevice(path: path, sectorSizeBytes: 520) }
    #expect(throws: SystemError.self) { try FileBlockDevice(path: scratch.path) }
    #expect(throws: SystemError.self) { try FileBlockDevice(path: "/dev/null") }
}

@Test func aReadOnlyDeviceTakesNothing() throws {
    let scratch = try Scratch()
    let device = try FileBlockDevice(path: try scratch.sparseFile("disk", sizeBytes: 8192), writable: false)
    let error = #expect(throws: SystemError.self) { try write([1], device, at: 0) }
    #expect(error?.code == EROFS)
}

@Test func aDiscardedRangeIsGone() throws {
    let scratch = try Scratch()
    let device = try FileBlockDevice(path: try scratch.sparseFile("disk", sizeBytes: 1 << 20))
    try write([UInt8](repeating: 1, count: 1 << 20), device, at: 0)
    try device.flush()
    try device.discard(4096..<8192)
    #expect(try device.bytes(at: 4096, count: 4096).allSatisfy { $0 == 0 })
    #expect(try device.bytes(at: 8192, count: 1) == [1])
}

@Test func aFullFileSystemIsAnErrorThatSaysSo() throws {
    let scratch = try Scratch()
    guard getuid() == 0, (try? Mounts.mount("tmpfs", on: scratch.path, type: "tmpfs", options: "size=64k")) != nil
    else {
        let error = #expect(throws: SystemError.self) { try Files.overwrite("/dev/full", with: "x") }
        #expect(error?.code == ENOSPC)
        return
    }
    defer { try? Mounts.unmount(scratch.path) }
    let device = try FileBlockDevice(path: try scratch.sparseFile("disk", sizeBytes: 1 << 20))
    let error = #expect(throws: SystemError.self) {
        try write([UInt8](repeating: 1, count: 1 << 20), device, at: 0)
        try device.flush()
    }
    #expect(error?.code == ENOSPC)
}
