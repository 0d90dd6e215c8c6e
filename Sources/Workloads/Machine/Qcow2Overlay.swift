/// A machine's own disk when it is new: a qcow2 image with nothing in it, above whatever QEMU is told lies below
/// (QEMU, docs/interop/qcow2.rst).
///
/// It names no backing file: which one it is stands in QEMU's arguments alone.
public struct Qcow2Overlay: Sendable, Hashable {
    /// The disk's size in bytes, a multiple of 512.
    public var virtualBytes: UInt64

    /// The cluster's size in bytes.
    static let clusterBytes: UInt64 = 64 << 10
    /// Entries of the first table: enough for the largest disk, so that a disk that grows needs no other.
    static let entries = Qcow2Header.largestDiskBytes / (clusterBytes * (clusterBytes / 8))
    private static let tableClusters = entries * 8 / clusterBytes
    /// Where the disk's size stands.
    static let sizeOffset: UInt64 = 24

    /// The size of the new file, in bytes; all but `pieces` is empty.
    public static let fileBytes = (3 + tableClusters) * clusterBytes

    /// Makes a disk of a size.
    public init(virtualBytes: UInt64) { self.virtualBytes = virtualBytes }

    /// What is written, each at its offset.
    public var pieces: [(offset: UInt64, bytes: [UInt8])] {
        func big(_ value: some FixedWidthInteger) -> [UInt8] { withUnsafeBytes(of: value.bigEndian) { Array($0) } }
        // Head, table of reference counts, counts, first table: one cluster each but for the last.
        var head = Qcow2Header.magic
        // Version; backing file's offset and length; bits of a cluster.
        for word in [3, 0, 0, 0, 16] as [UInt32] { head += big(word) }
        head += big(virtualBytes)
        // No encryption; the first table.
        for word in [0, UInt32(Self.entries)] { head += big(word) }
        for long in [3 * Self.clusterBytes, Self.clusterBytes] { head += big(long) }
        // Clusters of the counts' table; no snapshots.
        for word in [1, 0] as [UInt32] { head += big(word) }
        // Snapshots' offset; no features of three kinds; counts of 16 bits; the head's length.
        for long in [0, 0, 0, 0] as [UInt64] { head += big(long) }
        for word in [4, 104] as [UInt32] { head += big(word) }
        let used = Int(3 + Self.tableClusters)
        return [
            (0, head), (Self.clusterBytes, big(2 * Self.clusterBytes)),
            (2 * Self.clusterBytes, (0..<used).flatMap { _ in big(UInt16(1)) }),
        ]
    }

    /// What makes an existing disk larger.
    public var growth: (offset: UInt64, bytes: [UInt8]) {
        (Self.sizeOffset, withUnsafeBytes(of: virtualBytes.bigEndian) { Array($0) })
    }

    /// The disk's size that the first bytes of an existing file say; nil where it is no such disk.
    public static func virtualBytes(_ prefix: [UInt8]) -> UInt64? {
        guard Qcow2Header.isQcow2(prefix), prefix.count >= 32 else { return nil }
        return prefix[24..<32].reduce(0) { $0 << 8 | UInt64($1) }
    }
}
