import Contract
import Release
import TestSupport
import Testing

@Suite struct VerityTests {
    static let salt = (0..<32).map { UInt8($0) }

    /// Data that differs from block to block.
    static func data(blocks: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: blocks * 4096)
        for block in 0..<blocks {
            bytes[block * 4096] = UInt8(truncatingIfNeeded: block)
            bytes[block * 4096 + 1] = UInt8(truncatingIfNeeded: block >> 8)
            bytes[block * 4096 + 4095] = 0x5A
        }
        return bytes
    }

    static func tree(_ data: [UInt8], salt: [UInt8] = salt) throws -> VerityTree {
        var builder = try VerityBuilder(dataBlocks: UInt64(data.count / 4096), salt: salt)
        // Uneven pieces: the pieces must not show in the result.
        var start = 0
        var piece = 4096
        while start < data.count {
            let end = min(data.count, start + piece)
            try data[start..<end].withUnsafeBytes { try builder.append($0) }
            start = end
            piece = piece * 3 % (64 * 4096) + 4096
        }
        return try builder.finish()
    }

    /// `veritysetup` (package cryptsetup-bin) is the reference for every byte: 1 block has no levels at all, 128 fill
    /// one hash block, 129 need a second level, 16385 a third.
    @Test(arguments: [1, 2, 127, 128, 129, 16384, 16385]) func veritysetupAgrees(blocks: Int) throws {
        let scratch = try Scratch()
        let data = Self.data(blocks: blocks)
        let tree = try Self.tree(data)
        let dataPath = try scratch.file("data", data)
        let ours = try scratch.file("ours", tree.image)
        let theirs = scratch.path("theirs")
        let uuid = Array(tree.image[16..<32]).lowercaseHex
        let output = try run(
            "veritysetup",
            [
                "format", "--salt=\(Self.salt.lowercaseHex)", "--uuid=\(dashed(uuid))", "--data-block-size=4096",
                "--hash-block-size=4096", "--hash=sha256", dataPath, theirs,
            ])
        #expect(output.contains(tree.rootHash.description))
        let reference = try scratch.read("theirs")
        #expect(Array(reference.prefix(tree.image.count)) == tree.image)
        #expect(reference.count <= tree.image.count, "veritysetup writes nothing behind the tree")
        try run("veritysetup", ["verify", dataPath, ours, tree.rootHash.description])
    }

    @Test(arguments: [1, 2, 129, 500]) func aTreeIsVerifiedFromItsRoot(blocks: Int) throws {
        let data = Self.data(blocks: blocks)
        let built = try Self.tree(data)
        let tree = try VerityTree(
            verifying: built.image, dataBlocks: UInt64(blocks), salt: Self.salt, rootHash: built.rootHash)
        var hasher = tree.hasher()
        data.withUnsafeBytes { #expect(tree.firstMismatch(in: $0, firstBlock: 0, hasher: &hasher) == nil) }
        let last = UInt64(blocks - 1)
        data[(blocks - 1) * 4096..<blocks * 4096].withUnsafeBytes {
            #expect(tree.firstMismatch(in: $0, firstBlock: last, hasher: &hasher) == nil)
            if blocks > 1 { #expect(tree.firstMismatch(in: $0, firstBlock: 0, hasher: &hasher) == 0) }
            #expect(tree.firstMismatch(in: $0, firstBlock: last + 1, hasher: &hasher) == UInt64(blocks))
        }
        var changed = data
        changed[(blocks / 2) * 4096 + 100] ^= 1
        changed.withUnsafeBytes {
            #expect(tree.firstMismatch(in: $0, firstBlock: 0, hasher: &hasher) == UInt64(blocks / 2))
        }
    }

    @Test func aChangeAnywhereInATreeIsRefused() throws {
        let built = try Self.tree(Self.data(blocks: 130))
        // Two levels with unused room behind their digests, and the superblock's padding: all of it counts.
        for index in stride(from: 0, to: built.image.count, by: 7) {
            var changed = built.image
            changed[index] ^= 1
            #expect(throws: ReleaseError.self, "a change at byte \(index)") {
                try VerityTree(verifying: changed, dataBlocks: 130, salt: Self.salt, rootHash: built.rootHash)
            }
        }
        var other = built.rootHash.bytes
        other[0] ^= 1
        let wrong = try #require(Digest256(bytes: other))
        #expect(throws: ReleaseError.self) {
            try VerityTree(verifying: built.image, dataBlocks: 130, salt: Self.salt, rootHash: wrong)
        }
        for (blocks, salt) in [(129, Self.salt), (0, Self.salt), (130, [1]), (130, [])] {
            #expect(throws: ReleaseError.self) {
                try VerityTree(
                    verifying: built.image, dataBlocks: UInt64(blocks), salt: salt, rootHash: built.rootHash)
            }
        }
    }

    @Test func aSuperblockIsReadStrictly() throws {
        let superblock = VeritySuperblock(dataBlocks: 1000, salt: Self.salt)
        let bytes = superblock.encoded
        #expect(bytes.count == 512)
        #expect(try VeritySuperblock(parsing: bytes) == superblock)
        for count in bytes.indices {
            #expect(throws: ReleaseError.self) { try VeritySuperblock(parsing: bytes.prefix(count)) }
        }
        // The UUID, the number of blocks, and the salt with its length may be anything.
        let free = Set(Array(16..<32) + Array(72..<82) + Array(88..<120))
        for index in bytes.indices where !free.contains(index) {
            var changed = bytes
            changed[index] ^= 0x80
            #expect(throws: ReleaseError.self, "a change at byte \(index)") { try VeritySuperblock(parsing: changed) }
        }
    }

    @Test func aBuilderTakesExactlyItsBlocks() throws {
        #expect(throws: ReleaseError.self) { _ = try VerityBuilder(dataBlocks: 0, salt: []) }
        #expect(throws: ReleaseError.self) { _ = try VerityBuilder(dataBlocks: 1 << 29, salt: []) }
        #expect(throws: ReleaseError.self) { _ = try VerityBuilder(dataBlocks: 1, salt: Self.data(blocks: 1)) }
        #expect(try outcome(ofAppending: [4096, 4096]))
        #expect(throws: ReleaseError.self) { try outcome(ofAppending: [4096]) }
        #expect(throws: ReleaseError.self) { try outcome(ofAppending: [4096, 100]) }
        #expect(throws: ReleaseError.self) { try outcome(ofAppending: [4096, 8192]) }
    }

    /// Appends pieces to a builder for two blocks, and finishes it.
    private func outcome(ofAppending pieces: [Int]) throws -> Bool {
        var builder = try VerityBuilder(dataBlocks: 2, salt: [])
        for piece in pieces {
            try [UInt8](repeating: 0, count: piece).withUnsafeBytes { try builder.append($0) }
        }
        return try builder.finish().layout.dataBlocks == 2
    }

    private func dashed(_ hex: String) -> String {
        let digits = Array(hex)
        return [0..<8, 8..<12, 12..<16, 16..<20, 20..<32].map { String(digits[$0]) }.joined(separator: "-")
    }
}
