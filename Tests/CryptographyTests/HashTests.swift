import Cryptography
import Testing

@Suite struct HashTests {
    static let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    static let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

    static func hex(_ bytes: some Sequence<UInt8>) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    @Test func digestsMatchThePublishedVectors() {
        #expect(Self.hex(SHA256.digest(Array("abc".utf8))) == Self.abc)
        #expect(Self.hex(SHA256.digest([UInt8]())) == Self.empty)
        #expect(Self.hex(SHA256.digest("abc".utf8)) == Self.abc)
    }

    @Test func piecesGiveTheDigestOfTheWhole() {
        var hasher = SHA256Hasher()
        for byte in "abc".utf8 { hasher.update([byte]) }
        hasher.update([UInt8]())
        #expect(Self.hex(hasher.finish()) == Self.abc)
        #expect(Self.hex(hasher.finish()) == Self.empty, "finishing starts anew")
    }

    @Test(arguments: [0, 1, 32, 256]) func saltComesBeforeTheBlock(saltBytes: Int) {
        let salt = (0..<saltBytes).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        var hasher = SaltedBlockHasher(salt: salt)
        for seed in 0..<4 {
            let block = (0..<4096).map { UInt8(truncatingIfNeeded: $0 &* (seed + 3)) }
            #expect(hasher.hash(block) == SHA256.digest(salt + block))
        }
    }

    @Test func secretsAreComparedWhole() {
        #expect(constantTimeEqual([1, 2, 3], [1, 2, 3]))
        #expect(!constantTimeEqual([1, 2, 3], [1, 2, 4]))
        #expect(!constantTimeEqual([1, 2, 3], [1, 2]))
        #expect(constantTimeEqual([UInt8](), [UInt8]()))
    }

    @Test func randomBytesAreBoundedAndNotRepeated() throws {
        let first = try randomBytes(32)
        #expect(first.count == 32)
        #expect(try randomBytes(32) != first)
        #expect(try randomBytes(0).isEmpty)
        #expect(throws: CryptographyError.self) { try randomBytes(-1) }
        #expect(throws: CryptographyError.self) { try randomBytes(1 << 21) }
    }
}
