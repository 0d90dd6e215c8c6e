public import Contract

/// Which image is meant: `[registry/]repository[:tag][@sha256:digest]`
/// (OCI distribution specification, "Pulling manifests"; the grammar is that of the `reference` package of the
/// distribution project).
///
/// A reference without a registry is on Docker Hub, and one with a single name there is in `library/`, as with every
/// other tool.
public struct ImageReference: Hashable, Sendable, CustomStringConvertible {
    /// The registry's name with its port, such as `registry.example:5000`.
    public let registry: String
    /// The repository, such as `team/app`.
    public let repository: String
    /// The tag; nil where only a digest was given.
    public let tag: String?
    /// The digest of the manifest or index; nil where only a tag was given.
    public let digest: Digest256?

    /// Where references without a registry are.
    public static let hub = "docker.io"

    /// Parses a reference of at most 512 characters. Without a tag and a digest the tag is `latest`.
    public init(parsing text: String) throws(ImageError) {
        guard text.utf8.count <= 512 else { throw .reference("it has more than 512 characters") }
        guard text.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) else {
            throw .reference("it has a space or a character that is not ASCII")
        }
        var rest = Substring(text)
        digest = try Self.takeDigest(&rest)
        let tag = try Self.takeTag(&rest)
        self.tag = tag ?? (digest == nil ? "latest" : nil)
        (registry, repository) = try Self.splitName(rest)
    }

    private init(registry: String, repository: String, tag: String?, digest: Digest256?) {
        self.registry = registry
        self.repository = repository
        self.tag = tag
        self.digest = digest
    }

    /// The same with a digest: what is kept once a tag was resolved.
    public func pinned(to digest: Digest256) -> ImageReference {
        ImageReference(registry: registry, repository: repository, tag: tag, digest: digest)
    }

    /// The canonical text, which parses to an equal reference.
    public var description: String {
        "\(registry)/\(repository)" + (tag.map { ":\($0)" } ?? "") + (digest.map { "@sha256:\($0)" } ?? "")
    }

    // MARK: - The grammar

    private static func takeDigest(_ rest: inout Substring) throws(ImageError) -> Digest256? {
        guard let at = rest.firstIndex(of: "@") else { return nil }
        let text = rest[rest.index(after: at)...]
        rest = rest[..<at]
        return try parseDigest(text)
    }

    /// Parses `sha256:` and 64 lower-case digits, the one algorithm that is accepted.
    static func parseDigest(_ text: some StringProtocol) throws(ImageError) -> Digest256 {
        guard text.hasPrefix("sha256:") else { throw .reference("a digest starts with 'sha256:'") }
        guard let digest = Digest256(hex: text.dropFirst(7)) else {
            throw .reference("a digest has 64 lower-case hexadecimal digits after 'sha256:'")
        }
        return digest
    }

    private static func takeTag(_ rest: inout Substring) throws(ImageError) -> String? {
        // A colon before the last slash is a port's.
        let name = rest.lastIndex(of: "/").map { rest.index(after: $0) } ?? rest.startIndex
        guard let colon = rest[name...].firstIndex(of: ":") else { return nil }
        let tag = rest[rest.index(after: colon)...]
        rest = rest[..<colon]
        let isWord: (UInt8) -> Bool = { isLowerOrDigit($0) || isUpper($0) || $0 == UInt8(ascii: "_") }
        guard let first = tag.utf8.first, isWord(first), tag.utf8.count <= 128,
            tag.utf8.allSatisfy({ isWord($0) || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "-") })
        else {
            throw .reference(
                "a tag has 1 to 128 letters, digits, '_', '.' and '-', and starts with neither of the last")
        }
        return String(tag)
    }

    private static func splitName(_ name: Substring) throws(ImageError) -> (registry: String, repository: String) {
        var parts = name.split(separator: "/", omittingEmptySubsequences: false)
        var registry = hub
        if parts.count > 1, let first = parts.first, isRegistry(first) {
            registry = try checkedRegistry(first)
            parts.removeFirst()
        } else if parts.count == 1 {
            parts.insert("library", at: 0)
        }
        let repository = parts.joined(separator: "/")
        guard repository.utf8.count <= 255 else { throw .reference("the repository has more than 255 characters") }
        for part in parts {
            guard isPathComponent(part) else {
                throw .reference(
                    "'\(part)' is not a part of a repository's name: lower-case letters and digits, "
                        + "parted by '.', '_', '__' or '-'")
            }
        }
        return (registry, repository)
    }

    /// Whether the first part names a registry and not a repository: it has a dot or a port, or is localhost.
    private static func isRegistry(_ part: Substring) -> Bool {
        part == "localhost" || part.utf8.contains { $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: ":") }
    }

    static func checkedRegistry(_ text: Substring) throws(ImageError) -> String {
        let problem = ImageError.reference("'\(text)' is not the name of a registry, as in 'registry.example:5000'")
        var host = text
        if let bracket = text.lastIndex(of: "]") {
            let after = text[text.index(after: bracket)...]
            guard text.first == "[", after.isEmpty || isPort(after) else { throw problem }
            let inside = text[text.index(after: text.startIndex)..<bracket]
            let isAddress = inside.utf8.allSatisfy { isHexDigit($0) || $0 == UInt8(ascii: ":") }
            guard inside.utf8.count >= 2, inside.utf8.count <= 39, inside.contains(":"), isAddress else {
                throw problem
            }
            return text.lowercased()
        }
        if let colon = text.firstIndex(of: ":") {
            guard isPort(text[colon...]) else { throw problem }
            host = text[..<colon]
        }
        guard !host.isEmpty, host.utf8.count <= 253 else { throw problem }
        for label in host.split(separator: ".", omittingEmptySubsequences: false) {
            let isPlain = label.utf8.allSatisfy { isLowerOrDigit($0) || isUpper($0) || $0 == UInt8(ascii: "-") }
            guard !label.isEmpty, label.utf8.count <= 63, isPlain, label.first != "-", label.last != "-" else {
                throw problem
            }
        }
        return text.lowercased()
    }

    private static func isPort(_ text: Substring) -> Bool {
        guard text.first == ":", text.utf8.count <= 6, text.dropFirst().utf8.allSatisfy({ (48...57).contains($0) })
        else {
            return false
        }
        return UInt16(text.dropFirst()).map { $0 > 0 } ?? false
    }

    /// `[a-z0-9]+` parts with `.`, `_`, `__` or any number of `-` between them.
    private static func isPathComponent(_ text: Substring) -> Bool {
        guard let first = text.utf8.first, let last = text.utf8.last, isLowerOrDigit(first), isLowerOrDigit(last) else {
            return false
        }
        var separator: [UInt8] = []
        for byte in text.utf8 {
            if isLowerOrDigit(byte) {
                let run = String(decoding: separator, as: UTF8.self)
                guard ["", ".", "_", "__"].contains(run) || run.utf8.allSatisfy({ $0 == UInt8(ascii: "-") }) else {
                    return false
                }
                separator = []
            } else if [UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-")].contains(byte) {
                separator.append(byte)
            } else {
                return false
            }
        }
        return true
    }

    private static func isLowerOrDigit(_ byte: UInt8) -> Bool { (97...122).contains(byte) || (48...57).contains(byte) }
    private static func isUpper(_ byte: UInt8) -> Bool { (65...90).contains(byte) }
    private static func isHexDigit(_ byte: UInt8) -> Bool {
        (48...57).contains(byte) || (97...102).contains(byte) || (65...70).contains(byte)
    }
}
