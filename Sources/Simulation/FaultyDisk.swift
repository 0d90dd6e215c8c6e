public import Linux

/// A disk that keeps what was written apart from what is durable, in memory or in a file.
///
/// The fault model is Linux's: the disk and each of its partitions are devices with a page cache of their own, and a
/// flush makes durable what was written before through the same device, nothing else. At a power cut each write that is
/// not yet durable is, independently of the others, applied, lost, or torn between two sectors; sectors themselves are
/// atomic. Reads see all writes; those that would not on Linux, for want of a flush, are told to `onConflict`. What a
/// correct program must survive is any of the images that `imagesAfterCut` gives.
///
/// Used as a device itself it is the whole disk; `partition(at:sizeBytes:)` opens its partitions.
public final class FaultyDisk: BlockDevice {
    /// What has a page cache of its own: the partition with these bytes of the disk, or nil for the whole disk.
    typealias Device = Range<UInt64>?

    /// One write that is not yet durable.
    struct Write {
        var device: Device
        var offset: UInt64
        var bytes: [UInt8]

        func overlaps(_ offset: UInt64, _ count: Int) -> Bool {
            offset < self.offset + UInt64(bytes.count) && self.offset < offset + UInt64(count)
        }
    }

    /// What a power cut would surely leave.
    public private(set) var durable: DiskImage
    private(set) var seen: DiskImage
    /// What was to be seen before the newest write.
    private var before: DiskImage
    private(set) var pending: [Write] = []
    private let file: DiskFile?
    /// Called after each write and each flush: the instants at which power may be lost.
    public var onEffect: () -> Void = {}
    /// Asked before each write; what it throws, the write throws, and nothing is written.
    public var onWrite: (_ offset: UInt64, _ count: Int) throws -> Void = { _, _ in }
    /// Told, as a sentence, of what depends on a flush that was not made: bytes that were written through one device and
    /// not flushed are read or written through another, which has a page cache of its own.
    public var onConflict: (String) -> Void = { _ in }
    /// How many writes and flushes there were.
    public private(set) var effects = 0

    /// The logical sector size in bytes.
    public let sectorSizeBytes: Int
    /// The size in bytes.
    public var sizeBytes: UInt64 { durable.sizeBytes }

    /// Makes a disk with these contents, all of it durable.
    ///
    /// With a `file` every read, write and flush goes to that, and what is kept in memory is only the log of them from
    /// which a cut is made. A file serves one disk at a time.
    public init(_ image: DiskImage, sectorSizeBytes: Int = 512, file: DiskFile? = nil) {
        durable = image
        seen = image
        before = image
        self.sectorSizeBytes = sectorSizeBytes
        self.file = file
        file?.show(image)
    }

    /// Opens a partition: what is written through it is made durable by flushing it, or another opened at the same
    /// place. Throws `SimulationError` where it is not within the disk.
    public func partition(at offset: UInt64, sizeBytes: UInt64) throws -> FaultyPartition {
        try check(offset, Int(clamping: sizeBytes))
        return FaultyPartition(self, offset..<offset + sizeBytes)
    }

    /// Reads what was written last.
    public func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws {
        try read(at: offset, into: buffer, through: nil)
    }

    /// Writes through the whole disk's device; durable only after a flush of that.
    public func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws {
        try write(bytes, at: offset, through: nil)
    }

    /// Makes everything durable that was written so far through the whole disk's device, and not through a partition's.
    public func flush() throws { try flush(nil) }

    /// Makes everything written so far durable, through whichever device, as sync(2) does.
    public func sync() throws {
        for device in dirtyDevices { try flush(device) }
    }

    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer, through device: Device) throws {
        try check(offset, buffer.count)
        noteConflict(offset, buffer.count, device, "read")
        if let file { return try file.read(at: offset, into: buffer) }
        seen.read(at: offset, into: buffer)
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64, through device: Device) throws {
        try check(offset, bytes.count)
        noteConflict(offset, bytes.count, device, "written")
        try onWrite(offset, bytes.count)
        try file?.write(bytes, at: offset)
        before = seen
        pending.append(Write(device: device, offset: offset, bytes: Array(bytes)))
        seen.write(bytes, at: offset)
        effects += 1
        onEffect()
    }

    func flush(_ device: Device) throws {
        let flushed = pending.filter { $0.device == device }
        guard !flushed.isEmpty else { return }
        try file?.flush()
        pending.removeAll { $0.device == device }
        if pending.isEmpty {
            durable = seen
            before = seen
        } else {
            for write in flushed { durable.write(write.bytes, at: write.offset) }
            before = durable
            for write in pending.dropLast() { before.write(write.bytes, at: write.offset) }
        }
        effects += 1
        onEffect()
    }

    /// Those with writes that are not yet durable, in the order of their oldest.
    private var dirtyDevices: [Device] {
        var known: Set<Device> = []
        return pending.map(\.device).filter { known.insert($0).inserted }
    }

    private func noteConflict(_ offset: UInt64, _ count: Int, _ device: Device, _ verb: String) {
        guard pending.contains(where: { $0.device != device && $0.overlaps(offset, count) }) else { return }
        onConflict("\(count) bytes at \(offset) are \(verb) that another device has not flushed")
    }

    /// A reset by watchdog or panic: what was not flushed was in memory and is gone.
    public func reset() {
        seen = durable
        before = durable
        pending = []
        file?.show(durable)
    }

    private func check(_ offset: UInt64, _ count: Int) throws {
        let sector = UInt64(sectorSizeBytes)
        guard offset.isMultiple(of: sector), count.isMultiple(of: sectorSizeBytes), offset <= sizeBytes,
            UInt64(count) <= sizeBytes - offset
        else { throw SimulationError("\(count) bytes at \(offset) are not whole sectors of the simulated disk") }
    }

    // MARK: - Power cuts

    private enum Fate: CaseIterable { case applied, lost, tornEarly, tornLate }

    /// How many combinations of fates are looked at.
    public enum Detail: Sendable {
        /// Every combination of up to three writes that are not yet durable. Of more: none, all; of each write: it alone,
        /// all but it, and it torn; of each device: all of its writes alone, and all but those.
        case each
        /// None, all; then, of the newest write, which each write is at its own instant: it alone, all but it, and it
        /// torn, with all or none of the others.
        case newest
    }

    /// The images that a power cut at this instant may leave.
    public func imagesAfterCut(_ detail: Detail = .each) -> [DiskImage] {
        let images =
            detail == .newest
            ? imagesOfNewest()
            : combinations().map { fates in
                var image = durable
                for (write, fate) in zip(pending, fates) { apply(write, fate, to: &image) }
                return image
            }
        var digests: Set<Int> = []
        return images.filter { digests.insert($0.digest).inserted }
    }

    private func imagesOfNewest() -> [DiskImage] {
        guard let newest = pending.last else { return [durable] }
        return [durable, seen]
            + [(durable, Fate.applied), (before, .lost), (before, .tornEarly), (durable, .tornLate)].map {
                var image = $0.0
                apply(newest, $0.1, to: &image)
                return image
            }
    }

    private func combinations() -> [[Fate]] {
        let count = pending.count
        guard count > 3 else {
            return pending.reduce([[]]) { found, write in
                let isOneSector = write.bytes.count <= sectorSizeBytes
                let fates: [Fate] = isOneSector ? [.applied, .lost] : [.applied, .lost, .tornEarly, .tornLate]
                return found.flatMap { before in fates.map { before + [$0] } }
            }
        }
        var found = [[Fate](repeating: .lost, count: count), [Fate](repeating: .applied, count: count)]
        for index in 0..<count {
            for (rest, fate) in [
                (Fate.lost, Fate.applied), (.applied, .lost), (.applied, .tornEarly), (.lost, .tornLate),
            ] {
                var fates = [Fate](repeating: rest, count: count)
                fates[index] = fate
                found.append(fates)
            }
        }
        let devices = dirtyDevices
        guard devices.count > 1 else { return found }
        for device in devices {
            found.append(pending.map { $0.device == device ? .applied : .lost })
            found.append(pending.map { $0.device == device ? .lost : .applied })
        }
        return found
    }

    private func apply(_ write: Write, _ fate: Fate, to image: inout DiskImage) {
        let sectors = write.bytes.count / sectorSizeBytes
        // What is small tears behind its header, as that is where a checksum stands; the rest in its middle.
        let middle = (sectors <= 8 ? 1 : sectors / 2) * sectorSizeBytes
        switch fate {
        case .lost: break
        case .applied: image.write(write.bytes, at: write.offset)
        case .tornEarly: image.write(Array(write.bytes[..<min(middle, write.bytes.count)]), at: write.offset)
        case .tornLate:
            image.write(Array(write.bytes[min(middle, write.bytes.count)...]), at: write.offset + UInt64(middle))
        }
    }
}

/// What a simulated part refuses, or a rule that was broken.
public struct SimulationError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The sentence.
    public var description: String

    /// Makes an error from its sentence.
    public init(_ sentence: String) { description = sentence }
}
