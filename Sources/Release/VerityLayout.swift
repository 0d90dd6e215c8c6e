/// Where the levels of a dm-verity hash tree lie, as `veritysetup format` writes them: SHA-256, 4096-byte data and
/// hash blocks, hash type 1 (Linux Documentation/admin-guide/device-mapper/verity.rst).
///
/// The image starts with a block that holds the superblock; the levels follow, the one nearest to the root first.
public struct VerityLayout: Sendable, Equatable {
    /// The size of data and hash blocks in bytes.
    public static let blockBytes = 4096
    /// Digests in one hash block.
    public static let digestsPerBlock = 128

    /// The number of data blocks, at least 1.
    public let dataBlocks: UInt64
    /// The levels, leaf digests first. Empty for a single data block, whose digest is the root hash itself.
    public let levels: [Level]

    /// One level of the tree.
    public struct Level: Sendable, Equatable {
        /// Where it starts in the image, in bytes.
        public let offset: UInt64
        /// Its hash blocks.
        public let blocks: UInt64
        /// The digests in them; what is left of the last block is zero.
        public let digests: UInt64
    }

    /// The layout for a number of data blocks, which is at least 1.
    public init(dataBlocks: UInt64) {
        precondition(dataBlocks >= 1, "a verity tree has at least one data block")
        self.dataBlocks = dataBlocks
        let perBlock = UInt64(Self.digestsPerBlock)
        var sizes: [(blocks: UInt64, digests: UInt64)] = []
        var digests = dataBlocks
        while digests > 1 {
            let blocks = digests / perBlock + (digests % perBlock == 0 ? 0 : 1)
            sizes.append((blocks, digests))
            digests = blocks
        }
        var offset = UInt64(Self.blockBytes)
        var levels: [Level] = []
        for size in sizes.reversed() {
            levels.append(Level(offset: offset, blocks: size.blocks, digests: size.digests))
            offset += size.blocks * UInt64(Self.blockBytes)
        }
        self.levels = levels.reversed()
        imageBytes = offset
    }

    /// The size of the whole image with its superblock, in bytes.
    public let imageBytes: UInt64
}
