import Cryptography
import Foundation
import TestSupport
import Testing

@Suite struct KeyTests {
    /// RFC 8032, section 7.1, test 2: the secret key wrapped as RFC 8410 has it.
    @Test func ed25519MatchesThePublishedVector() throws {
        let seed = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"
        let der = try bytes("302e020100300506032b657004220420" + seed)
        let pem = "-----BEGIN PRIVATE KEY-----\n\(Data(der).base64EncodedString())\n-----END PRIVATE KEY-----\n"
        let key = try Ed25519PrivateKey(pem: pem)
        let expected = try bytes("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
        #expect(key.publicKey.ed25519Bytes == expected)
        let signature = try bytes(
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
                + "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00")
        #expect(try key.sign([0x72]) == signature)
        #expect(try PublicKey(ed25519: expected).isValid(signature: signature, of: [0x72]))
    }

    @Test func aChangedBitAnywhereIsRefused() throws {
        let message = Array("a release".utf8)
        let ed25519 = try Ed25519PrivateKey()
        let p256 = try P256PrivateKey()
        let signed = [
            (ed25519.publicKey, try ed25519.sign(message)), (p256.publicKey, try p256.sign(message)),
        ]
        for (key, signature) in signed {
            #expect(key.isValid(signature: signature, of: message))
            #expect(!key.isValid(signature: signature, of: message + [0]))
            #expect(!key.isValid(signature: [], of: message))
            for index in signature.indices {
                var changed = signature
                changed[index] ^= 1
                #expect(!key.isValid(signature: changed, of: message))
                #expect(!key.isValid(signature: Array(signature.prefix(index)), of: message))
            }
        }
        #expect(!ed25519.publicKey.isValid(signature: try p256.sign(message), of: message))
    }

    @Test func keysSurviveTheirTextForms() throws {
        let ed25519 = try Ed25519PrivateKey()
        #expect(try Ed25519PrivateKey(pem: try ed25519.pem()).publicKey == ed25519.publicKey)
        #expect(try PublicKey(pem: try ed25519.publicKey.pem()) == ed25519.publicKey)
        let p256 = try P256PrivateKey()
        #expect(try P256PrivateKey(pem: try p256.pem()).publicKey == p256.publicKey)
        let information = p256.publicKey.subjectPublicKeyInfo
        #expect(try PublicKey(subjectPublicKeyInfo: information) == p256.publicKey)
        #expect(p256.publicKey.spkiDigest == SHA256.digest(information))
        #expect(throws: CryptographyError.self) { try PublicKey(subjectPublicKeyInfo: information + [0]) }
        for count in information.indices {
            #expect(throws: CryptographyError.self) {
                try PublicKey(subjectPublicKeyInfo: Array(information.prefix(count)))
            }
        }
    }

    @Test func openSSLAgreesOnSignaturesInBothDirections() throws {
        let tool = try OpenSSLTool()
        let key = try P256PrivateKey()
        try tool.write("key.pem", try key.pem())
        try tool.write("pub.pem", try key.publicKey.pem())
        try tool.write("message", "a plan")
        try tool.write("ours", try key.sign(Array("a plan".utf8)))
        #expect(tool.run("dgst", "-sha256", "-verify", "pub.pem", "-signature", "ours", "message").succeeded)
        #expect(tool.run("dgst", "-sha256", "-sign", "key.pem", "-out", "theirs", "message").succeeded)
        #expect(key.publicKey.isValid(signature: try tool.read("theirs"), of: Array("a plan".utf8)))
    }

    @Test func keysOfAnotherKindAreRefused() throws {
        let tool = try OpenSSLTool()
        #expect(tool.run("ecparam", "-name", "secp384r1", "-genkey", "-noout", "-out", "p384.pem").succeeded)
        #expect(throws: CryptographyError.self) { try P256PrivateKey(pem: try tool.text("p384.pem")) }
        #expect(throws: CryptographyError.self) { try Ed25519PrivateKey(pem: try tool.text("p384.pem")) }
        #expect(tool.run("ec", "-in", "p384.pem", "-pubout", "-out", "p384.pub").succeeded)
        #expect(try PublicKey(pem: try tool.text("p384.pub")).kind == .other)
        #expect(tool.run("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "sec1.pem").succeeded)
        #expect(try P256PrivateKey(pem: try tool.text("sec1.pem")).publicKey.kind == .p256)
    }

    @Test func anEncryptedKeyIsRefusedWithoutAskingForItsPassPhrase() throws {
        let tool = try OpenSSLTool()
        let made = tool.run(
            "genpkey", "-algorithm", "ed25519", "-aes256", "-pass", "pass:secret", "-out", "locked.pem")
        #expect(made.succeeded)
        #expect(throws: CryptographyError.self) { try Ed25519PrivateKey(pem: try tool.text("locked.pem")) }
    }

    @Test func whatIsNoKeyIsRefused() throws {
        let text = String(repeating: "x", count: 70_000)
        #expect(throws: CryptographyError.self) { try PublicKey(pem: text) }
        #expect(throws: CryptographyError.self) { try PublicKey(pem: "") }
        #expect(throws: CryptographyError.self) { try P256PrivateKey(pem: "-----BEGIN PRIVATE KEY-----\n") }
        #expect(throws: CryptographyError.self) { try PublicKey(ed25519: [1, 2, 3]) }
    }

    private func bytes(_ hex: String) throws -> [UInt8] {
        let digits = Array(hex.utf8)
        return try stride(from: 0, to: digits.count, by: 2).map { index in
            try #require(UInt8(String(decoding: digits[index...index + 1], as: UTF8.self), radix: 16))
        }
    }
}
