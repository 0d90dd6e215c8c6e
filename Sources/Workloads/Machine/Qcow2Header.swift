/// The head of a qcow2 image that somebody else made (QEMU, docs/interop/qcow2.rst), read before QEMU reads any of it.
///
/// Such an image can name other files, which QEMU would open: a backing file, an external data file. Whatever is not
/// needed for a disk that stands alone is refused.
public struct Qcow2Header: Sendable, Hashable {
    /// The size of the disk that it describes, in bytes.
    public let virtualBytes: UInt64
    /// The power of two that its clusters' size is.
    public let clusterBits: UInt32

    /// Why an image is refused, as a sentence.
    public struct Refusal: Error, Sendable, Hashable, CustomStringConvertible {
        /// The sentence.
        public var description: String
    }

    /// How much of an image is looked at, in bytes: all extensions of a head that is accepted lie in it.
    public static let prefixBytes = 64 << 10
    /// The largest disk, in bytes.
    public static let largestDiskBytes: UInt64 = 64 << 40
    /// `QFI` and 0xFB.
    static let magic: [UInt8] = [0x51, 0x46, 0x49, 0xFB]

    /// Whether bytes begin as a qcow2 image does, of whatever version.
    public static func isQcow2(_ prefix: some Sequence<UInt8>) -> Bool { prefix.starts(with: magic) }

    /// Reads the first bytes of a file of a certain size.
    public init(_ prefix: [UInt8], fileBytes: UInt64) throws(Refusal) {
        let bytes = BigEndian(bytes: prefix)
        guard Self.isQcow2(prefix), prefix.count >= 512, UInt64(prefix.count) <= fileBytes else {
            throw Refusal(description: "it is no whole qcow2 image")
        }
        let version = bytes.word(4)
        guard version == 2 || version == 3 else {
            throw Refusal(description: "its format is qcow2 version \(version); 2 and 3 are accepted")
        }
        guard bytes.long(8) == 0, bytes.word(16) == 0 else {
            throw Refusal(description: "it names a backing file; only an image that stands alone is accepted")
        }
        clusterBits = bytes.word(20)
        guard (9...21).contains(clusterBits) else {
            throw Refusal(description: "its clusters are 2 to the power of \(clusterBits) bytes")
        }
        virtualBytes = bytes.long(24)
        guard (512...Self.largestDiskBytes).contains(virtualBytes) else {
            throw Refusal(description: "its disk of \(virtualBytes) bytes is empty, or larger than any disk may be")
        }
        guard bytes.word(32) == 0 else { throw Refusal(description: "it is encrypted") }
        guard bytes.word(60) == 0 else { throw Refusal(description: "it holds snapshots") }
        var headBytes = 72
        if version == 3 { headBytes = try Self.features(bytes) }
        try Self.tables(bytes, virtualBytes, clusterBits, fileBytes)
        try Self.extensions(bytes, from: headBytes, clusterBytes: 1 << Int(clusterBits))
    }

    /// Incompatible features: other compression and subclusters are fine; returns the head's length.
    private static func features(_ bytes: BigEndian) throws(Refusal) -> Int {
        let incompatible = bytes.long(72)
        if incompatible & 1 << 2 != 0 { throw Refusal(description: "its data are in an external file") }
        if incompatible & 0b11 != 0 { throw Refusal(description: "it was not closed properly, or is corrupt") }
        let known: UInt64 = 1 << 3 | 1 << 4
        guard incompatible & ~known == 0 else {
            throw Refusal(description: "it has the unknown features \(String(incompatible & ~known, radix: 16))")
        }
        let length = bytes.word(100)
        guard (104...4096).contains(length), length.isMultiple(of: 8) else {
            throw Refusal(description: "its head of \(length) bytes is of no known length")
        }
        if incompatible & 1 << 3 != 0 {
            guard length >= 112, bytes.byte(104) <= 1 else {
                throw Refusal(description: "its compression is neither zlib nor zstd")
            }
        }
        guard bytes.word(96) <= 6 else { throw Refusal(description: "its reference counts are too wide") }
        return Int(length)
    }

    /// The tables that a reader follows lie in the file, and fit the disk.
    private static func tables(
        _ bytes: BigEndian, _ virtualBytes: UInt64, _ clusterBits: UInt32, _ fileBytes: UInt64
    ) throws(Refusal) {
        let clusterBytes: UInt64 = 1 << UInt64(clusterBits)
        func inside(_ offset: UInt64, _ count: UInt64) -> Bool {
            let (end, overflow) = offset.addingReportingOverflow(count)
            return !overflow && offset >= clusterBytes && offset.isMultiple(of: clusterBytes) && end <= fileBytes
        }
        // With subclusters an entry has twice as many bytes; the lower bound is the wider one.
        let entryBytes = clusterBytes * (clusterBytes / 8)
        let needed = virtualBytes / entryBytes
        let entries = UInt64(bytes.word(36))
        guard entries >= needed, entries <= 4 << 20, inside(bytes.long(40), entries * 8) else {
            throw Refusal(description: "its first table does not fit its disk, or lies outside the file")
        }
        let counts = UInt64(bytes.word(56))
        guard counts >= 1, counts * clusterBytes <= 8 << 20, inside(bytes.long(48), counts * clusterBytes) else {
            throw Refusal(description: "its table of reference counts lies outside the file")
        }
    }

    private static func extensions(_ bytes: BigEndian, from start: Int, clusterBytes: Int) throws(Refusal) {
        let end = min(clusterBytes, bytes.bytes.count)
        var offset = start
        for _ in 0..<64 {
            guard offset + 8 <= end else { return }
            let type = bytes.word(offset)
            let length = Int(bytes.word(offset + 4))
            guard length <= end - offset - 8 else {
                throw Refusal(description: "an extension of its head is longer than the head")
            }
            switch type {
            case 0: return
            case 0x4441_5441: throw Refusal(description: "it names an external data file")
            case 0xE279_2ACA: throw Refusal(description: "it names the format of a backing file")
            case 0x0537_BE77: throw Refusal(description: "it is encrypted")
            // The names of features, bitmaps, and what readers that do not know it pass over.
            default: offset += 8 + (length + 7) / 8 * 8
            }
        }
        throw Refusal(description: "its head has more than 64 extensions")
    }
}

/// Numbers in network order; 0 beyond the end.
private struct BigEndian {
    var bytes: [UInt8]

    func byte(_ offset: Int) -> UInt8 { bytes.indices.contains(offset) ? bytes[offset] : 0 }
    func word(_ offset: Int) -> UInt32 { (0..<4).reduce(0) { $0 << 8 | UInt32(byte(offset + $1)) } }
    func long(_ offset: Int) -> UInt64 { UInt64(word(offset)) << 32 | UInt64(word(offset + 4)) }
}
