import Contract
import Cryptography
import Fetch
import Foundation
import Release
import Testing

/// A small release as a folder: real signatures and digests, frames of noise, which no server decompresses.
struct SmallRelease {
    let directory: String
    let name: Digest256
    let pack: [UInt8]

    init(in scratch: Scratch, key: Ed25519PrivateKey, version: String, architecture: Architecture = .current) throws {
        let layout = VerityLayout(dataBlocks: 4)
        let sizes: [(FrameTable.Kind, UInt64)] = [
            (.tree, layout.imageBytes), (.uki, 4096), (.boot, 4096), (.root, 4 * 4096),
        ]
        var pack: [UInt8] = []
        var artifacts: [FrameTable.Artifact] = []
        for (kind, bytes) in sizes {
            var frames: [FrameTable.Frame] = []
            for _ in 0..<bytes / 4096 {
                let content = try randomBytes(100)
                frames.append(
                    FrameTable.Frame(
                        packOffset: UInt64(pack.count), compressedBytes: content.count, plainBytes: 4096,
                        sha256: Digest256(hashing: content)))
                pack += content
            }
            artifacts.append(
                FrameTable.Artifact(kind: kind, framePlainBytes: 4096, plainBytes: bytes, frames: frames))
        }
        let table = FrameTable(artifacts: artifacts).encoded
        let image = Manifest.File(bytes: 4096, sha256: Digest256(hashing: Array("image".utf8)))
        let document = try Manifest.document(
            version: 1, expiresSeconds: 4_000_000_000, product: "apus-os", releaseVersion: version, epoch: 0,
            architecture: architecture,
            root: .init(blocks: 4, rootHash: image.sha256, salt: [1, 2], treeBytes: layout.imageBytes), uki: image,
            boot: image, frames: .init(bytes: UInt64(table.count), sha256: Digest256(hashing: table)),
            packBytes: UInt64(pack.count))
        let envelope = try SignedEnvelope(signing: document, with: [.ed25519(key)])
        name = envelope.name
        self.pack = pack
        directory = scratch.path + "/\(version)-\(architecture.rawValue)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        for (file, bytes) in [("manifest.json", envelope.encoded), ("frames", table), ("pack", pack)] {
            try Data(bytes).write(to: URL(fileURLWithPath: directory + "/" + file))
        }
    }
}

@Suite struct PublishingTests {
    /// A server that trusts a key.
    private func site() async throws -> (server: RunningServer, key: Ed25519PrivateKey) {
        let server = try await RunningServer()
        let path = server.scratch.path + "/site.key"
        #expect(try await run(Programs.apus, ["release", "key", path]).code == 0)
        #expect(try await server.apus("release", "trust", path + ".pub").code == 0)
        return (server, try Ed25519PrivateKey(pem: try String(contentsOfFile: path, encoding: .utf8)))
    }

    @Test func releaseIsPublishedOnceAndAskedForAgainWithoutHarm() async throws {
        let (server, key) = try await site()
        let first = try SmallRelease(in: server.scratch, key: key, version: "1.0")
        let second = try SmallRelease(in: server.scratch, key: key, version: "2.0")
        let published = try await server.apus("release", "publish", first.directory, "--json").json(ReleaseView.self)
        #expect(published.name == first.name)
        let again = try await server.apus("release", "publish", first.directory)
        #expect(again.code == 0, "\(again.errors)")
        #expect(try await server.apus("release", "publish", second.directory, "--make-default").code == 0)
        let chosen = try await server.apus("release", "default", "1.0", "--json").json(ReleaseView.self)
        #expect(chosen.isDefault)
        let listed = try await server.apus("release", "list", "--json").json(ReleaseList.self).releases
        #expect(listed.map(\.version) == ["1.0", "2.0"])
        #expect(listed.map(\.isDefault) == [true, false])

        let forged = try SmallRelease(in: server.scratch, key: try Ed25519PrivateKey(), version: "3.0")
        let refused = try await server.apus("release", "publish", forged.directory)
        #expect(refused.code == 1)
        #expect(refused.errors.contains("signatures"))
        #expect(try await server.apus("release", "publish", "/nonexistent").errors.contains("'/nonexistent"))
        #expect(try await server.apus("release", "default", "9").errors.contains("'apus release list'"))
    }

    @Test func releaseThatNobodyNeedsIsRemoved() async throws {
        let (server, key) = try await site()
        let first = try SmallRelease(in: server.scratch, key: key, version: "1.0")
        let second = try SmallRelease(in: server.scratch, key: key, version: "2.0")
        for release in [first, second] {
            #expect(try await server.apus("release", "publish", release.directory).code == 0)
        }
        let kept = try await server.apus("release", "remove", "2.0")
        #expect(kept.code == 1 && kept.errors.contains("'apus release default'"))
        let token = try await server.apus("token", "create").output.trimmingCharacters(in: .newlines)
        let id = try #require(try TestMachine().register(server, token: token).status.nodeID).rawValue
        #expect(try await server.apus("node", "upgrade", id, "1.0").code == 0)
        let needed = try await server.apus("release", "remove", "1.0")
        #expect(needed.code == 1 && needed.errors.contains("node \(id) should run it"))
        #expect(try await server.apus("node", "upgrade", id, "2.0").code == 0)
        let folder = server.data + "/releases/\(first.name)"
        #expect(FileManager.default.fileExists(atPath: folder))
        let removed = try await server.apus("release", "remove", "\(first.name)", "--json").json(ReleaseView.self)
        #expect(removed.name == first.name)
        #expect(!FileManager.default.fileExists(atPath: folder))
        let listed = try await server.apus("release", "list", "--json").json(ReleaseList.self).releases
        #expect(listed.map(\.version) == ["2.0"])
        #expect(try await server.apus("release", "remove", "1.0").errors.contains("'apus release list'"))
        #expect(try await server.apus("release", "publish", first.directory).code == 0)
        #expect(try await server.apus("release", "default", "2.0").code == 0)
        #expect(try await server.apus("release", "remove", "1.0").output.hasPrefix("removed 1.0"))
    }

    @Test func oneVersionOfTwoArchitecturesIsChosenByTheNode() async throws {
        let (server, key) = try await site()
        for architecture in [Architecture.amd64, .arm64] {
            let release = try SmallRelease(in: server.scratch, key: key, version: "1.0", architecture: architecture)
            #expect(try await server.apus("release", "publish", release.directory).code == 0)
        }
        let ambiguous = try await server.apus("release", "default", "1.0")
        #expect(ambiguous.code == 1)
        #expect(ambiguous.errors.contains("2 releases"))
        let token = try await server.apus("token", "create").output.trimmingCharacters(in: .newlines)
        let id = try #require(try TestMachine().register(server, token: token).status.nodeID).rawValue
        let upgraded = try await server.apus("node", "upgrade", id, "1.0", "--hold", "5", "--json").json(NodeView.self)
        #expect(upgraded.desiredVersion == "1.0")
        #expect(try await server.apus("node", "upgrade", id, "1.0", "--attempts", "500").code == 1)
    }

    @Test func nodeFetchesAnyRangeOfAReleaseAndStrangersNothing() async throws {
        let (server, key) = try await site()
        let release = try SmallRelease(in: server.scratch, key: key, version: "1.0")
        #expect(try await server.apus("release", "publish", release.directory).code == 0)
        let token = try await server.apus("token", "create").output.trimmingCharacters(in: .newlines)
        let machine = try TestMachine()
        let certificate = try #require(try machine.register(server, token: token).status.certificate)
        let url = server.address + "/v1/releases/\(release.name)/pack"
        let node = try machine.connect(server, certificate: certificate)
        for range in [0..<1, 50..<250, UInt64(release.pack.count - 1)..<UInt64(release.pack.count)] {
            var arrived: [UInt8] = []
            try node.download(url, range: range, limitBytes: 1 << 20) { arrived += $0 }
            #expect(arrived == Array(release.pack[Int(range.lowerBound)..<Int(range.upperBound)]))
        }
        let stranger = try HTTPClient(HTTPConfiguration(caCertificates: try server.caCertificate))
        let refusal = #expect(throws: FetchError.self) { try stranger.request("GET", url) }
        guard case .status(401, let error?)? = refusal else {
            Issue.record("a stranger was answered with \(String(describing: refusal))")
            return
        }
        #expect(error.code == "certificate-required")
    }
}
