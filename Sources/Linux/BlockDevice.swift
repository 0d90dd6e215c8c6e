/// Bytes that outlive a power cut once flushed: a partition, a whole disk, a file or a simulated disk.
///
/// What is written is durable only after `flush()` returns; until then a power cut may apply, lose or tear it.
public protocol BlockDevice: AnyObject {
    /// The size in bytes.
    var sizeBytes: UInt64 { get }
    /// The logical sector size in bytes: 512 or 4096. Offsets and lengths are multiples of it.
    var sectorSizeBytes: Int { get }
    /// Reads exactly `buffer.count` bytes at `offset`, past the page cache where the device can.
    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws
    /// Writes all of `bytes` at `offset`.
    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws
    /// Returns when everything written before is on the medium.
    func flush() throws
}
