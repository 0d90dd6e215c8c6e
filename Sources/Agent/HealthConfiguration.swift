import Contract

/// The operator's own checks in a file `health.json`, beside the executables of a `health.d` directory.
public struct HealthConfiguration: Sendable, Codable, Equatable {
    /// The version of this format.
    public var format: Int
    /// Addresses that must answer with a status of 200 to 299.
    public var http: [HTTPCheck]
    /// Ports that must accept a connection.
    public var tcp: [TCPCheck]
    /// systemd units whose failure says nothing about the system's health.
    public var ignoredUnits: [String]

    /// At most so many checks of each kind.
    static let limit = 64

    /// Makes a configuration from its parts.
    public init(http: [HTTPCheck] = [], tcp: [TCPCheck] = [], ignoredUnits: [String] = []) {
        format = wireFormat
        self.http = http
        self.tcp = tcp
        self.ignoredUnits = ignoredUnits
    }

    /// Reads a configuration; refuses another format, too many checks and impossible ones.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        format = try container.decode(Int.self, forKey: .format)
        http = try container.decodeIfPresent([HTTPCheck].self, forKey: .http) ?? []
        tcp = try container.decodeIfPresent([TCPCheck].self, forKey: .tcp) ?? []
        ignoredUnits = try container.decodeIfPresent([String].self, forKey: .ignoredUnits) ?? []
        guard (wireFormat - 1...wireFormat + 1).contains(format) else {
            throw DecodingError.dataCorruptedError(
                forKey: .format, in: container, debugDescription: "this agent reads format \(wireFormat)")
        }
        guard max(http.count, tcp.count, ignoredUnits.count) <= Self.limit else {
            throw DecodingError.dataCorruptedError(
                forKey: .http, in: container, debugDescription: "at most \(Self.limit) checks of each kind")
        }
        func refuse(_ sentence: String?, _ key: CodingKeys) throws {
            guard let sentence else { return }
            throw DecodingError.dataCorruptedError(forKey: key, in: container, debugDescription: sentence)
        }
        for check in tcp { try refuse(check.problem, .tcp) }
        for check in http { try refuse(check.problem, .http) }
        for unit in ignoredUnits where !(1...255).contains(unit.utf8.count) {
            try refuse("a unit's name has 1 to 255 bytes (systemd.unit(5))", .ignoredUnits)
        }
    }

    /// The checks of both.
    func merged(with other: HealthConfiguration) -> HealthConfiguration {
        HealthConfiguration(
            http: http + other.http, tcp: tcp + other.tcp, ignoredUnits: ignoredUnits + other.ignoredUnits)
    }
}

/// An address that must answer with a status of 200 to 299.
public struct HTTPCheck: Sendable, Codable, Equatable {
    /// The check's name in reports.
    public var name: String
    /// The address, `http://` or `https://`; for the latter, the site's CA is believed.
    public var url: String
    /// How long it may take, in seconds; 10 where it is not given.
    public var timeoutSeconds: Int?

    /// Makes a check.
    public init(name: String, url: String, timeoutSeconds: Int? = nil) {
        self.name = name
        self.url = url
        self.timeoutSeconds = timeoutSeconds
    }

    var problem: String? {
        if let problem = CheckText.problem(ofName: name) { return problem }
        guard url.hasPrefix("http://") || url.hasPrefix("https://") else {
            return "'\(name)' needs an http:// or https:// address"
        }
        return CheckText.isPlain(url, bytes: 8...2048)
            ? nil
            : "the address of '\(name)' has spaces, control or other characters than ASCII's, or is over 2048 bytes"
    }
}

/// A port that must accept a connection.
public struct TCPCheck: Sendable, Codable, Equatable {
    /// The check's name in reports.
    public var name: String
    /// The host's name or address.
    public var host: String
    /// The port.
    public var port: Int
    /// How long it may take, in seconds; 10 where it is not given.
    public var timeoutSeconds: Int?

    /// Makes a check.
    public init(name: String, host: String, port: Int, timeoutSeconds: Int? = nil) {
        self.name = name
        self.host = host
        self.port = port
        self.timeoutSeconds = timeoutSeconds
    }

    var problem: String? {
        if let problem = CheckText.problem(ofName: name) { return problem }
        guard (1...65535).contains(port) else { return "port \(port) of '\(name)' is not 1 to 65535" }
        return CheckText.isPlain(host, bytes: 1...253)
            ? nil : "the host of '\(name)' is not a name or address of 1 to 253 bytes without spaces"
    }
}

/// What the texts of a check may be: they are shown to people, and go to the resolver and into requests.
private enum CheckText {
    static func problem(ofName name: String) -> String? {
        let isShown = name.unicodeScalars.allSatisfy { $0.value >= 0x20 && !(0x7f...0x9f).contains($0.value) }
        return isShown && (1...128).contains(name.utf8.count)
            ? nil : "a check's name has 1 to 128 bytes and no control characters"
    }

    static func isPlain(_ text: String, bytes: ClosedRange<Int>) -> Bool {
        bytes.contains(text.utf8.count) && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f }
    }
}
