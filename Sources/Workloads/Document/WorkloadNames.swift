public import Contract

/// A workload's name: a DNS label (RFC 1123, section 2.1) in lower case, so that a link to it resolves as it is.
public struct WorkloadName: Hashable, Sendable, Codable, Comparable, CustomStringConvertible {
    /// The text form.
    public let rawValue: String

    /// What is allowed, for messages.
    public static let allowed = "1 to 63 of a-z, 0-9 and '-', beginning and ending with a letter or digit"

    /// Takes 1 to 63 of `a-z0-9-` that neither begin nor end with `-`, or nil.
    public init?(_ text: String) {
        guard (1...63).contains(text.utf8.count), !text.hasPrefix("-"), !text.hasSuffix("-"),
            text.utf8.allSatisfy({ (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D })
        else { return nil }
        rawValue = text
    }

    /// The text form.
    public var description: String { rawValue }

    /// By text.
    public static func < (first: WorkloadName, second: WorkloadName) -> Bool { first.rawValue < second.rawValue }

    /// Decodes the text form, and refuses anything else.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let name = WorkloadName(try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "a workload's name is \(WorkloadName.allowed)")
        }
        self = name
    }

    /// Encodes the text form.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(rawValue)
    }
}

/// An image by registry, repository and digest, such as `registry.example/team/app@sha256:…`.
///
/// A tag may stand before the digest, for people; the digest alone decides. Grammar: OCI distribution specification
/// 1.1, "Pulling manifests".
public struct WorkloadImage: Hashable, Sendable, CustomStringConvertible {
    /// The registry's host, with its port where it has one.
    public let registry: String
    /// The repository's path.
    public let repository: String
    /// The tag that it was resolved from, or is to be resolved from.
    public let tag: String?
    /// The manifest's digest; nil only before the server has resolved the tag.
    public let digest: Digest256?
    /// Whether it is a file at an `https` address, a container's archive, a machine's disk or a function's zip, named by
    /// the digest of its bytes:
    /// `registry` is the host then, and `repository` the path.
    public let isAddress: Bool

    static let allowed =
        "an image with its registry, such as registry.example/team/app@sha256: and 64 lower-case hexadecimal digits"

    /// Makes a reference from parts that were checked before.
    init(registry: String, repository: String, tag: String?, digest: Digest256?, isAddress: Bool = false) {
        self.isAddress = isAddress
        self.registry = registry
        self.repository = repository
        self.tag = tag
        self.digest = digest
    }

    /// Reads `registry/repository[:tag][@sha256:digest]` with at least one of tag and digest, or
    /// `https://host/path@sha256:digest`; nil otherwise.
    public init?(_ text: String) {
        guard text.utf8.count <= 512 else { return nil }
        if text.hasPrefix("https://") {
            guard let found = Self.address(text.dropFirst(8)) else { return nil }
            self = found
            return
        }
        isAddress = false
        let parts = text.split(separator: "@", omittingEmptySubsequences: false)
        guard parts.count <= 2, let slash = parts[0].firstIndex(of: "/") else { return nil }
        let host = String(parts[0][..<slash])
        var path = parts[0][parts[0].index(after: slash)...]
        tag = path.firstIndex(of: ":").map { String(path[path.index(after: $0)...]) }
        if let colon = path.firstIndex(of: ":") { path = path[..<colon] }
        guard Self.isHost(host), Self.isRepository(path), tag.map(Self.isTag) ?? true else { return nil }
        if parts.count == 2 {
            guard parts[1].hasPrefix("sha256:"), let value = Digest256(hex: parts[1].dropFirst(7)) else { return nil }
            digest = value
        } else {
            guard tag != nil else { return nil }
            digest = nil
        }
        registry = host
        repository = String(path)
    }

    /// The same image with the digest that its tag was resolved to.
    public func resolved(to digest: Digest256) -> WorkloadImage {
        WorkloadImage(registry: registry, repository: repository, tag: tag, digest: digest)
    }

    /// `host/path@sha256:digest`, without what a document's other readers could take for more than a path.
    private static func address(_ text: Substring) -> WorkloadImage? {
        let parts = text.split(separator: "@", omittingEmptySubsequences: false)
        guard parts.count == 2, parts[1].hasPrefix("sha256:"), let digest = Digest256(hex: parts[1].dropFirst(7)),
            let slash = parts[0].firstIndex(of: "/")
        else { return nil }
        let host = String(parts[0][..<slash])
        let path = parts[0][parts[0].index(after: slash)...]
        guard isHost(host), !path.isEmpty,
            path.utf8.allSatisfy({ (0x21...0x7E).contains($0) && !"\"#<>\\^`{|}".utf8.contains($0) })
        else { return nil }
        return WorkloadImage(
            registry: host, repository: String(path), tag: nil, digest: digest, isAddress: true)
    }

    /// The text form without its tag: what is fetched.
    public var untagged: String {
        (isAddress ? "https://" : "") + "\(registry)/\(repository)" + (digest.map { "@sha256:\($0)" } ?? "")
    }

    /// The text form.
    public var description: String {
        guard !isAddress else { return untagged }
        return "\(registry)/\(repository)" + (tag.map { ":\($0)" } ?? "") + (digest.map { "@sha256:\($0)" } ?? "")
    }

    private static func isHost(_ text: String) -> Bool {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count <= 2, text.contains(".") || text.contains(":") || text == "localhost" else { return false }
        if parts.count == 2 {
            guard let port = UInt16(parts[1]), port > 0, !parts[1].hasPrefix("0") else { return false }
        }
        return HostName(String(parts[0]), allowsWildcard: false) != nil
    }

    private static func isRepository(_ text: Substring) -> Bool {
        text.split(separator: "/", omittingEmptySubsequences: false).allSatisfy { part in
            guard let first = part.utf8.first, let last = part.utf8.last else { return false }
            func isWord(_ byte: UInt8) -> Bool { (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte) }
            return isWord(first) && isWord(last)
                && part.utf8.allSatisfy { isWord($0) || $0 == 0x2D || $0 == 0x2E || $0 == 0x5F }
                && !part.contains("..")
        }
    }

    private static func isTag(_ text: String) -> Bool {
        (1...128).contains(text.utf8.count) && !text.hasPrefix(".") && !text.hasPrefix("-")
            && text.utf8.allSatisfy {
                (0x61...0x7A).contains($0) || (0x41...0x5A).contains($0) || (0x30...0x39).contains($0)
                    || [0x2D, 0x2E, 0x5F].contains($0)
            }
    }
}

/// A host's name in lower case, perhaps with `*` as its first label.
public struct HostName: Hashable, Sendable, CustomStringConvertible {
    /// The labels without a final dot, such as `api.example.com` or `*.example.com`.
    public let rawValue: String

    /// Reads a name (RFC 1123, section 2.1; at most 253 bytes); nil for anything else, addresses included.
    public init?(_ text: String, allowsWildcard: Bool) {
        guard (1...253).contains(text.utf8.count), NetworkAddress(text) == nil else { return nil }
        let labels = text.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        for (index, label) in labels.enumerated() {
            if index == 0, allowsWildcard, label == "*", labels.count >= 3 { continue }
            guard WorkloadName(label) != nil else { return nil }
        }
        guard let last = labels.last, !last.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        rawValue = text
    }

    /// The text form.
    public var description: String { rawValue }

    /// Whether a queried name, in any case and with or without a final dot, is this one or falls under its wildcard.
    ///
    /// `*.example.com` covers every name below `example.com`, however deep, and not `example.com` itself.
    public func matches(_ query: String) -> Bool {
        var name = query.lowercased()
        if name.hasSuffix(".") { name.removeLast() }
        guard rawValue.hasPrefix("*.") else { return name == rawValue }
        let suffix = rawValue.dropFirst()
        return name.utf8.count > suffix.utf8.count && name.hasSuffix(suffix)
    }
}
