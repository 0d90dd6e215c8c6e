public import Contract

/// What a release is made of: the `signed` part of its envelope, every field checked.
public struct Manifest: Sendable, Equatable {
    /// TUF's version of this document, at least 1.
    public var version: Int64
    /// When the document expires, in seconds since 1970.
    public var expiresSeconds: Int64
    /// The product line; its releases share a verity salt.
    public var product: String
    /// The version, for people.
    public var releaseVersion: String
    /// Rises where older releases must not be installed any more.
    public var epoch: Int64
    /// The processor architecture.
    public var architecture: Architecture
    /// The root file system and its hash tree.
    public var root: Root
    /// The slot's unified kernel image.
    public var uki: File
    /// The boot artifact.
    public var boot: File
    /// The frame table.
    public var frames: File
    /// The size of the pack in bytes.
    public var packBytes: UInt64
    /// SHA-256 of the canonical JSON: the release's name.
    public let name: Digest256

    /// The root file system and its hash tree.
    public struct Root: Sendable, Equatable {
        /// Its size in blocks of 4096 bytes.
        public var blocks: UInt64
        /// The root hash of its verity tree.
        public var rootHash: Digest256
        /// The salt of its verity tree, 1 to 256 bytes.
        public var salt: [UInt8]
        /// The size of the tree's image with its superblock, in bytes.
        public var treeBytes: UInt64

        /// Its size in bytes.
        public var bytes: UInt64 { blocks * UInt64(VerityLayout.blockBytes) }

        /// Makes a description from its parts.
        public init(blocks: UInt64, rootHash: Digest256, salt: [UInt8], treeBytes: UInt64) {
            self.blocks = blocks
            self.rootHash = rootHash
            self.salt = salt
            self.treeBytes = treeBytes
        }
    }

    /// A file by size and digest.
    public struct File: Sendable, Equatable {
        /// Its size in bytes.
        public var bytes: UInt64
        /// Its SHA-256.
        public var sha256: Digest256

        /// Makes a description from its parts.
        public init(bytes: UInt64, sha256: Digest256) {
            self.bytes = bytes
            self.sha256 = sha256
        }
    }

    /// Whether the document has expired at `seconds` since 1970.
    public func isExpired(atSeconds seconds: Int64) -> Bool { seconds >= expiresSeconds }

    /// Refuses an expired document with a sentence.
    public func checkExpiry(nowSeconds: Int64) throws(ReleaseError) {
        guard isExpired(atSeconds: nowSeconds) else { return }
        let when = Timestamp.format(expiresSeconds) ?? "\(expiresSeconds)"
        throw ReleaseError("release \(releaseVersion) expired at \(when): publish it with a newer expiry")
    }

    /// Refuses a release for another architecture with a sentence.
    public func check(architecture: Architecture) throws(ReleaseError) {
        guard architecture != self.architecture else { return }
        throw ReleaseError(
            "release \(releaseVersion) is for \(self.architecture.rawValue), not for \(architecture.rawValue)")
    }

    /// Refuses a release that a disk layout has no room for, naming what is too large.
    ///
    /// FAT's own tables take less than 4 MiB of a boot partition, which are kept free.
    public func check(fits layout: DiskLayout) throws(ReleaseError) {
        let slack: UInt64 = 4 << 20
        let parts: [(String, UInt64, UInt64)] = [
            ("root file system", root.bytes, layout.rootBytes), ("hash tree", root.treeBytes, layout.treeBytes),
            ("unified kernel image", uki.bytes, layout.bootBytes - min(slack, layout.bootBytes)),
            ("boot artifact", boot.bytes, layout.recoveryBytes - min(slack, layout.recoveryBytes)),
        ]
        for (part, bytes, room) in parts where bytes > room {
            throw ReleaseError(
                "release \(releaseVersion) does not fit: its \(part) has \(bytes) bytes, its partition room for \(room)"
            )
        }
    }

    /// The size of an artifact in bytes.
    public func bytes(of kind: FrameTable.Kind) -> UInt64 {
        switch kind {
        case .tree: root.treeBytes
        case .uki: uki.bytes
        case .boot: boot.bytes
        case .root: root.bytes
        }
    }
}

extension Manifest {
    /// Verifies an envelope's signatures and reads the manifest in it.
    ///
    /// Expiry and architecture are for the caller to check: a server keeps and lists expired releases.
    public static func verified(
        envelope bytes: [UInt8], keys: [ReleaseKey], threshold: Int
    ) throws(ReleaseError) -> Manifest {
        let envelope = try SignedEnvelope(parsing: bytes, limit: WireLimit.manifest)
        try envelope.verify(keys: keys, threshold: threshold)
        return try Manifest(validating: envelope.signed)
    }

    /// Reads a manifest whose signatures were verified; fields that are not known are left aside.
    public init(validating signed: JSONValue) throws(ReleaseError) {
        let fields = ManifestFields(object: signed, place: "")
        try fields.expect("_type", "apus-release")
        guard try fields.text("spec_version", 1...16).hasPrefix("1.") else {
            throw ReleaseError("the manifest follows a version of The Update Framework that is not 1.x")
        }
        // Format 2 may add fields; what format 1 says must then still hold.
        _ = try fields.integer("format", 1...2)
        version = try fields.integer("version", 1...Int64.max)
        expiresSeconds = try fields.timestamp("expires")
        product = try fields.word("product", 1...64)
        releaseVersion = try fields.word("release_version", 1...64)
        epoch = try fields.integer("epoch", 0...Int64.max)
        architecture = try fields.architecture("architecture")
        root = try Self.root(try fields.object("root"))
        uki = try fields.file("uki", 1...ManifestLimit.image)
        boot = try fields.file("boot", 1...ManifestLimit.image)
        frames = try fields.file("frames", 1...UInt64(WireLimit.frameTable))
        packBytes = UInt64(try fields.integer("pack_bytes", 1...ManifestLimit.pack))
        name = Digest256(hashing: signed.canonical)
    }

    private static func root(_ fields: ManifestFields) throws(ReleaseError) -> Root {
        _ = try fields.integer("block_size", Int64(VerityLayout.blockBytes)...Int64(VerityLayout.blockBytes))
        let blocks = UInt64(try fields.integer("blocks", 1...ManifestLimit.blocks))
        let treeBytes = UInt64(try fields.integer("tree_bytes", 1...Int64.max))
        let layout = VerityLayout(dataBlocks: blocks)
        guard treeBytes == layout.imageBytes else {
            throw ReleaseError("field 'root.tree_bytes' is not \(layout.imageBytes), the size for \(blocks) blocks")
        }
        return Root(
            blocks: blocks, rootHash: try fields.digest("root_hash"), salt: try fields.bytes("salt", 1...256),
            treeBytes: treeBytes)
    }

    /// The `signed` part of an envelope for a new release.
    ///
    /// - Throws: where a field is not what `init(validating:)` accepts.
    public static func document(
        version: Int64, expiresSeconds: Int64, product: String, releaseVersion: String, epoch: Int64,
        architecture: Architecture, root: Root, uki: File, boot: File, frames: File, packBytes: UInt64
    ) throws(ReleaseError) -> JSONValue {
        func file(_ file: File) throws(ReleaseError) -> JSONValue {
            .object(["bytes": try number(file.bytes), "sha256": .string(file.sha256.description)])
        }
        func number(_ value: UInt64) throws(ReleaseError) -> JSONValue {
            guard let value = Int64(exactly: value) else { throw ReleaseError("a size does not fit 63 bits") }
            return .integer(value)
        }
        guard let expires = Timestamp.format(expiresSeconds) else {
            throw ReleaseError("a release must expire between 1970 and 9999")
        }
        let document: JSONValue = .object([
            "_type": .string("apus-release"), "spec_version": .string("1.0.34"), "format": .integer(1),
            "version": .integer(version), "expires": .string(expires), "product": .string(product),
            "release_version": .string(releaseVersion), "epoch": .integer(epoch),
            "architecture": .string(architecture.rawValue),
            "root": .object([
                "blocks": try number(root.blocks), "block_size": .integer(Int64(VerityLayout.blockBytes)),
                "root_hash": .string(root.rootHash.description), "salt": .string(root.salt.lowercaseHex),
                "tree_bytes": try number(root.treeBytes),
            ]),
            "uki": try file(uki), "boot": try file(boot), "frames": try file(frames),
            "pack_bytes": try number(packBytes),
        ])
        _ = try Manifest(validating: document)
        return document
    }
}

/// Upper bounds of a manifest's sizes.
enum ManifestLimit {
    /// A unified kernel image in bytes.
    static let image: UInt64 = 256 << 20
    /// The root file system in blocks of 4096 bytes: 1 TiB.
    static let blocks: Int64 = 1 << 28
    /// The pack in bytes: 1 TiB.
    static let pack: Int64 = 1 << 40
}
