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
    /// TUF's version of the document (specification 1.0.34, section 4.3), at least 1: rises with each that is signed.
    public var version: Int64
    /// Rises where older releases must not be installed any more.
    public var epoch: Int64
    /// The processor architecture.
    public var architecture: Architecture
    /// When the release expires, in seconds since 1970.
    public var expiresSeconds: Int64

    /// Makes an identity from its parts.
    public init(
        product: String, releaseVersion: String, version: Int64? = nil, epoch: Int64 = 0, architecture: Architecture,
        expiresSeconds: Int64
    ) {
        self.product = product
        self.releaseVersion = releaseVersion
        self.version = version ?? Self.documentVersion(of: releaseVersion)
        self.epoch = epoch
        self.architecture = architecture
        self.expiresSeconds = expiresSeconds
    }

    /// The document's version that follows from a release's: its first three numbers, six digits for each after the
    /// first, so that 1.2.3 becomes 1000002000003; 1 where it begins with no number.
    ///
    /// It rises with the release's version and needs no clock, so that building a version again gives the same bytes. A
    /// first number of 9,000,000 or more, such as a date, stands alone.
    public static func documentVersion(of releaseVersion: String) -> Int64 {
        var numbers: [Int64] = []
        for part in releaseVersion.split(separator: ".", omittingEmptySubsequences: false).prefix(3) {
            let digits = part.utf8.prefix { (0x30...0x39).contains($0) }
            guard let number = Int64(String(digits) ?? "") else { break }
            numbers.append(number)
            // What follows '3-rc1' counts for nothing.
            guard digits.count == part.utf8.count else { break }
        }
        guard let first = numbers.first else { return 1 }
        let parts = numbers + [Int64](repeating: 0, count: 3 - numbers.count)
        guard first < 9_000_000, parts[1] < 1_000_000, parts[2] < 1_000_000 else { return max(1, first) }
        return max(1, (first * 1_000_000 + parts[1]) * 1_000_000 + parts[2])
    }

    /// Refuses what could stand in no manifest, before anything is built.
    public func check() throws(PackingError) {
        for (name, word) in [("version", releaseVersion), ("product", product)] where !Self.isWord(word) {
            throw PackingError(
                "the \(name) '\(word)' is not 1 to 64 letters, digits and . _ + ~ - that begin with a letter or digit")
        }
        guard version >= 1 else { throw PackingError("the metadata's version is 1 or more, not \(version)") }
        guard epoch >= 0 else { throw PackingError("the epoch is 0 or more, not \(epoch)") }
        guard (0...253_402_300_799).contains(expiresSeconds) else {
            throw PackingError("a release expires before the year 10000")
        }
    }

    private static func isWord(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        guard (1...64).contains(bytes.count), let first = bytes.first, !".-_+~".utf8.contains(first) else {
            return false
        }
        return bytes.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "a")...UInt8(ascii: "z"):
                true
            default: ".-_+~".utf8.contains(byte)
            }
        }
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
