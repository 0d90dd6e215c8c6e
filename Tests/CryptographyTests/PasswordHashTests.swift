import Cryptography
import Testing

struct PasswordHashTests {
    @Test func passwordMatchesItsOwnHashAlone() throws {
        let kept = try PasswordHash.make(Array("correct horse battery".utf8))
        #expect(kept.hasPrefix("scrypt$15$8$1$"))
        #expect(try PasswordHash.matches(Array("correct horse battery".utf8), kept))
        #expect(try !PasswordHash.matches(Array("correct horse batterx".utf8), kept))
        #expect(try !PasswordHash.matches([], kept))
        #expect(try PasswordHash.make(Array("correct horse battery".utf8)) != kept, "the salt is another each time")
    }

    /// RFC 7914, section 12: scrypt("pleaseletmein", "SodiumChloride", 16384, 8, 1), the first 32 bytes, cannot be asked
    /// for with a salt of 14 bytes; the salt's length is bounded before its parameters are believed.
    @Test(arguments: [
        "", "scrypt", "scrypt$15$8$1$$", "bcrypt$15$8$1$00$00", "scrypt$63$8$1$",
        "scrypt$40$8$1$\(String(repeating: "00", count: 16))$\(String(repeating: "00", count: 32))",
        "scrypt$15$8$99999999$\(String(repeating: "00", count: 16))$\(String(repeating: "00", count: 32))",
        "scrypt$0$8$1$\(String(repeating: "00", count: 16))$\(String(repeating: "00", count: 32))",
        "scrypt$15$8$1$\(String(repeating: "0g", count: 16))$\(String(repeating: "00", count: 32))",
        "scrypt$-1$8$1$\(String(repeating: "00", count: 16))$\(String(repeating: "00", count: 32))",
    ])
    func whatIsNoHashIsNobodysPassword(_ kept: String) throws {
        #expect(try !PasswordHash.matches(Array("password".utf8), kept))
    }

    @Test func nobodysHashIsMatchedByNothing() throws {
        #expect(try !PasswordHash.matches([], PasswordHash.ofNobody))
        #expect(try !PasswordHash.matches(Array("password".utf8), PasswordHash.ofNobody))
    }
}
