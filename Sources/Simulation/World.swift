public import Contract
import Cryptography
import Slots

/// Everything about a machine that outlives a power cut.
public struct World: Sendable, Equatable {
    /// The disk.
    public var disk: DiskImage
    /// The firmware's variables.
    public var firmware: SimulatedFirmware
    /// How many node keys were made: a second one would be a second node. More than two count as two.
    public var keysMade: UInt8 = 0
    /// Whether the operator's request was passed on.
    public var hasAskedToReprovision = false
    /// The attempts that each version had left when it was started last on trial, by its root hash.
    public var attempts: [Digest256: Int] = [:]

    /// A machine as it comes out of its box, with a disk of that size.
    public init(habit: SimulatedFirmware.Habit = .honest, diskBytes: UInt64 = SimulatedSite.smallDiskBytes) {
        disk = DiskImage(sizeBytes: diskBytes)
        firmware = SimulatedFirmware(habit: habit)
    }
}

/// Tells worlds apart that may have different futures.
///
/// Two worlds with one key are alike to the byte, but for three things that decide about nothing: the sequence numbers
/// of the boot record's two copies, of which only the order counts, with the checksums over them; and `BootCurrent`,
/// which each start sets anew. Keys hold within one process.
struct WorldKeys {
    private let recordOffset: UInt64
    private var known: [Pages: Int] = [:]

    private struct Pages: Hashable {
        var first: Int
        var second: Int
    }

    /// Takes the place of the boot record's partition on the disk, in bytes.
    init(recordOffset: UInt64) { self.recordOffset = recordOffset }

    mutating func key(_ world: World) -> Int {
        var firmware = world.firmware
        firmware.current = nil
        let pages = BootRecordStore.copyOffsets.map { world.disk.digest(ofPageAt: recordOffset + $0) }
        var hasher = Hasher()
        hasher.combine(pages.reduce(world.disk.digest, ^))
        hasher.combine(records(world.disk, Pages(first: pages[0], second: pages[1])))
        hasher.combine(firmware)
        hasher.combine(world.keysMade)
        hasher.combine(world.hasAskedToReprovision)
        hasher.combine(world.attempts)
        return hasher.finalize()
    }

    private mutating func records(_ disk: DiskImage, _ pages: Pages) -> Int {
        if let key = known[pages] { return key }
        let copies = BootRecordStore.copyOffsets.map { Copy(disk, at: recordOffset + $0) }
        var hasher = Hasher()
        for copy in copies { hasher.combine(copy.content) }
        hasher.combine((copies[0].sequence ?? 0) < (copies[1].sequence ?? 0))
        let key = hasher.finalize()
        known[pages] = key
        return key
    }

    /// The first page of one copy of the record, whose format `BootRecordStore` describes.
    private struct Copy {
        var content: [UInt8]
        /// Nil where the copy is not intact, or continues on the next page.
        var sequence: UInt64?

        init(_ disk: DiskImage, at offset: UInt64) {
            content = disk.bytes(at: offset, count: DiskImage.pageBytes)
            let length = content[12..<16].reversed().reduce(0) { $0 << 8 | Int($1) }
            guard content.starts(with: Array("APUSBR1\0".utf8)), 64 + length <= content.count,
                SHA256.digest(content[..<32] + content[64..<64 + length]) == Array(content[32..<64])
            else { return }
            sequence = content[16..<24].reversed().reduce(0) { $0 << 8 | UInt64($1) }
            content.replaceSubrange(16..<24, with: repeatElement(0, count: 8))
            content.replaceSubrange(32..<64, with: repeatElement(0, count: 32))
        }
    }
}
