internal import Contract
internal import Cryptography
internal import Linux
internal import Release

/// Builds the hash tree of a file as a file, level by level, in the memory of one block
/// (the layout is `VerityLayout`'s: what `veritysetup format` writes).
enum VerityFile {
    /// Writes the tree of an image whose size is a multiple of 4096 bytes, flushes it and returns the root hash.
    static func build(image path: String, salt: [UInt8], to treePath: String) throws -> (
        hash: Digest256, blocks: UInt64
    ) {
        let image = try OwnedDescriptor(opening: path, [.read, .noFollow])
        let size = try image.status().sizeBytes
        let block = UInt64(VerityLayout.blockBytes)
        guard size > 0, size.isMultiple(of: block) else {
            throw ImageError.tool("its image of \(size) bytes is not made of whole blocks")
        }
        let layout = VerityLayout(dataBlocks: size / block)
        let tree = try OwnedDescriptor(opening: treePath, [.read, .write, .create, .truncate, .noFollow], mode: 0o600)
        try tree.truncate(to: layout.imageBytes)
        try VeritySuperblock(dataBlocks: layout.dataBlocks, salt: salt).encoded.withUnsafeBytes {
            try tree.write($0, at: 0)
        }
        var hasher = SaltedBlockHasher(salt: salt)
        guard let leaves = layout.levels.first else {
            let only = try digests(of: image, at: 0, blocks: 1, &hasher) { _, _ in }
            try tree.sync()
            return (try digest(only), 1)
        }
        try level(of: image, at: 0, blocks: layout.dataBlocks, &hasher, into: tree, at: leaves.offset)
        for (lower, upper) in zip(layout.levels, layout.levels.dropFirst()) {
            try level(of: tree, at: lower.offset, blocks: lower.blocks, &hasher, into: tree, at: upper.offset)
        }
        let top = layout.levels[layout.levels.count - 1]
        let root = try digests(of: tree, at: top.offset, blocks: 1, &hasher) { _, _ in }
        try tree.sync()
        return (try digest(root), layout.dataBlocks)
    }

    /// Hashes a level's blocks and writes their digests, a piece at a time.
    private static func level(
        of source: borrowing OwnedDescriptor, at offset: UInt64, blocks: UInt64, _ hasher: inout SaltedBlockHasher,
        into tree: borrowing OwnedDescriptor, at target: UInt64
    ) throws {
        _ = try digests(of: source, at: offset, blocks: blocks, &hasher) { digests, first in
            try digests.withUnsafeBytes { try tree.write($0, at: target + first * 32) }
        }
    }

    /// Hashes blocks, at most 256 at a time, and returns the last piece's digests.
    private static func digests(
        of source: borrowing OwnedDescriptor, at offset: UInt64, blocks: UInt64, _ hasher: inout SaltedBlockHasher,
        _ each: ([UInt8], UInt64) throws -> Void
    ) throws -> [UInt8] {
        let size = VerityLayout.blockBytes
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 * size, alignment: size)
        defer { buffer.deallocate() }
        var done: UInt64 = 0
        var digests: [UInt8] = []
        while done < blocks {
            let count = Int(min(256, blocks - done))
            let piece = UnsafeMutableRawBufferPointer(rebasing: buffer[..<(count * size)])
            try source.read(at: offset + done * UInt64(size), into: piece)
            digests = []
            for index in 0..<count {
                digests += hasher.hash(UnsafeRawBufferPointer(rebasing: piece[(index * size)..<((index + 1) * size)]))
            }
            try each(digests, done)
            done += UInt64(count)
        }
        return digests
    }

    private static func digest(_ bytes: [UInt8]) throws -> Digest256 {
        guard let digest = Digest256(bytes: bytes) else { throw ImageError.tool("its hash tree has no root") }
        return digest
    }
}
