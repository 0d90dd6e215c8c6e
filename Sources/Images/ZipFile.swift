internal import Contract
internal import Cryptography
internal import Linux

/// A function's zip in a file: what is in it, and its bytes as an archive that `mkfs.erofs` reads. The zip is inflated
/// in a stream and never onto a file system.
public enum ZipFile {
    /// The SHA-256 of the file's bytes.
    static func digest(_ path: String, limitBytes: UInt64) throws -> Digest256 {
        let file = try OwnedDescriptor(opening: path, [.read, .noFollow, .nonBlocking])
        var hasher = SHA256Hasher()
        var total: UInt64 = 0
        while true {
            let piece = try file.read(atMost: 256 << 10)
            if piece.isEmpty { break }
            total += UInt64(piece.count)
            guard total <= limitBytes else { throw ImageError.tooLarge(what: "the zip", limitBytes: limitBytes) }
            hasher.update(piece)
        }
        guard let digest = Digest256(bytes: hasher.finish()) else { throw ImageError.store("no digest") }
        return digest
    }

    /// The table of the files of a zip whose digest was verified before; nothing is inflated.
    ///
    /// Throws `LayerRefusal` where it has something that is not accepted.
    public static func tree(_ path: String, limits: ImageLimits = .zip) throws -> MergedTree {
        var budget = TreeBudget(limits: limits)
        var entries: [LayerEntry] = []
        var fileBytes: UInt64 = 0
        let packedBytes = Files.status(path, followSymbolicLinks: false)?.sizeBytes ?? 0
        let usual = max(limits.bombFloorBytes, packedBytes * limits.expansion)
        try ZipReader.read(path, limits: limits) { _, entry, _ in
            try budget.take(entry)
            if case .file(let size) = entry.kind { fileBytes += size }
            guard fileBytes <= usual else {
                throw LayerRefusal(
                    .compressionBomb, path: entry.path,
                    detail: "\(packedBytes) bytes unpack to more than \(usual) bytes")
            }
            entries.append(entry)
        }
        return try ZipRules.merge(entries, limits: limits)
    }

    /// Writes the files as one tar archive; returns its size in bytes.
    ///
    /// - Parameters:
    ///   - tree: the table that `tree` made of the same file.
    ///   - path: the file.
    ///   - idOffset: is added to every owner.
    ///   - output: where the bytes go, in order.
    @discardableResult
    public static func write(
        _ tree: MergedTree, of path: String, idOffset: UInt32 = 0, limits: ImageLimits = .zip,
        to output: (UnsafeRawBufferPointer) throws -> Void
    ) throws -> UInt64 {
        var total: UInt64 = 0
        func put(_ bytes: [UInt8]) throws {
            total += UInt64(bytes.count)
            try bytes.withUnsafeBytes { try output($0) }
        }
        let plan = tree.plan
        for item in plan.withoutBytes { try put(TreeTar.header(item.path, item.node, idOffset: idOffset)) }
        let files = plan.files[0] ?? [:]
        var written = 0
        try ZipReader.read(path, limits: limits) { index, _, bytes in
            guard let file = files[index], case .file(let size) = file.node.kind, let name = file.paths.first else {
                return
            }
            try put(TreeTar.header(name, file.node, idOffset: idOffset))
            try bytes.read(size, of: name.bytes) { piece in
                total += UInt64(piece.count)
                try output(piece)
            }
            try put(TreeTar.padding(afterBytes: size))
            written += 1
        }
        guard written == files.count else { throw LayerRefusal(.malformed, detail: "files are missing") }
        try put(TreeTar.end)
        return total
    }
}
