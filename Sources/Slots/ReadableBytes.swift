/// Bytes that can be read at any place: a file on a FAT volume, or memory.
public protocol ReadableBytes {
    /// The size in bytes.
    var sizeBytes: UInt64 { get }
    /// Reads exactly `buffer.count` bytes at `offset`; throws where they do not exist.
    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws
}

extension ReadableBytes {
    /// Reads `count` bytes at `offset`.
    public func read(at offset: UInt64, count: Int) throws -> [UInt8] {
        guard count >= 0, offset <= sizeBytes, UInt64(count) <= sizeBytes - offset else {
            throw DeviceRangeError(offset: offset, count: count, sizeBytes: sizeBytes)
        }
        return try [UInt8](unsafeUninitializedCapacity: count) { buffer, used in
            try read(
                at: offset,
                into: UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[..<count]))
            used = count
        }
    }

    /// Gives everything in pieces of at most `pieceBytes`, in order.
    public func forEachPiece(ofAtMost pieceBytes: Int = 1 << 20, _ body: (UnsafeRawBufferPointer) throws -> Void) throws
    {
        let buffer = AlignedBuffer(count: Int(min(UInt64(pieceBytes), max(sizeBytes, 1))))
        var offset: UInt64 = 0
        while offset < sizeBytes {
            let piece = buffer.prefix(Int(min(UInt64(buffer.bytes.count), sizeBytes - offset)))
            try read(at: offset, into: piece)
            try body(UnsafeRawBufferPointer(piece))
            offset += UInt64(piece.count)
        }
    }
}

/// Memory as `ReadableBytes`.
public struct MemoryBytes: ReadableBytes, Sendable {
    /// The bytes.
    public var bytes: [UInt8]
    /// Their number.
    public var sizeBytes: UInt64 { UInt64(bytes.count) }

    /// Wraps bytes.
    public init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// Copies bytes out; throws `DeviceRangeError` where they do not exist.
    public func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws {
        guard offset <= sizeBytes, UInt64(buffer.count) <= sizeBytes - offset else {
            throw DeviceRangeError(offset: offset, count: buffer.count, sizeBytes: sizeBytes)
        }
        buffer.copyBytes(from: bytes[Int(offset)..<Int(offset) + buffer.count])
    }
}
