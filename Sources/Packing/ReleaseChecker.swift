public import Contract
internal import Cryptography
internal import Glibc
public import Release

/// Reads a packed release back as a node would, and checks every byte of it.
public enum ReleaseChecker {
    /// Checks signatures, frame table, every frame, the hash tree, every block of the root file system, and both
    /// images.
    ///
    /// - Returns: the manifest.
    public static func check(
        directory: String, keys: [ReleaseKey], threshold: Int,
        report: (UInt64, UInt64) -> Void = { _, _ in }
    ) throws -> Manifest {
        let envelope = try Files.read(directory + "/" + ReleasePacker.FileName.manifest, limit: WireLimit.manifest)
        let manifest = try Manifest.verified(envelope: envelope, keys: keys, threshold: threshold)
        let tableBytes = try Files.read(directory + "/" + ReleasePacker.FileName.frames, limit: WireLimit.frameTable)
        let table = try FrameTable.verified(tableBytes, manifest: manifest)
        let pack = try InputFile(directory + "/" + ReleasePacker.FileName.pack)
        guard pack.sizeBytes == manifest.packBytes else {
            throw PackingError("the pack has \(pack.sizeBytes) bytes, the manifest names \(manifest.packBytes)")
        }
        let total = table.artifacts.reduce(0) { $0 + $1.plainBytes }
        var done: UInt64 = 0
        func read(_ kind: FrameTable.Kind, _ body: (UInt64, [UInt8]) throws -> Void) throws {
            guard let artifact = table[kind] else { throw PackingError("artifact '\(kind)' is missing") }
            for (index, frame) in artifact.frames.enumerated() {
                let bytes = try pack.read(at: frame.packOffset, count: frame.compressedBytes)
                guard Digest256(hashing: bytes) == frame.sha256 else {
                    throw PackingError("frame \(index) of artifact '\(kind)' is damaged")
                }
                try body(
                    artifact.plainOffset(index), try FrameCompressor.decompress(bytes, plainBytes: frame.plainBytes))
                done += UInt64(frame.plainBytes)
                report(done, total)
            }
        }
        var treeImage: [UInt8] = []
        try read(.tree) { treeImage += $1 }
        let tree = try VerityTree(
            verifying: treeImage, dataBlocks: manifest.root.blocks, salt: manifest.root.salt,
            rootHash: manifest.root.rootHash)
        var hasher = tree.hasher()
        try read(.root) { offset, plain in
            let first = offset / UInt64(VerityLayout.blockBytes)
            let wrong = plain.withUnsafeBytes { tree.firstMismatch(in: $0, firstBlock: first, hasher: &hasher) }
            if let wrong { throw PackingError("block \(wrong) of the root file system does not match the hash tree") }
        }
        for (kind, file) in [(FrameTable.Kind.uki, manifest.uki), (.boot, manifest.boot)] {
            var hasher = SHA256Hasher()
            try read(kind) { hasher.update($1) }
            guard hasher.finish() == file.sha256.bytes else {
                throw PackingError("artifact '\(kind)' does not match the manifest")
            }
        }
        return manifest
    }
}
