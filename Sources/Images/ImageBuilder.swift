internal import Contract
internal import Cryptography
internal import Glibc
internal import Linux

/// Makes a read-only file system that is verified when read out of layers: erofs with a dm-verity tree beside it.
public struct ImageBuilder: Sendable {
    /// The program `mkfs.erofs` of erofs-utils 1.7 or newer.
    public var mkfsErofs: String
    /// What may be in the layers.
    public var limits: ImageLimits
    /// What may be in a function's zip.
    public var zipLimits: ImageLimits
    /// What becomes of what is in them.
    public var policy: LayerPolicy
    /// Is added to every owner: 0 where the file system is mounted with mapped ids.
    public var idOffset: UInt32
    /// How long making the file system may take, in seconds.
    public var timeoutSeconds: Int

    /// Makes a builder.
    public init(
        mkfsErofs: String = "/usr/bin/mkfs.erofs", limits: ImageLimits = .standard, zipLimits: ImageLimits = .zip,
        policy: LayerPolicy = LayerPolicy(), idOffset: UInt32 = 0, timeoutSeconds: Int = 1800
    ) {
        self.mkfsErofs = mkfsErofs
        self.limits = limits
        self.zipLimits = zipLimits
        self.policy = policy
        self.idOffset = idOffset
        self.timeoutSeconds = timeoutSeconds
    }

    /// What was made.
    struct Result {
        var blocks: UInt64
        var rootHash: Digest256
        var salt: [UInt8]
        var sizeBytes: UInt64
        var strippedFiles: Int
    }

    /// Makes `root.erofs` and `root.verity` in a directory that is otherwise empty, and flushes them.
    ///
    /// - Parameters:
    ///   - layers: the layers, the lowest first.
    ///   - identity: decides the salt and the UUID; different for different owners.
    ///   - directory: where the files are made, and temporary ones beside them.
    func build(_ layers: [StoredLayer], identity: String, in directory: String) throws -> Result {
        guard idOffset <= UInt32.max - policy.owners else {
            throw ImageError.tool("owners would start at \(idOffset), and do not fit 32 bits then")
        }
        let tree = try TreeWriter.merge(layers, limits: limits, policy: policy)
        return try build(tree, identity: identity, in: directory) { output in
            try TreeWriter.write(tree, of: layers, idOffset: idOffset, limits: limits, to: output)
        }
    }

    /// The same of a function's zip: its bytes are hashed before anything in them is looked at.
    func build(zip path: String, digest: Digest256, identity: String, in directory: String) throws -> Result {
        let found = try ZipFile.digest(path, limitBytes: zipLimits.packedBytes)
        guard found == digest else {
            throw ImageError.digestMismatch(what: "the zip", expected: digest, found: found)
        }
        do {
            let tree = try ZipFile.tree(path, limits: zipLimits)
            return try build(tree, identity: identity, in: directory) { output in
                try ZipFile.write(tree, of: path, idOffset: idOffset, limits: zipLimits, to: output)
            }
        } catch let refusal as LayerRefusal {
            throw ImageError.zip(refusal)
        }
    }

    /// Makes the file system of a table of files, whose bytes `write` gives as an archive.
    private func build(
        _ tree: MergedTree, identity: String, in directory: String,
        _ write: ((UnsafeRawBufferPointer) throws -> Void) throws -> Void
    ) throws -> Result {
        // The archive, mkfs.erofs's copy of its data and the file system stand beside one another for a while.
        try ImageStore.requireSpace(3 * tree.fileBytes + UInt64(tree.items.count) * 2048, at: directory)
        let archive = directory + "/tree.tar"
        try buffered(archive, write)
        let image = directory + "/root.erofs"
        let seed = SHA256.digest(Array("apus-image-v1\0\(identity)".utf8))
        try makeFileSystem(["--tar=f", image, archive], uuid: Self.uuid(seed), scratch: directory)
        try Files.remove(archive)
        return try finish(image, seed, in: directory, strippedFiles: tree.strippedFiles)
    }

    /// The same of a machine's parts, whose digests were verified before: each is one file, readable for all.
    func build(parts: [(part: MachinePart, blob: String)], identity: String, in directory: String) throws -> Result {
        let bytes = parts.reduce(UInt64(0)) { $0 + (Files.status($1.blob)?.sizeBytes ?? 0) }
        try ImageStore.requireSpace(bytes + (1 << 20), at: directory)
        let tree = directory + "/tree"
        for (part, blob) in parts {
            let path = tree + "/" + part.path
            for folder in [tree, Files.parent(of: path)] {
                try Files.makeDirectory(folder)
                // Whatever this program's own mask is.
                try Files.setMode(folder, to: 0o755)
            }
            // A second name, not a copy.
            guard Glibc.link(blob, path) == 0 else { throw ImageError.store("'\(blob)' cannot be linked") }
            try Files.setMode(path, to: 0o644)
        }
        let image = directory + "/root.erofs"
        let seed = SHA256.digest(Array("apus-image-v1\0\(identity)".utf8))
        try makeFileSystem(["--all-root", image, tree], uuid: Self.uuid(seed), scratch: directory)
        try Files.removeTree(tree)
        return try finish(image, seed, in: directory, strippedFiles: 0)
    }

    private func finish(
        _ image: String, _ seed: [UInt8], in directory: String, strippedFiles: Int
    ) throws -> Result {
        let verity = try VerityFile.build(image: image, salt: seed, to: directory + "/root.verity")
        let file = try OwnedDescriptor(opening: image, [.read, .noFollow])
        try file.sync()
        let treeBytes = Files.status(directory + "/root.verity")?.sizeBytes ?? 0
        return Result(
            blocks: verity.blocks, rootHash: verity.hash, salt: seed,
            sizeBytes: try file.status().sizeBytes + treeBytes, strippedFiles: strippedFiles)
    }

    private func buffered(
        _ path: String, _ write: ((UnsafeRawBufferPointer) throws -> Void) throws -> Void
    ) throws {
        let file = try OwnedDescriptor(opening: path, [.write, .create, .exclusive, .noFollow])
        var waiting: [UInt8] = []
        func flush() throws {
            try waiting.withUnsafeBytes { try file.write($0) }
            waiting.removeAll(keepingCapacity: true)
        }
        try write { bytes in
            if waiting.count + bytes.count > 256 << 10 { try flush() }
            waiting += bytes
        }
        try flush()
    }

    private func makeFileSystem(_ words: [String], uuid: String, scratch: String) throws {
        let arguments = ["--quiet", "-b4096", "-T0", "--mkfs-time", "-U\(uuid)"] + words
        let outcome = try Processes.run(
            mkfsErofs, arguments, environment: Processes.defaultEnvironment + ["TMPDIR=\(scratch)"],
            timeoutSeconds: timeoutSeconds)
        guard outcome.succeeded else { throw ImageError.tool("'\(mkfsErofs)' \(outcome.summary)") }
    }

    /// A UUID of version 8 (RFC 9562, section 5.8) out of a hash.
    private static func uuid(_ seed: [UInt8]) -> String {
        var bytes = Array(seed.prefix(16))
        bytes[6] = bytes[6] & 0x0f | 0x80
        bytes[8] = bytes[8] & 0x3f | 0x80
        return [bytes[0..<4], bytes[4..<6], bytes[6..<8], bytes[8..<10], bytes[10..<16]]
            .map { Array($0).lowercaseHex }.joined(separator: "-")
    }
}
