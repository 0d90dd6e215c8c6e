public import Contract
internal import Cryptography
internal import FoundationEssentials
internal import Glibc
internal import Linux

/// One owner's images on the disk. Two owners have two stores, and share no file, no inode and no page of the cache.
///
/// Below its directory: `layers/` (packed layers by their digest), `partial/` (layers that are arriving), `images/` (one
/// directory each: `root.erofs`, `root.verity`, `config.json`, `image.json`) and `work/`. What has its final name is whole
/// and flushed: it is written elsewhere, flushed and renamed, so that power may be lost at any instant.
public final class ImageStore {
    /// The store's directory.
    public let path: String
    /// Whose store it is.
    public let owner: String
    private let lock: OwnedDescriptor

    /// What must stay free on the disk, in bytes: other things need to be written, too.
    public static let reserveBytes: UInt64 = 64 << 20

    /// Opens, or makes, an owner's store below a directory, and clears away what a power cut left half done.
    ///
    /// - Parameters:
    ///   - directory: the directory of all stores.
    ///   - owner: 1 to 63 lower-case letters, digits and `-`, the first no `-`.
    /// - Throws: `ImageError.store` where another program, or another part of this one, has it open.
    public init(_ directory: String, owner: String) throws {
        guard Self.isOwner(owner) else {
            throw ImageError.store("'\(ImagePath.printable(owner.utf8))' is not an owner's name")
        }
        self.owner = owner
        path = directory + "/" + owner
        for name in ["layers", "partial", "images", "work"] {
            try Files.makeDirectory(path + "/" + name, mode: 0o700)
        }
        lock = try OwnedDescriptor(opening: path + "/lock", [.write, .create, .noFollow])
        guard try lock.lockExclusively() else { throw ImageError.store("'\(path)' is in use by another program") }
        for name in try Files.list(path + "/work") { try Files.removeTree(path + "/work/" + name) }
    }

    deinit {
        // Closing is not enough: a child that another thread is just starting holds the descriptor, too, until it runs.
        _ = flock(lock.rawValue, LOCK_UN)
    }

    private static func isOwner(_ name: String) -> Bool {
        (1...63).contains(name.utf8.count) && name.utf8.first != UInt8(ascii: "-")
            && name.utf8.allSatisfy { (97...122).contains($0) || (48...57).contains($0) || $0 == UInt8(ascii: "-") }
    }

    // MARK: - Images

    /// All images, sorted by name; a directory that does not hold a whole image is left out.
    public func images() throws -> [StoredImage] {
        try Files.list(path + "/images").compactMap { image(named: $0) }
    }

    /// The image with a manifest's digest, made in a certain way; nil where the store does not have it.
    public func image(_ digest: Digest256, setID: SetIDRule = .strip, idOffset: UInt32 = 0) -> StoredImage? {
        image(named: StoredImage.name(digest, setID, idOffset))
    }

    private func image(named name: String) -> StoredImage? {
        let folder = path + "/images/" + name
        guard let bytes = try? Files.read(folder + "/image.json", limitBytes: 64 << 10),
            let image = try? Wire.decode(StoredImage.self, from: bytes), image.format == wireFormat, image.name == name,
            Files.status(folder + "/root.erofs", followSymbolicLinks: false)?.sizeBytes == image.blocks * 4096,
            Files.exists(folder + "/root.verity")
        else { return nil }
        return image
    }

    /// The file that holds an image's file system, and the one that holds its hash tree.
    public func files(of image: StoredImage) -> (image: String, tree: String) {
        let folder = path + "/images/" + image.name
        return (folder + "/root.erofs", folder + "/root.verity")
    }

    /// How an image wants to be run.
    public func config(of image: StoredImage, limits: ImageLimits = .standard) throws -> ImageConfig {
        let bytes = try Files.read(path + "/images/" + image.name + "/config.json", limitBytes: limits.configBytes)
        let found = try Self.digest(bytes)
        guard found == image.config else {
            throw ImageError.digestMismatch(what: "the stored configuration", expected: image.config, found: found)
        }
        return try ImageConfig(parsing: bytes, layers: image.layers.count, limits: limits)
    }

    /// Reads a whole image and compares it with its root hash, as dm-verity does block by block.
    public func verify(_ image: StoredImage) throws {
        let scratch = path + "/work/verify"
        defer { try? Files.remove(scratch) }
        let salt = [UInt8](lowercaseHex: image.salt) ?? []
        let found = try VerityFile.build(image: files(of: image).image, salt: salt, to: scratch)
        guard found.hash == image.rootHash else {
            throw ImageError.digestMismatch(what: "the stored image", expected: image.rootHash, found: found.hash)
        }
    }

    /// Remembers that an image was used now.
    public func use(_ image: StoredImage, nowSeconds: Int64) throws {
        try Files.writeDurably(Array("\(nowSeconds)\n".utf8), to: path + "/images/" + image.name + "/used")
    }

    private func usedSeconds(_ image: StoredImage) -> Int64 {
        (try? Files.readText(path + "/images/" + image.name + "/used", limitBytes: 64)).flatMap { Int64($0) } ?? 0
    }

    // MARK: - Building

    /// Makes an image of layers that the store has, and gives it its name once it is whole and flushed.
    func build(
        _ resolved: ResolvedImage, named name: String? = nil, with builder: ImageBuilder, nowSeconds: Int64
    ) throws -> StoredImage {
        let folder = path + "/work/image"
        try Files.removeTree(folder)
        try Files.makeDirectory(folder, mode: 0o700)
        defer { try? Files.removeTree(folder) }
        let identity = "\(owner)/\(resolved.digest)"
        let built: ImageBuilder.Result
        var content: StoredImage.Content?
        if let parts = resolved.manifest.parts {
            let blobs = zip(parts, resolved.manifest.layers).map { ($0, layerPath($1.digest)) }
            built = try builder.build(parts: blobs, identity: identity, in: folder)
            content = .machine
        } else if let zip = resolved.manifest.zip {
            built = try builder.build(
                zip: layerPath(zip.digest), digest: zip.digest, identity: identity, in: folder)
            content = .zip
        } else {
            built = try builder.build(storedLayers(of: resolved), identity: identity, in: folder)
        }
        // A machine's disk is in the image as it came, and no other zip shares one: nothing is saved by keeping both.
        let layers = resolved.config == nil ? [] : resolved.manifest.layers.map(\.digest)
        return try finish(
            folder, built, content, resolved.digest, name ?? resolved.reference.description, resolved.configBytes,
            layers,
            builder, nowSeconds)
    }

    /// The same of a single file, which is its own manifest.
    func build(
        _ file: Descriptor, as content: WebFile.Content, named name: String, with builder: ImageBuilder,
        nowSeconds: Int64
    ) throws -> StoredImage {
        let folder = path + "/work/image"
        try Files.removeTree(folder)
        try Files.makeDirectory(folder, mode: 0o700)
        defer { try? Files.removeTree(folder) }
        let identity = "\(owner)/\(file.digest)"
        let path = layerPath(file.digest)
        let built =
            switch content {
            case .disk: try builder.build(parts: [(.anyDisk, path)], identity: identity, in: folder)
            case .zip: try builder.build(zip: path, digest: file.digest, identity: identity, in: folder)
            case .archive: throw ImageError.document("an archive is no file system by itself")
            }
        return try finish(
            folder, built, content == .zip ? .zip : .machine, file.digest, name, Array("{}".utf8), [], builder,
            nowSeconds)
    }

    private func finish(
        _ folder: String, _ built: ImageBuilder.Result, _ content: StoredImage.Content?, _ digest: Digest256,
        _ name: String, _ configBytes: [UInt8], _ layers: [Digest256], _ builder: ImageBuilder, _ nowSeconds: Int64
    ) throws -> StoredImage {
        let image = StoredImage(
            format: wireFormat, reference: name, digest: digest, config: try Self.digest(configBytes), layers: layers,
            setID: builder.policy.setID, strippedFiles: built.strippedFiles, idOffset: builder.idOffset,
            blocks: built.blocks, rootHash: built.rootHash, salt: built.salt.lowercaseHex, sizeBytes: built.sizeBytes,
            content: content)
        try Files.writeDurably(configBytes, to: folder + "/config.json")
        try Files.writeDurably(Array("\(nowSeconds)\n".utf8), to: folder + "/used")
        try Files.writeDurably(try Wire.encode(image), to: folder + "/image.json")
        let final = path + "/images/" + image.name
        // A directory can only be renamed over an empty one: what was not whole goes first.
        try Files.removeTree(final)
        try Files.renameDurably(folder, to: final)
        return image
    }

    private func storedLayers(of resolved: ResolvedImage) -> [StoredLayer] {
        zip(
            zip(resolved.manifest.layers, resolved.manifest.packings), resolved.config?.layerDigests ?? []
        ).map {
            layer, digest in
            StoredLayer(
                path: layerPath(layer.0.digest), packing: layer.1, packedBytes: layer.0.sizeBytes, digest: digest)
        }
    }

    func layerPath(_ digest: Digest256) -> String { "\(path)/layers/\(digest)" }
    func partialPath(_ digest: Digest256) -> String { "\(path)/partial/\(digest)" }

    static func digest(_ bytes: [UInt8]) throws -> Digest256 {
        guard let digest = Digest256(bytes: SHA256.digest(bytes)) else { throw ImageError.store("no digest") }
        return digest
    }

    /// Throws `ImageError.diskFull` where less than that and the reserve is available.
    static func requireSpace(_ bytes: UInt64, at path: String) throws {
        let available = try Files.space(at: path).availableBytes
        let (needed, overflow) = bytes.addingReportingOverflow(reserveBytes)
        guard !overflow, needed <= available else {
            throw ImageError.diskFull(neededBytes: overflow ? .max : needed, availableBytes: available)
        }
    }

    // MARK: - Collection

    /// Plans which images and layers go; see `CollectionPlan`. `arriving` are the layers of pulls that are to go on.
    public func plan(
        pinned: Set<Digest256>, inUse: Set<Digest256>, arriving: Set<Digest256> = [], nowSeconds: Int64,
        keepSeconds: Int64, budgetBytes: UInt64? = nil
    ) throws -> CollectionPlan {
        var layers: [Digest256: UInt64] = [:]
        for name in try Files.list(path + "/layers") {
            guard let digest = Digest256(hex: name), !arriving.contains(digest) else { continue }
            layers[digest] = Files.status(path + "/layers/" + name, followSymbolicLinks: false)?.sizeBytes ?? 0
        }
        let images = try images().map {
            CollectionPlan.Image(
                digest: $0.digest, layers: Set($0.layers), sizeBytes: $0.sizeBytes, usedSeconds: usedSeconds($0))
        }
        return CollectionPlan(
            images: images, layers: layers, pinned: pinned, inUse: inUse, nowSeconds: nowSeconds,
            keepSeconds: keepSeconds, budgetBytes: budgetBytes)
    }

    /// Removes what a plan names, and what began to arrive, except for the layers of pulls that are to go on.
    ///
    /// An image loses its name first, so that no half of one is ever found.
    public func collect(_ plan: CollectionPlan, arriving: Set<Digest256> = []) throws {
        for image in try images() where plan.images.contains(image.digest) {
            let grave = path + "/work/" + image.name
            try Files.renameDurably(path + "/images/" + image.name, to: grave)
            try Files.removeTree(grave)
        }
        for layer in plan.layers { try Files.remove(layerPath(layer)) }
        let wanted = Set(arriving.map(\.description))
        for name in try Files.list(path + "/partial") where !wanted.contains(name) {
            try Files.remove(path + "/partial/" + name)
        }
        try Files.syncDirectory(path + "/layers")
    }
}
