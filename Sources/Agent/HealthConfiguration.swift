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
        for check in tcp where !(1...65535).contains(check.port) {
            throw DecodingError.dataCorruptedError(
                forKey: .tcp, in: container, debugDescription: "port \(check.port) of '\(check.name)' is not 1 to 65535"
            )
        }
        for check in http where !check.url.hasPrefix("http://") && !check.url.hasPrefix("https://") {
            throw DecodingError.dataCorruptedError(
                forKey: .http, in: container, debugDescription: "'\(check.name)' needs an http:// or https:// address")
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
}
