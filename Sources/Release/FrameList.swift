internal import Contract

/// Frames as they stand in the table, decoded one at a time: a table of many frames costs a node 48 bytes for each.
public struct FrameList: Sendable, Equatable, RandomAccessCollection {
    static let entryBytes = 48
    let bytes: [UInt8]

    /// Entries that are whole.
    init(bytes: [UInt8]) { self.bytes = bytes }

    /// Encodes frames.
    public init(_ frames: some Sequence<FrameTable.Frame>) {
        var writer = ByteWriter()
        for frame in frames {
            writer.append(frame.packOffset)
            writer.append(UInt32(frame.compressedBytes))
            writer.append(UInt32(frame.plainBytes))
            writer.append(frame.sha256.bytes)
        }
        bytes = writer.bytes
    }

    /// 0.
    public var startIndex: Int { 0 }
    /// The number of frames.
    public var endIndex: Int { bytes.count / Self.entryBytes }

    /// The frame at `position`.
    public subscript(position: Int) -> FrameTable.Frame {
        let start = position * Self.entryBytes
        func number(_ offset: Int, _ count: Int) -> UInt64 {
            bytes[start + offset..<start + offset + count].reversed().reduce(0) { $0 << 8 | UInt64($1) }
        }
        return FrameTable.Frame(
            packOffset: number(0, 8), compressedBytes: Int(number(8, 4)), plainBytes: Int(number(12, 4)),
            sha256: Digest256(unchecked: bytes[start + 16..<start + 48]))
    }
}
