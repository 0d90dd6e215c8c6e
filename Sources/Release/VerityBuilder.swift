internal import Contract
internal import Cryptography

/// Builds a hash tree from data blocks that come in order.
public struct VerityBuilder: ~Copyable {
    private let layout: VerityLayout
    private let salt: [UInt8]
    private var image: [UInt8]
    private var next: UInt64 = 0
    private var onlyDigest: [UInt8] = []
    private var hasher: SaltedBlockHasher

    /// Starts a tree for a known number of data blocks, at least 1 and at most 2^28, with a salt of at most 256 bytes.
    public init(dataBlocks: UInt64, salt: [UInt8]) throws(ReleaseError) {
        guard dataBlocks >= 1, dataBlocks <= UInt64(ManifestLimit.blocks) else {
            throw ReleaseError("a hash tree for \(dataBlocks) blocks is not possible")
        }
        guard salt.count <= 256 else { throw ReleaseError("a verity salt has at most 256 bytes") }
        layout = VerityLayout(dataBlocks: dataBlocks)
        self.salt = salt
        hasher = SaltedBlockHasher(salt: salt)
        image = [UInt8](repeating: 0, count: Int(layout.imageBytes))
        image.replaceSubrange(0..<512, with: VeritySuperblock(dataBlocks: dataBlocks, salt: salt).encoded)
    }

    /// Takes the next data blocks, whole ones.
    public mutating func append(_ data: UnsafeRawBufferPointer) throws(ReleaseError) {
        let size = VerityLayout.blockBytes
        guard data.count.isMultiple(of: size), UInt64(data.count / size) <= layout.dataBlocks - next else {
            throw ReleaseError("the hash tree is for \(layout.dataBlocks) whole blocks, and more came")
        }
        for start in stride(from: 0, to: data.count, by: size) {
            let digest = hasher.hash(UnsafeRawBufferPointer(rebasing: data[start..<start + size]))
            if let leaves = layout.levels.first {
                let offset = Int(leaves.offset) + Int(next) * 32
                image.replaceSubrange(offset..<offset + 32, with: digest)
            } else {
                onlyDigest = digest
            }
            next += 1
        }
    }

    /// Hashes the upper levels once all data blocks came.
    public consuming func finish() throws(ReleaseError) -> VerityTree {
        guard next == layout.dataBlocks else {
            throw ReleaseError("the hash tree is for \(layout.dataBlocks) blocks, and \(next) came")
        }
        let size = VerityLayout.blockBytes
        var digests = onlyDigest
        for (depth, level) in layout.levels.enumerated() {
            if depth > 0 {
                image.replaceSubrange(Int(level.offset)..<Int(level.offset) + digests.count, with: digests)
            }
            digests = []
            for index in 0..<Int(level.blocks) {
                let start = Int(level.offset) + index * size
                digests += image.withUnsafeBytes {
                    hasher.hash(UnsafeRawBufferPointer(rebasing: $0[start..<start + size]))
                }
            }
        }
        return VerityTree(built: image, layout: layout, salt: salt, rootHash: Digest256(unchecked: digests))
    }
}
