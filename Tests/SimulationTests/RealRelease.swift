import Contract
import Cryptography
import Decisions
import Foundation
import Linux
import Packing
import Partitions
import Release
import Sequences
import Slots

@testable import Simulation

/// A tiny release of real artifacts, packed by the real packer.
struct RealRelease {
    let manifest: Manifest
    let table: FrameTable
    let pack: [UInt8]
    let facts: ReleaseFacts

    static let salt = [UInt8](repeating: 7, count: 32)

    static func make(_ number: UInt8) async throws -> RealRelease {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("apus-simulation-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        func path(_ name: String) -> String { folder.appendingPathComponent(name).path }

        // Half of the blocks are the same in every release, so that blocks of the other slot are used as well.
        let root = noise(8 * 4096, seed: 1) + noise(8 * 4096, seed: UInt64(number) + 10)
        var builder = try VerityBuilder(dataBlocks: 16, salt: salt)
        try root.withUnsafeBytes { try builder.append($0) }
        let tree = try builder.finish()
        let line =
            "apus.mode=slot apus.root=\(tree.rootHash) apus.salt=\(salt.lowercaseHex) apus.blocks=16 "
            + "apus.version=\(number)"
        let kernel = noise(66_000, seed: 3) + noise(4000, seed: UInt64(number) + 20)
        try Data(root).write(to: URL(fileURLWithPath: path("root")))
        try Data(image([(".linux", kernel), (".cmdline", Array(line.utf8))])).write(
            to: URL(fileURLWithPath: path("uki")))
        let provision = "apus.mode=provision apus.version=\(number)"
        try Data(image([(".linux", kernel), (".cmdline", Array(provision.utf8))])).write(
            to: URL(fileURLWithPath: path("boot")))
        var packer = ReleasePacker(
            identity: ReleaseIdentity(
                product: "simulation", releaseVersion: "\(number)", architecture: .current,
                expiresSeconds: 4_000_000_000), signingKeys: [.ed25519(try Ed25519PrivateKey())], level: 3,
            cacheDirectory: nil)
        packer.rootFrameBytes = 16 << 10
        packer.otherFrameBytes = 32 << 10
        let packed = try await packer.pack(
            root: path("root"), tree: tree, uki: path("uki"), boot: path("boot"), into: folder.path)
        let manifest = packed.manifest
        return RealRelease(
            manifest: manifest, table: packed.frames,
            pack: Array(try Data(contentsOf: URL(fileURLWithPath: path("pack")))),
            facts: ReleaseFacts(
                release: manifest.name, version: manifest.releaseVersion, epoch: Int(manifest.epoch),
                architecture: manifest.architecture, rootHash: manifest.root.rootHash, salt: manifest.root.salt,
                blocks: manifest.root.blocks, treeBytes: manifest.root.treeBytes, ukiDigest: manifest.uki.sha256,
                ukiBytes: manifest.uki.bytes,
                recovery: BootRecord.RecoveryArtifact(digest: manifest.boot.sha256, sizeBytes: manifest.boot.bytes),
                expiresSeconds: manifest.expiresSeconds))
    }

    /// Bytes that do not compress, and are the same in every run.
    private static func noise(_ count: Int, seed: UInt64) -> [UInt8] {
        var state = seed &* 0x9e37_79b9_7f4a_7c15 | 1
        return (0..<count).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return UInt8(truncatingIfNeeded: state >> 40)
        }
    }

    /// A PE file with sections.
    private static func image(_ sections: [(String, [UInt8])]) -> [UInt8] {
        func little(_ value: some FixedWidthInteger) -> [UInt8] {
            withUnsafeBytes(of: value.littleEndian) { Array($0) }
        }
        func zeros(_ count: Int) -> [UInt8] { [UInt8](repeating: 0, count: count) }
        let machine: UInt16 = Architecture.current == .amd64 ? 0x8664 : 0xaa64
        var bytes = Array("MZ".utf8) + zeros(58) + little(UInt32(64))
        bytes += Array("PE\0\0".utf8) + little(machine) + little(UInt16(sections.count)) + zeros(12)
        bytes += little(UInt16(0)) + little(UInt16(0x22e))
        var data: [UInt8] = []
        let start = (bytes.count + sections.count * 40 + 511) / 512 * 512
        for (name, content) in sections {
            let raw = (content.count + 511) / 512 * 512
            bytes += Array(name.utf8) + zeros(8 - name.utf8.count) + little(UInt32(content.count))
            bytes += little(UInt32(0x1000)) + little(UInt32(raw)) + little(UInt32(start + data.count)) + zeros(16)
            data += content + zeros(raw - content.count)
        }
        return bytes + zeros(start - bytes.count) + data
    }
}
