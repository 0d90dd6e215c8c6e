public import Contract

/// Where each independently compressed frame of a release's artifacts lies in the pack, and its SHA-256.
///
/// Format (little endian): magic `APUSFT1` and a zero byte, u32 number of artifacts; for each artifact u32 kind,
/// u32 plain bytes of a frame, u64 plain bytes in all, u32 number of frames, u32 zero; then every artifact's frames
/// in order: u64 offset in the pack, u32 compressed bytes, u32 plain bytes, 32 bytes SHA-256 of the compressed bytes.
/// Frames that are equal share one place in the pack.
public struct FrameTable: Sendable, Equatable {
    /// What is cut into frames.
    public enum Kind: UInt32, Sendable, CaseIterable {
        /// The image of the verity tree's partition.
        case tree = 1
        /// The slot's unified kernel image.
        case uki = 2
        /// The boot artifact.
        case boot = 3
        /// The root file system.
        case root = 4
    }

    /// One frame: a zstd frame (RFC 8878) that stands for itself.
    public struct Frame: Sendable, Equatable {
        /// Where it starts in the pack, in bytes.
        public var packOffset: UInt64
        /// Its compressed size in bytes.
        public var compressedBytes: Int
        /// Its decompressed size in bytes.
        public var plainBytes: Int
        /// SHA-256 of the compressed bytes: checked before they are decompressed.
        public var sha256: Digest256

        /// Its place in the pack.
        public var packRange: Range<UInt64> { packOffset..<packOffset + UInt64(compressedBytes) }

        /// Makes a frame from its parts.
        public init(packOffset: UInt64, compressedBytes: Int, plainBytes: Int, sha256: Digest256) {
            self.packOffset = packOffset
            self.compressedBytes = compressedBytes
            self.plainBytes = plainBytes
            self.sha256 = sha256
        }
    }

    /// One artifact and its frames, which cover it without gaps.
    public struct Artifact: Sendable, Equatable {
        /// What it is.
        public var kind: Kind
        /// Plain bytes of every frame but the last, which may be shorter.
        public var framePlainBytes: Int
        /// Plain bytes in all.
        public var plainBytes: UInt64
        /// The frames in order.
        public var frames: FrameList

        /// Makes an artifact from its parts.
        public init(kind: Kind, framePlainBytes: Int, plainBytes: UInt64, frames: some Sequence<Frame>) {
            self.kind = kind
            self.framePlainBytes = framePlainBytes
            self.plainBytes = plainBytes
            self.frames = FrameList(frames)
        }

        init(kind: Kind, framePlainBytes: Int, plainBytes: UInt64, list: FrameList) {
            self.kind = kind
            self.framePlainBytes = framePlainBytes
            self.plainBytes = plainBytes
            frames = list
        }

        /// Where frame `index` starts in the artifact, in bytes.
        public func plainOffset(_ index: Int) -> UInt64 { UInt64(index) * UInt64(framePlainBytes) }

        /// The indices of the frames that hold a range of the artifact's bytes; empty for an empty range and for what
        /// lies behind the end.
        public func frameIndices(covering range: Range<UInt64>) -> Range<Int> {
            let range = range.clamped(to: 0..<plainBytes)
            guard !range.isEmpty else { return 0..<0 }
            let size = UInt64(framePlainBytes)
            return Int(range.lowerBound / size)..<Int((range.upperBound - 1) / size) + 1
        }
    }

    /// The artifacts, in the order of the table.
    public var artifacts: [Artifact]

    /// Makes a table from its artifacts.
    public init(artifacts: [Artifact]) { self.artifacts = artifacts }

    /// The artifact of a kind.
    public subscript(kind: Kind) -> Artifact? { artifacts.first { $0.kind == kind } }

    /// Refuses a table that does not describe what the manifest names: each of the four artifacts, at its size.
    public func check(against manifest: Manifest) throws(ReleaseError) {
        for kind in Kind.allCases {
            guard let artifact = self[kind] else { throw ReleaseError("the frame table has no artifact '\(kind)'") }
            guard artifact.plainBytes == manifest.bytes(of: kind) else {
                throw ReleaseError(
                    "the frame table gives artifact '\(kind)' \(artifact.plainBytes) bytes, "
                        + "the manifest \(manifest.bytes(of: kind))")
            }
        }
    }

    /// Reads the table that a verified manifest names: its size and SHA-256 first, then every entry.
    public static func verified(_ bytes: [UInt8], manifest: Manifest) throws(ReleaseError) -> FrameTable {
        guard UInt64(bytes.count) == manifest.frames.bytes, Digest256(hashing: bytes) == manifest.frames.sha256 else {
            throw ReleaseError("the frame table is not the one that the manifest of \(manifest.releaseVersion) names")
        }
        let table = try FrameTable(parsing: bytes, packBytes: manifest.packBytes)
        try table.check(against: manifest)
        return table
    }
}
