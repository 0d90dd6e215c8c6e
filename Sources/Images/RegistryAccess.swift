internal import FoundationEssentials
internal import Linux

/// A user name and password for a registry; never printed.
public struct RegistryCredentials: Sendable, Equatable, CustomStringConvertible, CustomDebugStringConvertible {
    /// The user name.
    public var user: String
    /// The password or access token.
    public var password: String
    /// Hosts other than the registry's own that may be given them in exchange for a token, such as `auth.docker.io`.
    public var tokenHosts: Set<String>

    /// Makes credentials.
    public init(user: String, password: String, tokenHosts: Set<String> = []) {
        self.user = user
        self.password = password
        self.tokenHosts = tokenHosts
    }

    /// Says nothing but that there are some.
    public var description: String { "credentials" }
    /// Says nothing but that there are some.
    public var debugDescription: String { description }

    /// The value of `Authorization` (RFC 7617).
    var basic: String { "Basic " + Data("\(user):\(password)".utf8).base64EncodedString() }
}

/// A server that speaks the distribution specification.
public struct RegistryEndpoint: Sendable, Equatable {
    /// Its address without `/v2/`, such as `https://registry.example:5000`.
    public var address: String
    /// What it is told who asks.
    public var credentials: RegistryCredentials?
    /// The CA certificates in PEM that are believed for it, and for where it redirects to.
    public var caCertificates: String
    /// Whether it may be spoken to without TLS. What it sends is verified all the same, but anybody on the way may read
    /// it, and choose what a tag means.
    public var allowsPlainHTTP: Bool

    /// Describes an endpoint.
    public init(
        address: String, credentials: RegistryCredentials? = nil, caCertificates: String = "",
        allowsPlainHTTP: Bool = false
    ) {
        self.address = address
        self.credentials = credentials
        self.caCertificates = caCertificates
        self.allowsPlainHTTP = allowsPlainHTTP
    }
}

/// How one registry is reached.
public struct RegistryAccess: Sendable, Equatable {
    /// Servers that are asked before the registry itself, in order. They need not be trusted for content by digest;
    /// a tag means what the first that has it says.
    public var mirrors: [RegistryEndpoint]
    /// The registry itself; nil where only mirrors may be asked.
    public var origin: RegistryEndpoint?

    /// Describes access.
    public init(origin: RegistryEndpoint?, mirrors: [RegistryEndpoint] = []) {
        self.origin = origin
        self.mirrors = mirrors
    }

    /// The endpoints in the order in which they are asked.
    var endpoints: [(endpoint: RegistryEndpoint, isMirror: Bool)] {
        mirrors.map { ($0, true) } + (origin.map { [($0, false)] } ?? [])
    }
}

/// Which registries may be asked, and how.
public struct RegistryBook: Sendable {
    /// Access by the registry's name in references.
    public var registries: [String: RegistryAccess]
    /// The CA certificates in PEM for registries that are not listed; nil refuses those.
    public var defaultCACertificates: String?

    /// Makes a book.
    public init(registries: [String: RegistryAccess] = [:], defaultCACertificates: String? = nil) {
        self.registries = registries
        self.defaultCACertificates = defaultCACertificates
    }

    /// The certificates that Debian's package `ca-certificates` collects.
    public static func systemCACertificates() throws -> String {
        try Files.readText("/etc/ssl/certs/ca-certificates.crt", limitBytes: 4 << 20)
    }

    /// How a registry is reached; refused where it is neither listed nor covered by the default.
    func access(to registry: String) throws(ImageError) -> RegistryAccess {
        if let access = registries[registry] { return access }
        guard let defaultCACertificates else {
            throw .denied("the registry '\(registry)', which this machine's list does not have,")
        }
        // Docker Hub's name in references is not that of its server.
        let server = registry == ImageReference.hub ? "registry-1.docker.io" : registry
        return RegistryAccess(
            origin: RegistryEndpoint(address: "https://" + server, caCertificates: defaultCACertificates))
    }
}
