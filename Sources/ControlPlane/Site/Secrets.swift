import Contract
import Cryptography

/// Secrets and identifiers that nobody can guess.
enum Secrets {
    /// Text of Crockford base 32 in lower case with 5 bits a character.
    static func word(characters: Int) throws -> String {
        let alphabet = Array("0123456789abcdefghjkmnpqrstvwxyz".utf8)
        return String(decoding: try randomBytes(characters).map { alphabet[Int($0 & 31)] }, as: UTF8.self)
    }

    /// A node id: ten characters of time in milliseconds and sixteen of chance, so that ids sort by age.
    static func nodeID(nowSeconds: Int64) throws -> NodeID {
        let alphabet = Array("0123456789abcdefghjkmnpqrstvwxyz".utf8)
        var milliseconds = UInt64(max(0, nowSeconds)) * 1000
        var time: [UInt8] = []
        for _ in 0..<10 {
            time.append(alphabet[Int(milliseconds & 31)])
            milliseconds >>= 5
        }
        let text = String(decoding: time.reversed(), as: UTF8.self) + (try word(characters: 16))
        guard let id = NodeID(text) else { throw ServerProblem("cannot make a node id") }
        return id
    }

    /// SHA-256 of a secret, which is all that is kept of it.
    static func hash(_ secret: String) throws -> Digest256 { try digest(SHA256.digest(Array(secret.utf8))) }

    /// Takes the 32 bytes of a hash.
    static func digest(_ bytes: [UInt8]) throws -> Digest256 {
        guard let digest = Digest256(bytes: bytes) else { throw ServerProblem("a digest has 32 bytes") }
        return digest
    }

    /// Compares a secret in a time that tells nothing about where the two differ.
    static func equal(_ left: String, _ right: String) -> Bool {
        // Hashing first makes the lengths equal as well.
        constantTimeEqual(SHA256.digest(Array(left.utf8)), SHA256.digest(Array(right.utf8)))
    }
}
