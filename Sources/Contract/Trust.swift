/// What a boot artifact or a boot medium (`apus.json`) tells a machine about its site. Nothing else is believed.
public struct SiteTrust: Sendable, Codable, Equatable {
    /// The version of this format.
    public var format = wireFormat
    /// The provisioning endpoint, such as `https://apus.example:8443`; the kernel command line or DHCP may give it.
    public var endpoint: String?
    /// The endpoint's CA certificate in PEM.
    public var caCertificate: String?
    /// Public keys that sign releases.
    public var releaseKeys: [ReleaseKey]
    /// How many of them must have signed.
    public var threshold: Int
    /// A join token.
    public var token: String?
    /// Network settings for sites without DHCP.
    public var network: NetworkSettings?
    /// No clock before this is believed, in seconds since 1970: the time of the build.
    public var clockFloorSeconds: Int64

    /// Makes the site's facts from their parts.
    public init(
        endpoint: String?, caCertificate: String?, releaseKeys: [ReleaseKey], threshold: Int, token: String?,
        network: NetworkSettings?, clockFloorSeconds: Int64
    ) {
        self.endpoint = endpoint
        self.caCertificate = caCertificate
        self.releaseKeys = releaseKeys
        self.threshold = threshold
        self.token = token
        self.network = network
        self.clockFloorSeconds = clockFloorSeconds
    }
}

/// A public key in the form of The Update Framework (TUF specification 1.0.34, section 4.2).
public struct ReleaseKey: Sendable, Codable, Equatable {
    /// `ed25519` or, for the server's plans, `ecdsa`.
    public var keytype: String
    /// `ed25519` or `ecdsa-sha2-nistp256`.
    public var scheme: String
    /// The key's value.
    public var keyval: Value

    /// A key's value.
    public struct Value: Sendable, Codable, Equatable {
        /// 64 hexadecimal digits for Ed25519, PEM for ECDSA.
        public var `public`: String

        /// Makes a value.
        public init(public key: String) { `public` = key }
    }

    /// Makes a key.
    public init(keytype: String, scheme: String, public key: String) {
        self.keytype = keytype
        self.scheme = scheme
        keyval = Value(public: key)
    }
}

/// Settings of the interface that reaches the server: what the installed system starts with.
public struct NetworkSettings: Sendable, Codable, Equatable {
    /// The version of this format.
    public var format = wireFormat
    /// The permanent address of the interface, or of each member of a bond; empty takes the first with a link.
    public var interfaces: [String]
    /// DHCP where true; otherwise `addresses`.
    public var dhcp: Bool
    /// Addresses with prefix lengths, such as `192.0.2.7/24`.
    public var addresses: [String]
    /// The default gateway.
    public var gateway: String?
    /// Name servers.
    public var nameServers: [String]
    /// An 802.1Q VLAN, 1 to 4094.
    public var vlan: Int?
    /// A bond's mode, such as `802.3ad` or `active-backup`, where there are several interfaces.
    public var bondMode: String?
    /// An HTTP proxy's address.
    public var proxy: String?

    /// Makes settings from their parts.
    public init(
        interfaces: [String] = [], dhcp: Bool = true, addresses: [String] = [], gateway: String? = nil,
        nameServers: [String] = [], vlan: Int? = nil, bondMode: String? = nil, proxy: String? = nil
    ) {
        self.interfaces = interfaces
        self.dhcp = dhcp
        self.addresses = addresses
        self.gateway = gateway
        self.nameServers = nameServers
        self.vlan = vlan
        self.bondMode = bondMode
        self.proxy = proxy
    }
}
