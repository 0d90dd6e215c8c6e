import Decisions
import Linux

/// A mistake that the simulation must find: a flush that is left out.
struct MissingFlush: Sendable, CustomStringConvertible {
    /// The partition that is not flushed; nil for the whole disk, through which the table is written.
    var device: PartitionRole?
    /// Which flushes of a run they are, counted from 1; nil for all of them.
    var numbers: ClosedRange<Int>?

    var description: String {
        let which = numbers.map { "flushes \($0.lowerBound) to \($0.upperBound)" } ?? "every flush"
        return "\(which) of \(device?.label ?? "the whole disk") left out"
    }
}

/// A device whose flushes do nothing where it is told so.
final class ForgetfulDevice: BlockDevice {
    private let device: any BlockDevice
    private let flushes: () -> Bool

    init(_ device: any BlockDevice, flushes: @escaping () -> Bool) {
        self.device = device
        self.flushes = flushes
    }

    var sizeBytes: UInt64 { device.sizeBytes }
    var sectorSizeBytes: Int { device.sectorSizeBytes }
    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws {
        try device.read(at: offset, into: buffer)
    }
    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws { try device.write(bytes, at: offset) }
    func flush() throws { if flushes() { try device.flush() } }
}
