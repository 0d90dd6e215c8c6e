internal import COpenSSL

/// Passwords as they are kept: scrypt (RFC 7914) through OpenSSL, with the parameters beside the salt, so that they can
/// rise later without making old ones useless.
///
/// The text form is `scrypt$LOG2N$R$P$SALT$HASH`, salt and hash of 16 and 32 bytes in hexadecimal.
public enum PasswordHash {
    /// What scrypt costs: 32 MiB of memory and some 0.1 s of one processor for each password.
    private static let parameters = Parameters(log2N: 15, r: 8, p: 1)
    /// The most that a kept text may ask for, in bytes of memory.
    private static let memoryLimit: UInt64 = 256 << 20

    private struct Parameters: Equatable {
        var log2N: UInt64
        var r: UInt64
        var p: UInt64

        /// 128 · N · r bytes, and as much again for what surrounds them (RFC 7914, section 2).
        var isBounded: Bool {
            (1...24).contains(log2N) && (1...32).contains(r) && (1...16).contains(p)
                && 128 * (1 << log2N) * r * p <= memoryLimit
        }
    }

    /// Hashes a password with a new salt. It blocks its thread for the time that scrypt takes.
    public static func make(_ password: [UInt8]) throws(CryptographyError) -> String {
        let salt = try randomBytes(16)
        let hash = try derive(password, salt, parameters)
        return "scrypt$\(parameters.log2N)$\(parameters.r)$\(parameters.p)$\(hex(salt))$\(hex(hash))"
    }

    /// Whether a password is the one that `kept` was made of. It takes as long as `make`, whatever the answer.
    ///
    /// A text that is none of `make`'s is nobody's password.
    public static func matches(_ password: [UInt8], _ kept: String) throws(CryptographyError) -> Bool {
        let parts = kept.split(separator: "$", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 6, parts[0] == "scrypt", let log2N = UInt64(parts[1]), let r = UInt64(parts[2]),
            let p = UInt64(parts[3]), let salt = bytes(parts[4]), let hash = bytes(parts[5]), salt.count == 16,
            hash.count == 32
        else { return false }
        let parameters = Parameters(log2N: log2N, r: r, p: p)
        guard parameters.isBounded else { return false }
        return constantTimeEqual(try derive(password, salt, parameters), hash)
    }

    /// A text that no password matches, for accounts that there are not: to look costs as long as for one that there is.
    public static let ofNobody =
        "scrypt$15$8$1$\(String(repeating: "00", count: 16))$\(String(repeating: "00", count: 32))"

    private static func derive(
        _ password: [UInt8], _ salt: [UInt8], _ parameters: Parameters
    ) throws(CryptographyError) -> [UInt8] {
        var key = [UInt8](repeating: 0, count: 32)
        let made = password.withUnsafeBytes { password in
            EVP_PBE_scrypt(
                password.baseAddress?.assumingMemoryBound(to: CChar.self), password.count, salt, salt.count,
                1 << parameters.log2N, parameters.r, parameters.p, 2 * memoryLimit, &key, key.count)
        }
        guard made == 1 else { throw .openSSL("cannot hash a password") }
        return key
    }

    private static func hex(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    private static func bytes(_ text: String) -> [UInt8]? {
        let digits = Array(text.utf8)
        guard digits.count.isMultiple(of: 2) else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let high = Character(Unicode.Scalar(digits[index])).hexDigitValue,
                let low = Character(Unicode.Scalar(digits[index + 1])).hexDigitValue
            else { return nil }
            bytes.append(UInt8(high << 4 | low))
        }
        return bytes
    }
}
