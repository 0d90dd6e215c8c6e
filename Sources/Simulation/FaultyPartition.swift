public import Linux

/// A partition of a simulated disk, with a page cache of its own as Linux gives one to each block device.
public final class FaultyPartition: BlockDevice {
    private let disk: FaultyDisk
    private let range: Range<UInt64>

    init(_ disk: FaultyDisk, _ range: Range<UInt64>) {
        self.disk = disk
        self.range = range
    }

    /// The size in bytes.
    public var sizeBytes: UInt64 { range.upperBound - range.lowerBound }
    /// The disk's logical sector size in bytes.
    public var sectorSizeBytes: Int { disk.sectorSizeBytes }

    /// Reads what was written last.
    public func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws {
        try disk.read(at: place(offset, buffer.count), into: buffer, through: range)
    }

    /// Writes; durable only after this partition, at whatever time it was opened, was flushed.
    public func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws {
        try disk.write(bytes, at: place(offset, bytes.count), through: range)
    }

    /// Makes everything durable that was written so far through this partition, and nothing else.
    public func flush() throws { try disk.flush(range) }

    private func place(_ offset: UInt64, _ count: Int) throws -> UInt64 {
        guard offset <= sizeBytes, UInt64(count) <= sizeBytes - offset else {
            throw SimulationError("\(count) bytes at \(offset) are outside a partition of \(sizeBytes) bytes")
        }
        return range.lowerBound + offset
    }
}
