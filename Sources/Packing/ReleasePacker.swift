public import Contract
internal import Cryptography
internal import Glibc
public import Release

/// What a manifest says of a release besides sizes and digests.
public struct ReleaseIdentity: Sendable, Equatable {
    /// The product line: letters, digits and `. _ + ~ -`.
    public var product: String
    /// The version, for people; the same characters.
    public var releaseVersion: String
    /// TUF's version of the document, at least 1.
    public var version: Int64
    /// Rises where older releases must not be installed any more.
    public var epoch: Int64
    /// The processor architecture.
    public var architecture: Architecture
    /// When the release expires, in seconds since 1970.
    public var expiresSeconds: Int64

    /// Makes an identity from its parts.
    public init(
        product: String, releaseVersion: String, version: Int64 = 1, epoch: Int64 = 0, architecture: Architecture,
        expiresSeconds: Int64
    ) {
        self.product = product
        self.releaseVersion = releaseVersion
        self.version = version
        self.epoch = epoch
        self.architecture = architecture
        self.expiresSeconds = expiresSeconds
    }
}

/// What packing made.
public struct PackedRelease: Sendable, Equatable {
    /// The manifest.
    public var manifest: Manifest
    /// The frame table.
    public var frames: FrameTable
    /// Bytes that each artifact adds to the pack, after what it shares with those before it.
    public var addedBytes: [FrameTable.Kind: UInt64]
}

/// Cuts a release's artifacts into frames, packs them, and signs the manifest.
public struct ReleasePacker: Sendable {
    /// Names of the files that a release is made of.
    public enum FileName {
        /// The signed manifest.
        public static let manifest = "manifest.json"
        /// The frame table.
        public static let frames = "frames"
        /// All compressed frames.
        public static let pack = "pack"
    }

    /// What the manifest says besides sizes and digests.
    public var identity: ReleaseIdentity
    /// Keys that sign it.
    public var signingKeys: [SigningKey]
    /// zstd's level, 1 to 22.
    public var level: Int
    /// Where compressed frames are kept for the next version; nil keeps none.
    public var cacheDirectory: String?
    /// Plain bytes of the root file system's frames.
    public var rootFrameBytes = 128 << 10
    /// Plain bytes of the other artifacts' frames.
    public var otherFrameBytes = 128 << 10

    /// Makes a packer.
    public init(
        identity: ReleaseIdentity, signingKeys: [SigningKey], level: Int = 19, cacheDirectory: String? = nil
    ) {
        self.identity = identity
        self.signingKeys = signingKeys
        self.level = level
        self.cacheDirectory = cacheDirectory
    }

    /// Writes `manifest.json`, `frames` and `pack` into a folder that exists.
    ///
    /// - Parameters:
    ///   - root: path of the root file system's image.
    ///   - tree: its hash tree.
    ///   - uki: path of the slot's unified kernel image.
    ///   - boot: path of the boot artifact.
    ///   - directory: the folder.
    ///   - report: is told the plain bytes done and the plain bytes in all.
    public func pack(
        root: String, tree: VerityTree, uki: String, boot: String, into directory: String,
        report: @escaping @Sendable (UInt64, UInt64) -> Void = { _, _ in }
    ) async throws -> PackedRelease {
        guard (1...22).contains(level) else { throw PackingError("zstd's level is 1 to 22, not \(level)") }
        guard !signingKeys.isEmpty else { throw PackingError("a release is signed by one key at least") }
        let treePath = directory + "/.tree"
        try Files.write(tree.image, to: treePath)
        defer { unlink(treePath) }
        let parts: [(kind: FrameTable.Kind, path: String)] = [
            (.tree, treePath), (.uki, uki), (.boot, boot), (.root, root),
        ]
        var total: UInt64 = 0
        for part in parts { total += try InputFile(part.path).sizeBytes }
        var writer = try PackWriter(path: directory + "/" + FileName.pack, totalBytes: total, report: report)
        let compressor = FrameCompressor(level: level, cacheDirectory: cacheDirectory)
        var packed: [PackedArtifact] = []
        for part in parts {
            let size = part.kind == .root ? rootFrameBytes : otherFrameBytes
            packed.append(
                try await writer.add(part.kind, path: part.path, frameBytes: size, compressor: compressor))
        }
        let packBytes = try writer.finish()
        return try sign(packed, tree: tree, packBytes: packBytes, into: directory)
    }

    private func sign(
        _ packed: [PackedArtifact], tree: VerityTree, packBytes: UInt64, into directory: String
    ) throws -> PackedRelease {
        func file(_ kind: FrameTable.Kind) throws -> Manifest.File {
            guard let part = packed.first(where: { $0.artifact.kind == kind }) else {
                throw PackingError("artifact '\(kind)' was not packed")
            }
            return Manifest.File(bytes: part.artifact.plainBytes, sha256: part.sha256)
        }
        let table = FrameTable(artifacts: packed.map(\.artifact))
        let tableBytes = table.encoded
        let document = try Manifest.document(
            version: identity.version, expiresSeconds: identity.expiresSeconds, product: identity.product,
            releaseVersion: identity.releaseVersion, epoch: identity.epoch, architecture: identity.architecture,
            root: Manifest.Root(
                blocks: tree.layout.dataBlocks, rootHash: tree.rootHash, salt: tree.salt,
                treeBytes: tree.layout.imageBytes),
            uki: try file(.uki), boot: try file(.boot),
            frames: Manifest.File(bytes: UInt64(tableBytes.count), sha256: Digest256(hashing: tableBytes)),
            packBytes: packBytes)
        let manifest = try Manifest(validating: document)
        let envelope = try SignedEnvelope(signing: document, with: signingKeys)
        try Files.write(tableBytes, to: directory + "/" + FileName.frames)
        try Files.write(envelope.encoded, to: directory + "/" + FileName.manifest)
        let added = packed.map { ($0.artifact.kind, $0.addedBytes) }
        return PackedRelease(
            manifest: manifest, frames: table, addedBytes: Dictionary(added, uniquingKeysWith: { $0 + $1 }))
    }
}
