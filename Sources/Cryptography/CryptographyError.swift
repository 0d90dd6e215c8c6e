internal import COpenSSL

/// Why something cryptographic was refused or failed.
public struct CryptographyError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What was attempted and what was wrong, as a sentence without secrets.
    public var description: String

    /// Makes an error from a sentence.
    public init(_ description: String) { self.description = description }

    /// Names the failed attempt and OpenSSL's newest reason, and empties its error queue, so that a later failure
    /// does not report this one's reason.
    static func openSSL(_ attempt: String) -> CryptographyError {
        var newest: UInt = 0
        while true {
            let code = ERR_get_error()
            if code == 0 { break }
            newest = code
        }
        guard newest != 0, let reason = ERR_reason_error_string(newest) else { return CryptographyError(attempt) }
        return CryptographyError("\(attempt): \(String(cString: reason))")
    }

    /// Empties OpenSSL's error queue after a failure that is an expected answer.
    static func forget() { ERR_clear_error() }
}

/// Upper bounds of what is parsed here, in bytes.
enum CryptographyLimit {
    /// A key, a certificate request or a certificate in PEM or DER.
    static let document = 64 << 10
}
