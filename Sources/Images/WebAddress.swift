/// The parts of an `http` or `https` address that decide who gets to see what (RFC 3986, section 3).
struct WebAddress: Equatable {
    let isSecure: Bool
    /// The host in lower case, an IPv6 address in brackets.
    let host: String
    let port: Int
    /// The path with its slash, and the query.
    let rest: String

    /// Parses an absolute address; nil for other schemes, for user names in it and for what is no address.
    init?(_ text: String) {
        guard text.utf8.allSatisfy({ (0x21...0x7e).contains($0) }), text.utf8.count <= 8192 else { return nil }
        let lower = text.lowercased()
        isSecure = lower.hasPrefix("https://")
        guard isSecure || lower.hasPrefix("http://") else { return nil }
        let after = text.dropFirst(isSecure ? 8 : 7)
        let end = after.firstIndex { "/?#\\".contains($0) } ?? after.endIndex
        // `https://registry.example@evil.example/` goes to the second.
        guard !after[..<end].contains("@"), let name = try? ImageReference.checkedRegistry(after[..<end]) else {
            return nil
        }
        let tail = after[end...].prefix { $0 != "#" }
        guard !tail.hasPrefix("\\") else { return nil }
        rest = (tail.first == "/" ? "" : "/") + tail
        if let colon = name.lastIndex(of: ":"), !name.hasSuffix("]"), let port = Int(name[name.index(after: colon)...])
        {
            host = String(name[..<colon])
            self.port = port
        } else {
            host = name
            port = isSecure ? 443 : 80
        }
    }

    /// Whether both go to the same server over the same protocol.
    func isSameOrigin(as other: WebAddress) -> Bool {
        (isSecure, host, port) == (other.isSecure, other.host, other.port)
    }

    private var origin: String { "\(isSecure ? "https" : "http")://\(host):\(port)" }

    var text: String { origin + rest }

    /// Where a `Location` leads from here; nil where it is no address, or gives up TLS.
    func following(_ location: String) -> WebAddress? {
        let target: WebAddress?
        if location.hasPrefix("//") {
            target = WebAddress((isSecure ? "https:" : "http:") + location)
        } else if location.hasPrefix("/") {
            target = WebAddress(origin + location)
        } else {
            target = WebAddress(location)
        }
        guard let target, target.isSecure || !isSecure else { return nil }
        return target
    }
}
