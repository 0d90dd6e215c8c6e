import Contract
import Cryptography
import Foundation
import Packing
import Release
import TestSupport
import Testing

@Suite(.ownThreads) struct PackTests {
    @Test func aPackIsReadBackAsItWas() async throws {
        let fixture = try PackingFixture()
        let packed = try await fixture.pack(into: "release")
        let manifest = try ReleaseChecker.check(
            directory: fixture.path("release"), keys: [try fixture.releaseKey()], threshold: 1)
        #expect(manifest == packed.manifest)
        #expect(manifest.uki.sha256 == Digest256(hashing: try fixture.read("uki")))
        #expect(try fixture.read("release/frames") == packed.frames.encoded)
        #expect(manifest.root.blocks == 70)
    }

    @Test func equalInputsGiveEqualBytesWithAndWithoutACache() async throws {
        let fixture = try PackingFixture()
        let cache = fixture.path("cache")
        let folders = ["one", "two", "three"]
        for (folder, cache) in zip(folders, [nil, cache, cache]) {
            _ = try await fixture.pack(into: folder, cache: cache)
        }
        for file in ["manifest.json", "frames", "pack"] {
            let first = try fixture.read("one/\(file)")
            for folder in folders { #expect(try fixture.read("\(folder)/\(file)") == first, "\(folder)/\(file)") }
        }
    }

    @Test(arguments: [
        ("1.2.3", 1_000_002_000_003), ("1.0", 1_000_000_000_000), ("0.9", 9_000_000),
        ("2026.11.23", 2_026_000_011_000_023),
        ("20261123", 20_261_123), ("1.2.3-rc1", 1_000_002_000_003), ("1.beta.3", 1_000_000_000_000), ("test", 1),
        ("0", 1),
        ("1.9999999", 1), ("99999999999999999999", 1), ("1.2.3.4", 1_000_002_000_003),
    ])
    func documentVersionFollowsTheReleases(_ version: String, _ number: Int64) {
        #expect(ReleaseIdentity.documentVersion(of: version) == number)
    }

    @Test func laterReleasesHaveLaterDocuments() {
        let versions = ["0.1", "0.9.9", "0.10", "1.0", "1.0.1", "1.2", "1.10", "2.0", "2026.1"]
        let numbers = versions.map { ReleaseIdentity.documentVersion(of: $0) }
        #expect(numbers == numbers.sorted())
        #expect(Set(numbers).count == numbers.count)
    }

    @Test func identityIsRefusedBeforeAnythingIsBuilt() throws {
        func identity(_ version: String, product: String = "p", number: Int64? = nil, epoch: Int64 = 0)
            -> ReleaseIdentity
        {
            ReleaseIdentity(
                product: product, releaseVersion: version, version: number, epoch: epoch, architecture: .amd64,
                expiresSeconds: 2_000_000_000)
        }
        try identity("1.0~rc+1_a-b").check()
        for wrong in ["", "a b", "../x", "-1", String(repeating: "1", count: 65), "ä"] {
            #expect(throws: PackingError.self) { try identity(wrong).check() }
            #expect(throws: PackingError.self) { try identity("1", product: wrong).check() }
        }
        #expect(throws: PackingError.self) { try identity("1", number: 0).check() }
        #expect(throws: PackingError.self) { try identity("1", epoch: -1).check() }
    }

    @Test func aDamagedCacheIsNotBelieved() async throws {
        let fixture = try PackingFixture()
        _ = try await fixture.pack(into: "one", cache: fixture.path("cache"))
        let files = try FileManager.default.subpathsOfDirectory(atPath: fixture.path("cache"))
        let frames = files.filter { $0.hasSuffix(".zst") }
        #expect(!frames.isEmpty)
        for (index, frame) in frames.enumerated() {
            var bytes = try fixture.read("cache/\(frame)")
            if index.isMultiple(of: 2) { bytes.removeLast(bytes.count / 2) } else { bytes[bytes.count / 2] ^= 1 }
            _ = try fixture.write("cache/\(frame)", bytes)
        }
        _ = try await fixture.pack(into: "two", cache: fixture.path("cache"))
        #expect(try fixture.read("one/pack") == fixture.read("two/pack"))
    }

    @Test func whatTwoImagesShareIsPackedOnce() async throws {
        let fixture = try PackingFixture()
        let packed = try await fixture.pack(into: "release")
        let uki = try #require(packed.addedBytes[.uki])
        let boot = try #require(packed.addedBytes[.boot])
        #expect(uki > 4 << 20)
        #expect(boot < (1 << 20) + 10_000, "only its own first and last frames are new")
        let ranges = try #require(packed.frames[.uki]).frames.map(\.packRange)
        let others = try #require(packed.frames[.boot]).frames.map(\.packRange)
        // 128 KiB a frame: the first MiB differs, three are shared.
        #expect(ranges[8...] == others[8..<32])
    }

    @Test func oneChangedBlockChangesOneFrameOfTheRoot() async throws {
        let fixture = try PackingFixture()
        let before = try await fixture.pack(into: "one")
        let after = try await fixture.pack(into: "two") { root in
            var root = root
            root[40 * 4096] ^= 1
            return root
        }
        let first = try #require(before.frames[.root])
        let second = try #require(after.frames[.root])
        let changed = zip(first.frames, second.frames).enumerated().filter {
            $0.element.0.sha256 != $0.element.1.sha256
        }
        #expect(changed.map(\.offset) == [40 / 16])
        #expect(before.manifest.root.salt == after.manifest.root.salt)
        #expect(before.manifest.name != after.manifest.name)
    }

    @Test func aFlippedByteAnywhereIsFound() async throws {
        let fixture = try PackingFixture()
        _ = try await fixture.pack(into: "release", blocks: 3)
        let keys = [try fixture.releaseKey()]
        func isRefused() -> Bool {
            (try? ReleaseChecker.check(directory: fixture.path("release"), keys: keys, threshold: 1)) == nil
        }
        #expect(!isRefused())
        for file in ["manifest.json", "frames", "pack"] {
            let bytes = try fixture.read("release/\(file)")
            for position in [0, bytes.count / 3, bytes.count / 2, bytes.count - 1] {
                var changed = bytes
                changed[position] ^= 1
                _ = try fixture.write("release/\(file)", changed)
                #expect(isRefused(), "\(file) at \(position)")
            }
            _ = try fixture.write("release/\(file)", Array(bytes.dropLast()))
            #expect(isRefused(), "\(file) cut")
            _ = try fixture.write("release/\(file)", bytes)
        }
        let stranger = try ReleaseKey(ed25519: Ed25519PrivateKey().publicKey)
        #expect(throws: (any Error).self) {
            try ReleaseChecker.check(directory: fixture.path("release"), keys: [stranger], threshold: 1)
        }
    }

    @Test func aReleaseNeedsAKeyAndWholeBlocks() async throws {
        let fixture = try PackingFixture()
        let root = try fixture.write("odd", [1, 2, 3])
        #expect(throws: PackingError.self) { try RootImage.tree(ofImage: root, salt: []) }
        #expect(throws: PackingError.self) { try RootImage.tree(ofImage: fixture.path("missing"), salt: []) }
        let image = try fixture.write("root", noise(4096, seed: 1))
        let tree = try RootImage.tree(ofImage: image, salt: [])
        await #expect(throws: PackingError.self) {
            let packer = ReleasePacker(identity: PackingFixture.identity(), signingKeys: [])
            _ = try await packer.pack(root: image, tree: tree, uki: image, boot: image, into: fixture.path(""))
        }
    }
}
