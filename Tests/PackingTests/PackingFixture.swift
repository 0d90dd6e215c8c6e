import Contract
import Cryptography
import Packing
import Release
import TestSupport

/// A directory of a test's own, with sample artifacts.
final class PackingFixture {
    let scratch: Scratch
    let key: Ed25519PrivateKey

    init() throws {
        scratch = try Scratch()
        key = try Ed25519PrivateKey()
    }

    func path(_ name: String) -> String { scratch.path(name) }
    func write(_ name: String, _ bytes: [UInt8]) throws -> String { try scratch.file(name, bytes) }
    func read(_ name: String) throws -> [UInt8] { try scratch.read(name) }
    func makeFolder(_ name: String) throws -> String { try scratch.folder(name) }

    static func identity(_ version: String = "1.0") -> ReleaseIdentity {
        ReleaseIdentity(
            product: "test", releaseVersion: version, architecture: .amd64, expiresSeconds: 2_000_000_000)
    }

    /// Packs a root of `blocks` blocks and two images that share all but their first and last parts.
    func pack(
        into name: String, blocks: Int = 70, cache: String? = nil, change: ([UInt8]) -> [UInt8] = { $0 }
    ) async throws -> PackedRelease {
        let shared = noise(3 << 20, seed: 1)
        let uki = try write("uki", noise(1 << 20, seed: 2) + shared)
        let boot = try write("boot", noise(1 << 20, seed: 3) + shared + noise(5000, seed: 4))
        let root = try write("root", change(noise(blocks * 4096, seed: 5)))
        let tree = try RootImage.tree(ofImage: root, salt: RootImage.salt(product: "test"))
        var packer = ReleasePacker(
            identity: Self.identity(), signingKeys: [.ed25519(key)], level: 3, cacheDirectory: cache)
        packer.rootFrameBytes = 64 << 10
        return try await packer.pack(root: root, tree: tree, uki: uki, boot: boot, into: try makeFolder(name))
    }

    func releaseKey() throws -> ReleaseKey { try ReleaseKey(ed25519: key.publicKey) }
}
