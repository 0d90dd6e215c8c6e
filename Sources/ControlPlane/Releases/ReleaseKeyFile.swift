import Contract
import Cryptography
import Release

/// A public key that signs releases, in a file: TUF's JSON form, or PEM.
enum ReleaseKeyFile {
    static func key(in bytes: [UInt8]) throws -> ReleaseKey {
        let text = String(decoding: bytes, as: UTF8.self)
        if text.contains("BEGIN PUBLIC KEY") {
            do {
                return try ReleaseKey(ed25519: try PublicKey(pem: text))
            } catch {
                throw ServerProblem("\(error)")
            }
        }
        guard !text.contains("PRIVATE KEY") else {
            throw ServerProblem("this is a private key; the server needs only the public one")
        }
        do {
            return try Wire.decode(ReleaseKey.self, from: bytes, limit: 64 << 10)
        } catch {
            throw ServerProblem("\(error)")
        }
    }
}
