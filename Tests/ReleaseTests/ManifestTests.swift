import Contract
import Cryptography
import Release
import Testing

@Suite struct ManifestTests {
    static func document(blocks: UInt64 = 1000) throws -> JSONValue {
        let digest = Digest256(hashing: Array("x".utf8))
        return try Manifest.document(
            version: 1, expiresSeconds: 2_000_000_000, product: "apus", releaseVersion: "1.2.3~rc1", epoch: 0,
            architecture: .amd64,
            root: Manifest.Root(
                blocks: blocks, rootHash: digest, salt: [1, 2, 3],
                treeBytes: VerityLayout(dataBlocks: blocks).imageBytes),
            uki: Manifest.File(bytes: 20_000_000, sha256: digest),
            boot: Manifest.File(bytes: 20_000_000, sha256: digest),
            frames: Manifest.File(bytes: 1000, sha256: digest), packBytes: 5000)
    }

    /// The document with one member, named by its path, replaced; nil removes it.
    private func changed(_ path: String, to value: JSONValue?) throws -> JSONValue {
        func change(_ object: JSONValue, _ path: [Substring]) -> JSONValue {
            guard case .object(var members) = object, let key = path.first.map(String.init) else { return object }
            members[key] = path.count == 1 ? value : members[key].map { change($0, Array(path.dropFirst())) }
            return .object(members)
        }
        return change(try Self.document(), path.split(separator: "."))
    }

    @Test func aManifestIsNamedByItsCanonicalForm() throws {
        let document = try Self.document()
        let manifest = try Manifest(validating: document)
        #expect(manifest.name.bytes == SHA256.digest(document.canonical))
        #expect(manifest.releaseVersion == "1.2.3~rc1" && manifest.architecture == .amd64)
        #expect(manifest.root.bytes == 4_096_000)
        #expect(manifest.expiresSeconds == 2_000_000_000)
        #expect(document["expires"] == .string("2033-05-18T03:33:20Z"))
    }

    @Test func fieldsThatAreNotKnownAreLeftAsideButCountForTheName() throws {
        let plain = try Manifest(validating: try Self.document())
        let more = try Manifest(validating: try changed("later", to: .array([.integer(1)])))
        #expect(more.root == plain.root)
        #expect(more.name != plain.name)
    }

    static let refused: [(String, JSONValue?)] = [
        ("_type", .string("root")), ("_type", nil), ("spec_version", .string("2.0.0")), ("spec_version", nil),
        ("format", .integer(3)), ("format", .integer(0)), ("format", nil), ("version", .integer(0)),
        ("version", .string("1")), ("version", nil), ("expires", .string("2033-05-18")), ("expires", nil),
        ("product", .string("")), ("product", .string("a b")), ("product", .string("../x")), ("product", nil),
        ("release_version", .string("1.0 apus.mode=slot")), ("release_version", .string("-1")),
        ("release_version", .string(String(repeating: "1", count: 65))), ("epoch", .integer(-1)), ("epoch", nil),
        ("architecture", .string("x86_64")), ("architecture", nil), ("root", nil), ("root.blocks", .integer(0)),
        ("root.blocks", .integer(1025)), ("root.blocks", .integer(Int64.max)), ("root.block_size", .integer(512)),
        ("root.block_size", nil), ("root.root_hash", .string("00")), ("root.root_hash", nil),
        ("root.salt", .string("")), ("root.salt", .string("AB")), ("root.salt", .string("abc")),
        ("root.salt", .string(String(repeating: "00", count: 257))), ("root.tree_bytes", .integer(4096)),
        ("root.tree_bytes", nil), ("uki.bytes", .integer(0)), ("uki.bytes", .integer(1 << 40)),
        ("uki.sha256", .string("x")), ("uki", nil), ("boot.bytes", .integer(-5)), ("boot", .null),
        ("frames.bytes", .integer(65 << 20)), ("frames", nil), ("pack_bytes", .integer(0)), ("pack_bytes", nil),
    ]

    @Test(arguments: refused.indices) func impossibleFieldsAreRefusedByName(index: Int) throws {
        let (path, value) = Self.refused[index]
        let document = try changed(path, to: value)
        let error = try #require(throws: ReleaseError.self) { try Manifest(validating: document) }
        let field = path.split(separator: ".").last.map(String.init) ?? path
        let named =
            error.description.contains(field) || error.description.contains("tree_bytes")
            || error.description.contains("Update Framework")
        #expect(named, "\(path): \(error)")
    }

    @Test func expiryArchitectureAndRoomAreChecked() throws {
        let manifest = try Manifest(validating: try Self.document())
        try manifest.checkExpiry(nowSeconds: 1_999_999_999)
        #expect(throws: ReleaseError.self) { try manifest.checkExpiry(nowSeconds: 2_000_000_000) }
        try manifest.check(architecture: .amd64)
        #expect(throws: ReleaseError.self) { try manifest.check(architecture: .arm64) }
        try manifest.check(fits: .standard)
        var small = DiskLayout.standard
        small.rootBytes = 4_095_999
        #expect(throws: ReleaseError.self) { try manifest.check(fits: small) }
        small = .standard
        small.bootBytes = 20_000_001
        #expect(throws: ReleaseError.self) { try manifest.check(fits: small) }
        // 2 GiB of root fill the standard layout exactly, and their tree fits its partition.
        try Manifest(validating: try Self.document(blocks: 524_288)).check(fits: .standard)
        let large = try Manifest(validating: try Self.document(blocks: 524_289))
        #expect(throws: ReleaseError.self) { try large.check(fits: .standard) }
    }

    @Test func onlyASignedManifestIsRead() throws {
        let key = SigningKey.ed25519(try Ed25519PrivateKey())
        let bytes = try SignedEnvelope(signing: try Self.document(), with: [key]).encoded
        let manifest = try Manifest.verified(envelope: bytes, keys: [try key.releaseKey()], threshold: 1)
        #expect(manifest.product == "apus")
        let other = try SigningKey.ed25519(try Ed25519PrivateKey()).releaseKey()
        #expect(throws: ReleaseError.self) { try Manifest.verified(envelope: bytes, keys: [other], threshold: 1) }
    }
}
