public import Contract
public import Cryptography

/// A hash tree whose root hash was verified: the index of a root file system's blocks.
public struct VerityTree: Sendable {
    /// Where its levels lie.
    public let layout: VerityLayout
    /// The salt.
    public let salt: [UInt8]
    /// The root hash.
    public let rootHash: Digest256
    /// The whole image: superblock and levels, as the tree's partition holds it.
    public let image: [UInt8]

    /// Verifies a tree's image from the root hash down: every hash block, every unused byte, and the superblock,
    /// which dm-verity itself never looks at.
    ///
    /// - Parameters:
    ///   - image: the image, of exactly the size that the number of blocks gives.
    ///   - dataBlocks: from the signed manifest.
    ///   - salt: from the signed manifest.
    ///   - rootHash: from the signed manifest.
    public init(
        verifying image: [UInt8], dataBlocks: UInt64, salt: [UInt8], rootHash: Digest256
    ) throws(ReleaseError) {
        guard dataBlocks >= 1, dataBlocks <= UInt64(ManifestLimit.blocks), salt.count <= 256 else {
            throw ReleaseError("a hash tree for \(dataBlocks) blocks is not possible")
        }
        layout = VerityLayout(dataBlocks: dataBlocks)
        guard UInt64(image.count) == layout.imageBytes else {
            throw ReleaseError("the hash tree has \(image.count) bytes, not \(layout.imageBytes)")
        }
        let superblock = try VeritySuperblock(parsing: image.prefix(VeritySuperblock.bytes))
        guard superblock == VeritySuperblock(dataBlocks: dataBlocks, salt: salt),
            image[VeritySuperblock.bytes..<VerityLayout.blockBytes].allSatisfy({ $0 == 0 })
        else { throw ReleaseError("the hash tree's superblock does not match the manifest") }
        self.image = image
        self.salt = salt
        self.rootHash = rootHash
        try verifyLevels()
    }

    /// Takes a tree that was just built.
    init(built image: [UInt8], layout: VerityLayout, salt: [UInt8], rootHash: Digest256) {
        self.image = image
        self.layout = layout
        self.salt = salt
        self.rootHash = rootHash
    }

    /// The digest that data block `block` must have: 32 bytes.
    public func leafHash(_ block: UInt64) -> ArraySlice<UInt8> {
        precondition(block < layout.dataBlocks, "the hash tree has no such block")
        guard let leaves = layout.levels.first else { return rootHash.bytes[...] }
        let start = Int(leaves.offset) + Int(block) * 32
        return image[start..<start + 32]
    }

    /// A hasher with this tree's salt, for `firstMismatch`.
    public func hasher() -> SaltedBlockHasher { SaltedBlockHasher(salt: salt) }

    /// The first of the data blocks in `data` whose bytes are not those that the tree names; nil where all are.
    ///
    /// - Parameters:
    ///   - data: whole blocks.
    ///   - firstBlock: the number of the first of them.
    ///   - hasher: from `hasher()`; each thread has one of its own.
    public func firstMismatch(
        in data: UnsafeRawBufferPointer, firstBlock: UInt64, hasher: inout SaltedBlockHasher
    ) -> UInt64? {
        let size = VerityLayout.blockBytes
        precondition(data.count.isMultiple(of: size), "whole blocks are verified")
        let count = UInt64(data.count / size)
        guard firstBlock <= layout.dataBlocks, count <= layout.dataBlocks - firstBlock else {
            return layout.dataBlocks
        }
        return withUnsafeTemporaryAllocation(byteCount: 32, alignment: 8) { digest -> UInt64? in
            for index in 0..<Int(count) {
                let block = firstBlock + UInt64(index)
                hasher.hash(UnsafeRawBufferPointer(rebasing: data[index * size..<(index + 1) * size]), into: digest)
                if !leafHash(block).elementsEqual(digest) { return block }
            }
            return nil
        }
    }

    private func verifyLevels() throws(ReleaseError) {
        let size = VerityLayout.blockBytes
        var hasher = SaltedBlockHasher(salt: salt)
        for depth in layout.levels.indices.reversed() {
            let level = layout.levels[depth]
            for index in 0..<Int(level.blocks) {
                let start = Int(level.offset) + index * size
                let digest = image.withUnsafeBytes {
                    hasher.hash(UnsafeRawBufferPointer(rebasing: $0[start..<start + size]))
                }
                guard expectedHash(depth: depth, block: index).elementsEqual(digest) else {
                    throw ReleaseError("the hash tree is damaged: block \(index) of level \(depth) does not match")
                }
            }
            let used = Int(level.offset) + Int(level.digests) * 32
            let end = Int(level.offset) + Int(level.blocks) * size
            guard image[used..<end].allSatisfy({ $0 == 0 }) else {
                throw ReleaseError("the hash tree has bytes behind the digests of level \(depth)")
            }
        }
    }

    /// What the level above says of a hash block; the root hash for the topmost.
    private func expectedHash(depth: Int, block: Int) -> ArraySlice<UInt8> {
        guard depth + 1 < layout.levels.count else { return rootHash.bytes[...] }
        let start = Int(layout.levels[depth + 1].offset) + block * 32
        return image[start..<start + 32]
    }
}
