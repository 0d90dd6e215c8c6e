public import Linux

/// A disk that keeps what was written apart from what is durable, in memory or in a file.
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
    private(set) var seen: DiskImage
    /// What was to be seen before the newest write.
    private var before: DiskImage
    private(set) var pending: [Write] = []
    private let file: DiskFile?
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

    /// Reads what was written last.
    public func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws {
        try check(offset, buffer.count)
        if let file { return try file.read(at: offset, into: buffer) }
        seen.read(at: offset, into: buffer)
    }

    /// Writes; durable only after a flush.
    public func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws {
        try check(offset, bytes.count)
        try onWrite(offset, bytes.count)
        try file?.write(bytes, at: offset)
        before = seen
        pending.append(Write(offset: offset, bytes: Array(bytes)))
        seen.write(bytes, at: offset)
        effects += 1
        onEffect()
    }

    /// Makes everything written so far durable.
    public func flush() throws {
        guard !pending.isEmpty else { return }
        try file?.flush()
        durable = seen
        before = seen
        pending = []
        effects += 1
        onEffect()
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
        /// Every combination of up to three writes that are not yet durable. Of more: none, all; then, of each write: it
        /// alone, all but it, and it torn.
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
