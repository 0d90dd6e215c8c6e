import Contract
import Cryptography
import Decisions
import Linux
import Packing
import Partitions
import Release
import Sequences
import Slots
import TestSupport

@testable import Simulation

/// A tiny release of real artifacts, packed by the real packer.
struct RealRelease {
    let manifest: Manifest
    let table: FrameTable
    let pack: [UInt8]
    let facts: ReleaseFacts

    static let salt = [UInt8](repeating: 7, count: 32)

    static func make(_ number: UInt8) async throws -> RealRelease {
        let scratch = try Scratch()
        // Half of the blocks are the same in every release, so that blocks of the other slot are used as well.
        let root = noise(8 * 4096, seed: 1) + noise(8 * 4096, seed: UInt64(number) + 10)
        var builder = try VerityBuilder(dataBlocks: 16, salt: salt)
        try root.withUnsafeBytes { try builder.append($0) }
        let tree = try builder.finish()
        let line =
            "apus.mode=slot apus.root=\(tree.rootHash) apus.salt=\(salt.lowercaseHex) apus.blocks=16 "
            + "apus.version=\(number)"
        let kernel = noise(66_000, seed: 3) + noise(4000, seed: UInt64(number) + 20)
        let provision = "apus.mode=provision apus.version=\(number)"
        let machine: UInt16 = Architecture.current == .amd64 ? 0x8664 : 0xaa64
        func image(_ line: String) -> [UInt8] {
            kernelImage(machine: machine, [(".linux", kernel), (".cmdline", Array(line.utf8))])
        }
        var packer = ReleasePacker(
            identity: ReleaseIdentity(
                product: "simulation", releaseVersion: "\(number)", architecture: .current,
                expiresSeconds: 4_000_000_000), signingKeys: [.ed25519(try Ed25519PrivateKey())], level: 3,
            cacheDirectory: nil)
        packer.rootFrameBytes = 16 << 10
        packer.otherFrameBytes = 32 << 10
        let packed = try await packer.pack(
            root: scratch.file("root", root), tree: tree, uki: scratch.file("uki", image(line)),
            boot: scratch.file("boot", image(provision)), into: scratch.path)
        let manifest = packed.manifest
        return RealRelease(
            manifest: manifest, table: packed.frames,
            pack: try scratch.read("pack"),
            facts: ReleaseFacts(
                release: manifest.name, version: manifest.releaseVersion, epoch: Int(manifest.epoch),
                architecture: manifest.architecture, rootHash: manifest.root.rootHash, salt: manifest.root.salt,
                blocks: manifest.root.blocks, treeBytes: manifest.root.treeBytes, ukiDigest: manifest.uki.sha256,
                ukiBytes: manifest.uki.bytes,
                recovery: BootRecord.RecoveryArtifact(digest: manifest.boot.sha256, sizeBytes: manifest.boot.bytes),
                expiresSeconds: manifest.expiresSeconds))
    }
}
