public import Contract

/// Why a transfer failed.
public enum FetchError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The request or the client's settings are wrong; trying again cannot help.
    case invalid(String)
    /// The name does not resolve, or nothing answers there.
    case unreachable(String)
    /// The server's certificate is not to be trusted.
    case untrusted(TrustFailure, String)
    /// TLS could not be agreed on, for a reason other than the server's certificate.
    case handshake(String)
    /// The server answered with a status other than 2xx, and its own words where it gave them.
    case status(Int, APIError?)
    /// It took longer than allowed.
    case timeout(String)
    /// The connection broke off.
    case interrupted(String)
    /// The body is larger than the limit, in bytes.
    case tooLarge(limitBytes: UInt64)
    /// The server did not answer a request for a range with that range: it serves none, or its file is too short.
    case rangeNotServed(String)
    /// Cancelled from this side.
    case aborted

    /// Whether the same request may succeed later without anybody doing something about it.
    public var isTransient: Bool {
        switch self {
        case .unreachable, .timeout, .interrupted, .handshake: true
        case .status(let code, _): code == 408 || code == 429 || (500...599).contains(code)
        case .invalid, .untrusted, .tooLarge, .rangeNotServed, .aborted: false
        }
    }

    /// What failed and what to do, as a sentence.
    public var description: String {
        switch self {
        case .invalid(let detail): "the request is not valid: \(detail)"
        case .unreachable(let detail):
            "the server cannot be reached: \(detail); check its address, the network and any firewall"
        case .untrusted(let failure, let detail): "the server is not trusted: \(failure) (\(detail))"
        case .handshake(let detail): "no TLS connection: \(detail)"
        case .status(let code, let error?): "the server refused (\(code) \(error.code)): \(error.message)"
        case .status(let code, nil): "the server answered with HTTP status \(code)"
        case .timeout(let detail): "timed out: \(detail)"
        case .interrupted(let detail): "the connection broke off: \(detail)"
        case .tooLarge(let limit): "the reply is larger than the \(limit) bytes that are accepted"
        case .rangeNotServed(let detail): "the server does not have the bytes that it was asked for: \(detail)"
        case .aborted: "cancelled"
        }
    }
}

/// What is wrong with a server's certificate.
public enum TrustFailure: Sendable, Equatable, CustomStringConvertible {
    /// No certificate authority that is believed here has signed it.
    case wrongAuthority
    /// It has expired.
    case expired
    /// It is not valid yet: most often this machine's clock is behind.
    case notYetValid
    /// It is for another name.
    case wrongName
    /// Something else.
    case other

    /// What is wrong and what to check, as part of a sentence.
    public var description: String {
        switch self {
        case .wrongAuthority:
            "its certificate is not signed by the CA that this machine was given; check the address, "
                + "or make the boot medium anew with this server's CA"
        case .expired: "its certificate has expired; renew it, or check this machine's clock"
        case .notYetValid: "its certificate is not valid yet; check this machine's clock"
        case .wrongName: "its certificate is for another name; use a name or address that the certificate lists"
        case .other: "its certificate is refused"
        }
    }
}
