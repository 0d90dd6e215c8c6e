public import Linux

/// A disk that keeps what was written apart from what is durable.
///
/// The fault model: a flush makes everything written before it durable. At a power cut each write since the last flush
/// is, independently of the others, applied, lost, or torn between two sectors; sectors themselves are atomic. Reads see
/// all writes. What a correct program must survive is any of the images that `imagesAfterCut` gives.
public final class FaultyDisk: BlockDevice {
    /// One write that is not yet durable.
    struct Write {
        var offset: UInt64
        var bytes: [UInt8]
    }

    /// What a power cut would surely leave.
    public private(set) var durable: DiskImage
    private var seen: DiskImage
    private(set) var pending: [Write] = []
    /// Called after each write and each flush: the instants at which power may be lost.
    public var onEffect: () -> Void = {}
    /// Asked before each write; what it throws, the write throws, and nothing is written.
    public var onWrite: (_ offset: UInt64, _ count: Int) throws -> Void = { _, _ in }
    /// How many writes and flushes there were.
    public private(set) var effects = 0

    /// The logical sector size in bytes.
    public let sectorSizeBytes: Int
    /// The size in bytes.
    public var sizeBytes: UInt64 { durable.sizeBytes }

    /// Makes a disk with these contents, all of it durable.
    public init(_ image: DiskImage, sectorSizeBytes: Int = 512) {
        durable = image
        seen = image
        self.sectorSizeBytes = sectorSizeBytes
    }

    /// Reads what was written last.
    public func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws {
        try check(offset, buffer.count)
        seen.read(at: offset, into: buffer)
    }

    /// Writes; durable only after a flush.
    public func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws {
        try check(offset, bytes.count)
        try onWrite(offset, bytes.count)
        let write = Write(offset: offset, bytes: Array(bytes))
        pending.append(write)
        seen.write(bytes, at: offset)
        effects += 1
        onEffect()
    }

    /// Makes everything written so far durable.
    public func flush() throws {
        guard !pending.isEmpty else { return }
        durable = seen
        pending = []
        effects += 1
        onEffect()
    }

    /// A reset by watchdog or panic: what was not flushed was in memory and is gone.
    public func reset() {
        seen = durable
        pending = []
    }

    private func check(_ offset: UInt64, _ count: Int) throws {
        let sector = UInt64(sectorSizeBytes)
        guard offset.isMultiple(of: sector), count.isMultiple(of: sectorSizeBytes), offset <= sizeBytes,
            UInt64(count) <= sizeBytes - offset
        else { throw SimulationError("\(count) bytes at \(offset) are not whole sectors of the simulated disk") }
    }

    // MARK: - Power cuts

    private enum Fate: CaseIterable { case applied, lost, tornEarly, tornLate }

    /// The images that a power cut at this instant may leave.
    ///
    /// Up to three unsynced writes: every combination. More: none and all; then, of each write or, where `isBrief`, of
    /// the newest only: it alone, all but it, and it torn.
    public func imagesAfterCut(isBrief: Bool = false) -> [DiskImage] {
        var images: [DiskImage] = []
        var digests: Set<Int> = []
        for fates in combinations(isBrief) {
            var image = durable
            for (write, fate) in zip(pending, fates) { apply(write, fate, to: &image) }
            if digests.insert(image.digest).inserted { images.append(image) }
        }
        return images
    }

    private func combinations(_ isBrief: Bool) -> [[Fate]] {
        let count = pending.count
        guard count > 3 else {
            return pending.reduce([[]]) { found, write in
                let isOneSector = write.bytes.count <= sectorSizeBytes
                let fates: [Fate] = isOneSector ? [.applied, .lost] : [.applied, .lost, .tornEarly, .tornLate]
                return found.flatMap { before in fates.map { before + [$0] } }
            }
        }
        var found = [[Fate](repeating: .lost, count: count), [Fate](repeating: .applied, count: count)]
        for index in isBrief ? count - 1..<count : 0..<count {
            for (rest, fate) in [
                (Fate.lost, Fate.applied), (.applied, .lost), (.applied, .tornEarly), (.lost, .tornLate),
            ] {
                var fates = [Fate](repeating: rest, count: count)
                fates[index] = fate
                found.append(fates)
            }
        }
        return found
    }

    private func apply(_ write: Write, _ fate: Fate, to image: inout DiskImage) {
        let sectors = write.bytes.count / sectorSizeBytes
        let middle = max(1, sectors / 2) * sectorSizeBytes
        switch fate {
        case .lost: break
        case .applied: image.write(write.bytes, at: write.offset)
        case .tornEarly: image.write(Array(write.bytes[..<min(middle, write.bytes.count)]), at: write.offset)
        case .tornLate:
            image.write(Array(write.bytes[min(middle, write.bytes.count)...]), at: write.offset + UInt64(middle))
        }
    }
}

/// A part of a simulated disk as a device of its own.
public final class SimulatedPartition: BlockDevice {
    private let disk: FaultyDisk
    private let offset: UInt64
    /// The size in bytes.
    public let sizeBytes: UInt64
    /// The disk's sector size in bytes.
    public var sectorSizeBytes: Int { disk.sectorSizeBytes }

    /// Opens `sizeBytes` bytes at `offset`.
    public init(_ disk: FaultyDisk, offset: UInt64, sizeBytes: UInt64) {
        self.disk = disk
        self.offset = offset
        self.sizeBytes = sizeBytes
    }

    private func check(_ start: UInt64, _ count: Int) throws {
        guard start <= sizeBytes, UInt64(count) <= sizeBytes - start else {
            throw SimulationError("\(count) bytes at \(start) are outside the partition")
        }
    }

    /// Reads from the disk.
    public func read(at start: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws {
        try check(start, buffer.count)
        try disk.read(at: offset + start, into: buffer)
    }

    /// Writes to the disk.
    public func write(_ bytes: UnsafeRawBufferPointer, at start: UInt64) throws {
        try check(start, bytes.count)
        try disk.write(bytes, at: offset + start)
    }

    /// Flushes the disk.
    public func flush() throws { try disk.flush() }
}

/// What a simulated part refuses, or a rule that was broken.
public struct SimulationError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The sentence.
    public var description: String

    /// Makes an error from its sentence.
    public init(_ sentence: String) { description = sentence }
}
