import Contract
import Cryptography
import Foundation
import Packing
import Release

/// A directory of a test's own, with sample artifacts.
final class PackingFixture {
    let directory: URL
    let key: Ed25519PrivateKey

    init() throws {
        directory = FileManager.default.temporaryDirectory.appendingPathComponent("apus-packing-\(UUID())")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        key = try Ed25519PrivateKey()
    }

    deinit { try? FileManager.default.removeItem(at: directory) }

    func path(_ name: String) -> String { directory.appendingPathComponent(name).path }

    func write(_ name: String, _ bytes: [UInt8]) throws -> String {
        try Data(bytes).write(to: directory.appendingPathComponent(name))
        return path(name)
    }

    func read(_ name: String) throws -> [UInt8] { Array(try Data(contentsOf: directory.appendingPathComponent(name))) }

    func makeFolder(_ name: String) throws -> String {
        try FileManager.default.createDirectory(
            at: directory.appendingPathComponent(name), withIntermediateDirectories: true)
        return path(name)
    }

    /// Bytes that do not compress, and are the same in every run.
    static func noise(_ count: Int, seed: UInt64) -> [UInt8] {
        var state = seed &* 2_862_933_555_777_941_757 &+ 3_037_000_493
        return [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            for index in 0..<count {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                buffer[index] = UInt8(truncatingIfNeeded: state >> 33)
            }
            filled = count
        }
    }

    static func identity(_ version: String = "1.0") -> ReleaseIdentity {
        ReleaseIdentity(
            product: "test", releaseVersion: version, architecture: .amd64, expiresSeconds: 2_000_000_000)
    }

    /// Packs a root of `blocks` blocks and two images that share all but their first and last parts.
    func pack(
        into name: String, blocks: Int = 70, cache: String? = nil, change: ([UInt8]) -> [UInt8] = { $0 }
    ) async throws -> PackedRelease {
        let shared = Self.noise(3 << 20, seed: 1)
        let uki = try write("uki", Self.noise(1 << 20, seed: 2) + shared)
        let boot = try write("boot", Self.noise(1 << 20, seed: 3) + shared + Self.noise(5000, seed: 4))
        let root = try write("root", change(Self.noise(blocks * 4096, seed: 5)))
        let tree = try RootImage.tree(ofImage: root, salt: RootImage.salt(product: "test"))
        var packer = ReleasePacker(
            identity: Self.identity(), signingKeys: [.ed25519(key)], level: 3, cacheDirectory: cache)
        packer.rootFrameBytes = 64 << 10
        return try await packer.pack(root: root, tree: tree, uki: uki, boot: boot, into: try makeFolder(name))
    }

    func releaseKey() throws -> ReleaseKey { try ReleaseKey(ed25519: key.publicKey) }
}
