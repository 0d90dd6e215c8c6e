import Contract
import Cryptography
import HTTPTypes
import HummingbirdTesting
import Release

@testable import ControlPlane

/// A small release with real signatures and digests; its frames hold noise, which the server never decompresses.
struct TestRelease: Sendable {
    var manifest: [UInt8]
    var frames: [UInt8]
    var pack: [UInt8]
    let name: Digest256

    init(
        key: Ed25519PrivateKey, version: String = "1.0", epoch: Int64 = 0, architecture: Architecture = .amd64,
        expiresSeconds: Int64 = 4_000_000_000, rootBlocks: UInt64 = 4
    ) throws {
        let layout = VerityLayout(dataBlocks: rootBlocks)
        let sizes: [(FrameTable.Kind, UInt64)] = [
            (.tree, layout.imageBytes), (.uki, 4096), (.boot, 5000), (.root, min(rootBlocks, 4) * 4096),
        ]
        var pack: [UInt8] = []
        var artifacts: [FrameTable.Artifact] = []
        for (kind, bytes) in sizes {
            var frames: [FrameTable.Frame] = []
            var left = Int(bytes)
            while left > 0 {
                let plain = min(left, 4096)
                let content = try randomBytes(100)
                frames.append(
                    FrameTable.Frame(
                        packOffset: UInt64(pack.count), compressedBytes: content.count, plainBytes: plain,
                        sha256: try Secrets.digest(SHA256.digest(content))))
                pack += content
                left -= plain
            }
            artifacts.append(
                FrameTable.Artifact(kind: kind, framePlainBytes: 4096, plainBytes: bytes, frames: frames))
        }
        let table = FrameTable(artifacts: artifacts).encoded
        let digest = try Secrets.digest(SHA256.digest(Array("uki".utf8)))
        let document = try Manifest.document(
            version: 1, expiresSeconds: expiresSeconds, product: "apus-os", releaseVersion: version, epoch: epoch,
            architecture: architecture,
            root: .init(blocks: rootBlocks, rootHash: digest, salt: [1, 2], treeBytes: layout.imageBytes),
            uki: .init(bytes: 4096, sha256: digest), boot: .init(bytes: 5000, sha256: digest),
            frames: .init(bytes: UInt64(table.count), sha256: try Secrets.digest(SHA256.digest(table))),
            packBytes: UInt64(pack.count))
        let envelope = try SignedEnvelope(signing: document, with: [.ed25519(key)])
        name = envelope.name
        manifest = envelope.encoded
        frames = table
        self.pack = pack
    }

    func upload(_ caller: TestCaller) async throws {
        for (file, bytes) in [("manifest.json", manifest), ("frames", frames), ("pack", pack)] {
            let response = try await caller.send(.put, "/v1/releases/\(name)/\(file)", body: bytes)
            guard response.status == .created else { throw try Failure(response) }
        }
    }

    func publish(_ caller: TestCaller) async throws -> ReleaseView {
        try await upload(caller)
        return try await caller.exchange(.post, "/v1/releases/\(name)/publish", as: ReleaseView.self)
    }

    /// A key that the site trusts from now on.
    static func trustedKey(_ caller: TestCaller) async throws -> Ed25519PrivateKey {
        let key = try Ed25519PrivateKey()
        _ = try await caller.exchange(
            .post, "/v1/release-keys", try ReleaseKey(ed25519: key.publicKey), as: ReleaseKeyList.self)
        return key
    }
}
