/// What a registry asks for in `WWW-Authenticate` (RFC 9110, section 11.6.1; the distribution project's "Token
/// Authentication Specification").
public enum AuthenticationChallenge: Sendable, Equatable {
    /// A user name and password with every request.
    case basic
    /// A token, to be had from `realm`.
    case bearer(realm: String, service: String?, scope: String?)

    /// Picks the challenge that is understood best: a token before a password, nil where there is neither.
    ///
    /// Headers of more than 8,192 bytes are not looked at.
    public init?(header: String) {
        guard header.utf8.count <= 8192 else { return nil }
        var basic = false
        var parser = ChallengeParser(bytes: Array(header.utf8))
        for (scheme, parameters) in parser.challenges() {
            if scheme == "bearer", let realm = parameters["realm"], !realm.isEmpty {
                self = .bearer(realm: realm, service: parameters["service"], scope: parameters["scope"])
                return
            }
            if scheme == "basic" { basic = true }
        }
        guard basic else { return nil }
        self = .basic
    }

    /// The address at which a token for reading one repository is asked for; nil where the realm is no plain address.
    static func tokenAddress(realm: String, service: String?, scope: String) -> String? {
        guard realm.utf8.allSatisfy({ (0x21...0x7e).contains($0) && $0 != UInt8(ascii: "#") }) else { return nil }
        var query = "scope=" + escaped(scope)
        if let service { query = "service=" + escaped(service) + "&" + query }
        return realm + (realm.contains("?") ? "&" : "?") + query
    }

    /// Percent-encodes everything but unreserved characters (RFC 3986, section 2.3).
    static func escaped(_ text: String) -> String {
        var out = ""
        for byte in text.utf8 {
            switch byte {
            case 48...57, 65...90, 97...122, UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"):
                out.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let digits = String(byte, radix: 16, uppercase: true)
                out += "%" + (digits.utf8.count < 2 ? "0" : "") + digits
            }
        }
        return out
    }
}

/// Splits a list of challenges: `scheme name=value, name="value", scheme …`.
private struct ChallengeParser {
    let bytes: [UInt8]
    var position = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func challenges() -> [(scheme: String, parameters: [String: String])] {
        var found: [(scheme: String, parameters: [String: String])] = []
        while position < bytes.count, found.count < 16 {
            skip()
            guard let word = token() else {
                position += 1
                continue
            }
            skipSpaces()
            if peek == UInt8(ascii: "="), !found.isEmpty {
                position += 1
                skipSpaces()
                let value = peek == UInt8(ascii: "\"") ? quoted() : token()
                // A parameter twice would let two readers disagree; the first counts.
                let key = word.lowercased()
                if let value, found[found.count - 1].parameters[key] == nil {
                    found[found.count - 1].parameters[key] = value
                }
            } else {
                found.append((word.lowercased(), [:]))
            }
        }
        return found
    }

    private var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func skipSpaces() {
        while let byte = peek, byte == 0x20 || byte == 0x09 { position += 1 }
    }

    private mutating func skip() {
        while let byte = peek, byte == 0x20 || byte == 0x09 || byte == UInt8(ascii: ",") { position += 1 }
    }

    private mutating func token() -> String? {
        let start = position
        let marks = Array("!#$%&'*+-.^_`|~/:@?".utf8)
        while let byte = peek,
            (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte) || marks.contains(byte)
        { position += 1 }
        return position > start ? String(decoding: bytes[start..<position], as: UTF8.self) : nil
    }

    private mutating func quoted() -> String? {
        position += 1
        var value: [UInt8] = []
        while let byte = peek {
            position += 1
            if byte == UInt8(ascii: "\"") { return String(decoding: value, as: UTF8.self) }
            if byte == UInt8(ascii: "\\"), let next = peek {
                position += 1
                value.append(next)
            } else {
                value.append(byte)
            }
        }
        return nil
    }
}
