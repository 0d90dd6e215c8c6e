import Contract
import Cryptography
import Release
import Testing

@Suite struct EnvelopeTests {
    private let document = JSONValue.object(["_type": .string("test"), "value": .integer(7)])

    @Test func keyIDIsTheDigestOfTheCanonicalKeyObject() throws {
        let hex = String(repeating: "ab", count: 32)
        let key = ReleaseKey(keytype: "ed25519", scheme: "ed25519", public: hex)
        let canonical = "{\"keytype\":\"ed25519\",\"keyval\":{\"public\":\"\(hex)\"},\"scheme\":\"ed25519\"}"
        #expect(key.keyID.bytes == SHA256.digest(canonical.utf8))
    }

    @Test func bothKindsOfKeySignAndVerify() throws {
        for key in [SigningKey.ed25519(try Ed25519PrivateKey()), .p256(try P256PrivateKey())] {
            let envelope = try SignedEnvelope(signing: document, with: [key])
            let read = try SignedEnvelope(parsing: envelope.encoded)
            #expect(read == envelope)
            try read.verify(keys: [try key.releaseKey()], threshold: 1)
        }
    }

    @Test func thresholdCountsDistinctKeys() throws {
        let keys = try (0..<3).map { _ in SigningKey.ed25519(try Ed25519PrivateKey()) }
        let trusted = try keys.map { try $0.releaseKey() }
        let two = try SignedEnvelope(signing: document, with: Array(keys.prefix(2)))
        try two.verify(keys: trusted, threshold: 2)
        #expect(throws: ReleaseError.self) { try two.verify(keys: trusted, threshold: 3) }
        #expect(throws: ReleaseError.self) { try two.verify(keys: [trusted[2]], threshold: 1) }
        #expect(throws: ReleaseError.self) { try two.verify(keys: trusted, threshold: 0) }
        #expect(throws: ReleaseError.self) { try two.verify(keys: [], threshold: 1) }
    }

    @Test func oneKeyIsNotCountedTwice() throws {
        let key = SigningKey.p256(try P256PrivateKey())
        let trusted = try key.releaseKey()
        // ECDSA is randomised: two valid signatures of one key that differ.
        let twice = try SignedEnvelope(signing: document, with: [key, key])
        #expect(twice.signatures[0] != twice.signatures[1])
        try twice.verify(keys: [trusted, trusted], threshold: 1)
        #expect(throws: ReleaseError.self) { try twice.verify(keys: [trusted, trusted], threshold: 2) }
        // The same key under another id: its PEM with another line ending.
        let alias = ReleaseKey(
            keytype: trusted.keytype, scheme: trusted.scheme, public: trusted.keyval.public + "\n")
        #expect(alias.keyID != trusted.keyID)
        let signature = try #require(SignedEnvelope(signing: document, with: [key]).signatures.first)
        let text = """
            {"signed":{"_type":"test","value":7},"signatures":[
            {"keyid":"\(trusted.keyID)","sig":"\(signature.bytes.lowercaseHex)"},
            {"keyid":"\(alias.keyID)","sig":"\(signature.bytes.lowercaseHex)"}]}
            """
        let aliased = try SignedEnvelope(parsing: Array(text.utf8))
        try aliased.verify(keys: [trusted, alias], threshold: 1)
        #expect(throws: ReleaseError.self) { try aliased.verify(keys: [trusted, alias], threshold: 2) }
    }

    @Test func aTrustedKeyThatCannotBeUsedIsAnError() throws {
        let envelope = try SignedEnvelope(signing: document, with: [.ed25519(try Ed25519PrivateKey())])
        let keys = [
            ReleaseKey(keytype: "ed25519", scheme: "ed25519", public: "AB"),
            ReleaseKey(keytype: "rsa", scheme: "rsassa-pss-sha256", public: ""),
            ReleaseKey(keytype: "ed25519", scheme: "ecdsa-sha2-nistp256", public: ""),
            ReleaseKey(keytype: "ecdsa", scheme: "ecdsa-sha2-nistp256", public: "no PEM"),
        ]
        for key in keys {
            #expect(throws: ReleaseError.self) { try envelope.verify(keys: [key], threshold: 1) }
        }
    }

    @Test func truncationAtEachByteIsRefused() throws {
        let key = SigningKey.ed25519(try Ed25519PrivateKey())
        let bytes = try SignedEnvelope(signing: document, with: [key]).encoded
        for count in bytes.indices {
            #expect(throws: ReleaseError.self) { try SignedEnvelope(parsing: Array(bytes.prefix(count))) }
        }
    }

    @Test func aChangeOfAnyByteIsRefusedOrChangesNothing() throws {
        let key = SigningKey.ed25519(try Ed25519PrivateKey())
        let envelope = try SignedEnvelope(signing: document, with: [key])
        let bytes = envelope.encoded
        let trusted = [try key.releaseKey()]
        for index in bytes.indices {
            for change: UInt8 in [1, 0x20, 0x80] {
                var changed = bytes
                changed[index] ^= change
                guard let read = try? SignedEnvelope(parsing: changed),
                    (try? read.verify(keys: trusted, threshold: 1)) != nil
                else { continue }
                #expect(read.signed == envelope.signed, "a change at byte \(index)")
            }
        }
    }

    @Test(arguments: [
        "[]", "{}", #"{"signed":{}}"#, #"{"signed":[],"signatures":[]}"#, #"{"signed":{},"signatures":{}}"#,
        #"{"signed":{},"signatures":[1]}"#, #"{"signed":{},"signatures":[{"keyid":"00","sig":"00"}]}"#,
        #"{"signed":{"a":1.5},"signatures":[]}"#, #"{"signed":{"a":1,"a":2},"signatures":[]}"#,
    ])
    func whatIsNoEnvelopeIsRefused(text: String) {
        #expect(throws: ReleaseError.self) { try SignedEnvelope(parsing: Array(text.utf8)) }
    }

    @Test func tooManySignaturesAndTooManyBytesAreRefused() throws {
        let entry = "{\"keyid\":\"\(String(repeating: "0", count: 64))\",\"sig\":\"00\"}"
        func text(_ count: Int) -> [UInt8] {
            let entries = Array(repeating: entry, count: count).joined(separator: ",")
            return Array("{\"signed\":{},\"signatures\":[\(entries)]}".utf8)
        }
        _ = try SignedEnvelope(parsing: text(64))
        #expect(throws: ReleaseError.self) { try SignedEnvelope(parsing: text(65)) }
        #expect(throws: ReleaseError.self) { try SignedEnvelope(parsing: text(1), limit: 20) }
    }

    @Test func aPlanIsReadOnlyFromTheAuthoritysHand() throws {
        let node = try #require(NodeID("01hzy3v7k2m4n6p8q0r2s4t6v8"))
        let plan = ProvisioningPlan(
            generation: 3, nodeID: node, registrationID: "r1", release: Digest256(hashing: Array("x".utf8)),
            releaseVersion: "1.0", disk: DiskRule(minimumSizeBytes: 8_000_000_000), layout: .standard,
            wipeState: false, handOver: .kexec, clockSeconds: 1_800_000_000)
        let key = SigningKey.p256(try P256PrivateKey())
        let bytes = try plan.signed(with: key)
        #expect(try ProvisioningPlan.verified(envelope: bytes, keys: [try key.releaseKey()]) == plan)
        let other = SigningKey.p256(try P256PrivateKey())
        #expect(throws: ReleaseError.self) {
            try ProvisioningPlan.verified(envelope: bytes, keys: [try other.releaseKey()])
        }
        let foreign = try SignedEnvelope(signing: document, with: [key]).encoded
        #expect(throws: ReleaseError.self) {
            try ProvisioningPlan.verified(envelope: foreign, keys: [try key.releaseKey()])
        }
    }
}
