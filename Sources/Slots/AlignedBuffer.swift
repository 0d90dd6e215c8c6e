import Glibc
public import Linux

/// Memory whose address suits direct input and output: a multiple of 4096 (open(2), "O_DIRECT").
public final class AlignedBuffer {
    /// The memory.
    public let bytes: UnsafeMutableRawBufferPointer

    /// Allocates `count` bytes, zeroed.
    public init(count: Int) {
        bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 4096)
        // Not `initializeMemory`, which a debug build does byte by byte.
        if let start = bytes.baseAddress { memset(start, 0, count) }
    }

    deinit { bytes.deallocate() }

    /// The first `count` bytes.
    public func prefix(_ count: Int) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(rebasing: bytes[..<count])
    }
}

extension BlockDevice {
    /// Reads any `count` bytes at any offset; rounds to sectors inside.
    public func readBytes(at offset: UInt64, count: Int) throws -> [UInt8] {
        guard count >= 0, offset <= sizeBytes, UInt64(count) <= sizeBytes - offset else {
            throw DeviceRangeError(offset: offset, count: count, sizeBytes: sizeBytes)
        }
        guard count > 0 else { return [] }
        let sector = UInt64(sectorSizeBytes)
        let start = offset / sector * sector
        let end = min((offset + UInt64(count) + sector - 1) / sector * sector, sizeBytes)
        let buffer = AlignedBuffer(count: Int(end - start))
        try read(at: start, into: buffer.bytes)
        return Array(buffer.bytes[Int(offset - start)..<Int(offset - start) + count])
    }

    /// Whether these very bytes, which must be whole sectors, can be read at `offset`.
    func holds(_ bytes: [UInt8], at offset: UInt64) throws -> Bool {
        let buffer = AlignedBuffer(count: bytes.count)
        try read(at: offset, into: buffer.bytes)
        guard let found = buffer.bytes.baseAddress else { return true }
        // Not `==`, with which a debug build compares byte by byte: tests read back thousands of tables.
        return bytes.withUnsafeBytes { wanted in wanted.baseAddress.map { memcmp(found, $0, bytes.count) == 0 } ?? true
        }
    }

    /// Writes `bytes`, which must be whole sectors, through aligned memory.
    func writeSectors(_ bytes: [UInt8], at offset: UInt64) throws {
        let buffer = AlignedBuffer(count: bytes.count)
        buffer.bytes.copyBytes(from: bytes)
        try write(UnsafeRawBufferPointer(buffer.bytes), at: offset)
    }

    /// Writes zeros over `count` bytes, whole sectors.
    func writeZeros(at offset: UInt64, count: UInt64) throws {
        let buffer = AlignedBuffer(count: Int(min(count, 1 << 20)))
        var done: UInt64 = 0
        while done < count {
            let piece = Int(min(count - done, UInt64(buffer.bytes.count)))
            try write(UnsafeRawBufferPointer(buffer.prefix(piece)), at: offset + done)
            done += UInt64(piece)
        }
    }
}

/// A read or write outside a device.
public struct DeviceRangeError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Where, in bytes.
    public var offset: UInt64
    /// How many bytes.
    public var count: Int
    /// The device's size in bytes.
    public var sizeBytes: UInt64

    /// What was tried.
    public var description: String {
        "\(count) bytes at \(offset) are outside a device of \(sizeBytes) bytes"
    }
}
