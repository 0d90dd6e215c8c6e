/// How to reach and whom to believe.
public struct HTTPConfiguration: Sendable {
    /// The CA certificates in PEM that are believed; those of the system never are.
    public var caCertificates: String
    /// The certificate and key that this side shows.
    public var identity: ClientIdentity?
    /// An HTTP proxy, such as `http://proxy.example:3128`; the environment's proxies are never used.
    public var proxy: String?
    /// How long connecting may take, TLS included, in seconds.
    public var connectTimeoutSeconds: Int
    /// A transfer during which nothing arrives for this long is given up, in seconds; 0 waits for ever.
    public var stallTimeoutSeconds: Int
    /// Whether `http://` is allowed too: only for what is verified by other means.
    public var allowsPlainHTTP: Bool

    /// Makes a configuration from its parts.
    public init(
        caCertificates: String, identity: ClientIdentity? = nil, proxy: String? = nil, connectTimeoutSeconds: Int = 15,
        stallTimeoutSeconds: Int = 30, allowsPlainHTTP: Bool = false
    ) {
        self.caCertificates = caCertificates
        self.identity = identity
        self.proxy = proxy
        self.connectTimeoutSeconds = connectTimeoutSeconds
        self.stallTimeoutSeconds = stallTimeoutSeconds
        self.allowsPlainHTTP = allowsPlainHTTP
    }
}

/// A client certificate and its private key.
public struct ClientIdentity: Sendable {
    /// The certificate, and any intermediate ones after it, in PEM.
    public var certificatePEM: String
    /// The private key in PEM.
    public var keyPEM: String

    /// Makes an identity.
    public init(certificatePEM: String, keyPEM: String) {
        self.certificatePEM = certificatePEM
        self.keyPEM = keyPEM
    }
}

/// A header of a request.
public struct HTTPHeader: Sendable, Equatable {
    /// Its name.
    public var name: String
    /// Its value.
    public var value: String

    /// Makes a header.
    public init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }

    /// `Authorization: Bearer SECRET`.
    public static func bearer(_ secret: String) -> HTTPHeader { HTTPHeader("Authorization", "Bearer \(secret)") }

    /// `Content-Type: application/json`.
    public static let json = HTTPHeader("Content-Type", "application/json")
}

/// A reply with a status of 2xx.
public struct HTTPResponse: Sendable {
    /// The status.
    public var status: Int
    /// The headers, names in lower case; of repeated ones the last.
    public var headers: [String: String]
    /// The body; empty after `download`.
    public var body: [UInt8]
}

/// A reply's status and headers.
public struct HTTPReplyHead: Sendable, Equatable {
    /// The status.
    public var status: Int
    /// The headers, names in lower case; of repeated ones the last, but all of `www-authenticate`, parted by commas.
    public var headers: [String: String]
}
