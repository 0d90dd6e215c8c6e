/// `PUT /v1/secrets/{name}`. A value goes in and never comes out again, but to nodes whose workloads name it.
public struct SecretRequest: Sendable, Codable, Equatable {
    /// The value, at most 64 KiB.
    public var value: SecretValue

    /// Makes a request.
    public init(value: SecretValue) { self.value = value }
}

/// A secret without its value.
public struct SecretView: Sendable, Codable, Equatable {
    /// Its name, as documents give it.
    public var name: String
    /// When its value was set last, in seconds since 1970.
    public var changedSeconds: Int64
    /// The workloads whose present revision names it.
    public var workloads: [WorkloadName]

    /// Makes a view.
    public init(name: String, changedSeconds: Int64, workloads: [WorkloadName]) {
        self.name = name
        self.changedSeconds = changedSeconds
        self.workloads = workloads
    }
}

/// `GET /v1/secrets`: the names.
public struct SecretList: Sendable, Codable, Equatable {
    /// The secrets, by name.
    public var secrets: [SecretView]

    /// Makes a list.
    public init(secrets: [SecretView]) { self.secrets = secrets }
}

/// `PUT /v1/registries/{host}`: replaces what was said of that registry.
public struct RegistryRequest: Sendable, Codable, Equatable {
    /// A server that is asked before it.
    public var mirror: String?
    /// The user's name at the registry.
    public var username: String?
    /// The password or access token; nil keeps the one that is there, where the name stays the same.
    public var password: SecretValue?
    /// The CA certificates in PEM that are believed for it; nil takes the system's.
    public var caPEM: String?

    /// Makes a request.
    public init(mirror: String? = nil, username: String? = nil, password: SecretValue? = nil, caPEM: String? = nil) {
        self.mirror = mirror
        self.username = username
        self.password = password
        self.caPEM = caPEM
    }
}

/// A registry without its password.
public struct RegistryView: Sendable, Codable, Equatable {
    /// The registry as images name it.
    public var host: String
    /// A server that is asked before it.
    public var mirror: String?
    /// The user's name at the registry.
    public var username: String?
    /// Whether a password is kept.
    public var hasPassword: Bool
    /// The CA certificates in PEM that are believed for it; nil for the system's.
    public var caPEM: String?
    /// When it was set last, in seconds since 1970.
    public var changedSeconds: Int64

    /// Makes a view.
    public init(
        host: String, mirror: String?, username: String?, hasPassword: Bool, caPEM: String?, changedSeconds: Int64
    ) {
        self.host = host
        self.mirror = mirror
        self.username = username
        self.hasPassword = hasPassword
        self.caPEM = caPEM
        self.changedSeconds = changedSeconds
    }
}

/// `GET /v1/registries`.
public struct RegistryList: Sendable, Codable, Equatable {
    /// The registries, by host.
    public var registries: [RegistryView]

    /// Makes a list.
    public init(registries: [RegistryView]) { self.registries = registries }
}
