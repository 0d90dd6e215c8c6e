internal import Contract

/// Bounds of a frame table.
public enum FrameLimit {
    /// Artifacts in one table.
    public static let artifacts = 8
    /// The smallest plain size of a frame in bytes: one block.
    public static let smallestPlainBytes = 4096
    /// The largest plain size of a frame in bytes, which bounds a node's memory.
    public static let largestPlainBytes = 4 << 20

    /// The largest compressed size of a frame with so many plain bytes, a little above zstd's own bound (zstd.h,
    /// `ZSTD_COMPRESSBOUND`).
    public static func compressedBytes(forPlain plain: Int) -> Int { plain + plain / 128 + 1024 }
}

extension FrameTable {
    private static let magic = Array("APUSFT1\0".utf8)

    /// The table's bytes.
    public var encoded: [UInt8] {
        var writer = ByteWriter()
        writer.append(Self.magic)
        writer.append(UInt32(artifacts.count))
        for artifact in artifacts {
            writer.append(artifact.kind.rawValue)
            writer.append(UInt32(artifact.framePlainBytes))
            writer.append(artifact.plainBytes)
            writer.append(UInt32(artifact.frames.count))
            writer.append(UInt32(0))
        }
        for artifact in artifacts { writer.append(artifact.frames.bytes) }
        return writer.bytes
    }

    /// Reads a table of at most `WireLimit.frameTable` bytes; every number is checked, against each other and
    /// against the size of the pack.
    public init(parsing bytes: [UInt8], packBytes: UInt64) throws(ReleaseError) {
        guard bytes.count <= WireLimit.frameTable else {
            throw ReleaseError("a frame table of \(bytes.count) bytes is larger than \(WireLimit.frameTable)")
        }
        var reader = ByteReader(bytes)
        guard try reader.bytes(8) == Self.magic else { throw ReleaseError("this is not a frame table") }
        let count = try reader.uint32()
        guard count >= 1, count <= FrameLimit.artifacts else {
            throw ReleaseError("a frame table has 1 to \(FrameLimit.artifacts) artifacts, not \(count)")
        }
        var headers: [ArtifactHeader] = []
        for _ in 0..<count {
            let header = try ArtifactHeader(from: &reader)
            guard !headers.contains(where: { $0.kind == header.kind }) else {
                throw ReleaseError("the frame table has artifact '\(header.kind)' twice")
            }
            headers.append(header)
        }
        var artifacts: [Artifact] = []
        for header in headers { artifacts.append(try header.artifact(from: &reader, packBytes: packBytes)) }
        guard reader.remaining == 0 else { throw ReleaseError("something follows the frame table's last entry") }
        self.artifacts = artifacts
    }
}

/// An artifact's header: how many frames follow is known to be right before they are read.
private struct ArtifactHeader {
    let kind: FrameTable.Kind
    let framePlainBytes: Int
    let plainBytes: UInt64
    let frameCount: Int

    init(from reader: inout ByteReader) throws(ReleaseError) {
        let number = try reader.uint32()
        guard let kind = FrameTable.Kind(rawValue: number) else {
            throw ReleaseError("the frame table has an artifact of unknown kind \(number)")
        }
        self.kind = kind
        framePlainBytes = Int(try reader.uint32())
        plainBytes = try reader.uint64()
        frameCount = Int(try reader.uint32())
        guard try reader.uint32() == 0 else { throw ReleaseError("artifact '\(kind)' has a reserved field in use") }
        guard (FrameLimit.smallestPlainBytes...FrameLimit.largestPlainBytes).contains(framePlainBytes),
            framePlainBytes.isMultiple(of: VerityLayout.blockBytes)
        else { throw ReleaseError("artifact '\(kind)' has frames of \(framePlainBytes) bytes, which is not possible") }
        let size = UInt64(framePlainBytes)
        guard plainBytes >= 1, plainBytes <= UInt64(ManifestLimit.pack),
            UInt64(frameCount) == (plainBytes + size - 1) / size
        else { throw ReleaseError("artifact '\(kind)' has \(frameCount) frames for \(plainBytes) bytes") }
    }

    func artifact(from reader: inout ByteReader, packBytes: UInt64) throws(ReleaseError) -> FrameTable.Artifact {
        guard frameCount <= reader.remaining / FrameList.entryBytes else {
            throw ReleaseError("the frame table ends before the frames of artifact '\(kind)'")
        }
        let list = FrameList(bytes: try reader.bytes(frameCount * FrameList.entryBytes))
        for (index, frame) in list.enumerated() {
            let expected = min(UInt64(framePlainBytes), plainBytes - UInt64(index) * UInt64(framePlainBytes))
            guard UInt64(frame.plainBytes) == expected else {
                throw ReleaseError(
                    "frame \(index) of artifact '\(kind)' holds \(frame.plainBytes) bytes, not \(expected)")
            }
            guard frame.compressedBytes >= 1,
                frame.compressedBytes <= FrameLimit.compressedBytes(forPlain: frame.plainBytes)
            else { throw ReleaseError("frame \(index) of artifact '\(kind)' has an impossible compressed size") }
            guard frame.packOffset <= packBytes, UInt64(frame.compressedBytes) <= packBytes - frame.packOffset else {
                throw ReleaseError("frame \(index) of artifact '\(kind)' lies outside the pack")
            }
        }
        return FrameTable.Artifact(kind: kind, framePlainBytes: framePlainBytes, plainBytes: plainBytes, list: list)
    }
}
