import Foundation

/// How a server is run. Everything has a default that works.
public struct ServerOptions: Sendable, Equatable {
    /// Where everything that the server remembers lies.
    public var dataDirectory: String
    /// The address to listen on; nil takes all, IPv6 included where the system has it.
    public var address: String?
    /// The port of the API; 0 lets the system choose.
    public var port = 8443
    /// The port for boot artifacts over plain HTTP; 0 lets the system choose, nil serves none.
    public var bootPort: Int? = 8080
    /// Names and addresses for the server's certificate beside those of the machine.
    public var names: [String] = []
    /// The endpoint that boot artifacts are given, where it is not `https://NAME:PORT`.
    public var endpoint: String?
    /// A certificate chain and its key in PEM, where the server is not to issue its own; both or neither.
    public var certificateFile: String?
    /// The private key of `certificateFile`.
    public var keyFile: String?
    /// The authority of `certificateFile` in PEM, which boot artifacts must believe.
    public var authorityFile: String?
    /// Files with public keys that sign releases, trusted beside those uploaded.
    public var releaseKeyFiles: [String] = []
    /// How many of the keys must have signed a release.
    public var releaseThreshold = 1
    /// A file with serial numbers that are admitted without a token, one a line.
    public var serialsFile: String?

    /// Makes options for a data directory.
    public init(dataDirectory: String) { self.dataDirectory = dataDirectory }

    /// The address to listen on, where that is one and not all.
    var specificAddress: String? {
        guard let address, address != "0.0.0.0", address != "::" else { return nil }
        return address
    }

    /// Refuses options that cannot be right, before anything is made.
    func check() throws {
        guard (1...16).contains(releaseThreshold) else {
            throw ServerProblem("--release-threshold is a number from 1 to 16")
        }
        if let address, !ServerIdentity.isAddress(address) {
            throw ServerProblem("'\(address)' is no address: give --address an IPv4 or IPv6 address, not a name")
        }
        if let endpoint, !Self.isEndpoint(endpoint) {
            throw ServerProblem(
                "'\(endpoint)' is no endpoint: give --endpoint an address such as https://apus.example:8443")
        }
        if let serialsFile {
            guard try DurableFile.read(serialsFile, limit: SerialList.largestBytes) != nil else {
                throw ServerProblem("there is no file '\(serialsFile)'; --serials takes a list of serial numbers")
            }
        }
    }

    private static func isEndpoint(_ text: String) -> Bool {
        guard let parts = URLComponents(string: text), parts.scheme == "https", let host = parts.host else {
            return false
        }
        return !host.isEmpty && (parts.path.isEmpty || parts.path == "/") && parts.query == nil && parts.fragment == nil
    }
}

/// Why the server cannot run: a sentence that says what to do.
public struct ServerProblem: Error, Sendable, Equatable, CustomStringConvertible {
    /// The sentence.
    public var description: String

    /// Makes a problem from its sentence.
    public init(_ description: String) { self.description = description }
}

/// Bounds of what the server keeps and serves, beside those of the wire.
enum ServerLimit {
    /// Connections that are open at once on each port, where the system allows as many open files: a node in service
    /// holds one.
    static let connections = 16_384
    /// Long polls that wait at once.
    static let waiters = 16_384
    /// Registrations that are under way at once.
    static let openRegistrations = 4096
    /// Nodes that were never admitted.
    static let unadmittedNodes = 4096
    /// A registration that the node no longer asks about ends after this many seconds.
    static let registrationIdleSeconds: Int64 = 15 * 60
    /// One that was only begun, or is refused, ends sooner: a stranger could otherwise fill all places.
    static let registrationBriefSeconds: Int64 = 2 * 60
    /// Events that are kept.
    static let events: Int64 = 200_000
    /// Log that is kept of each node, in bytes.
    static let logBytes = 4 << 20
    /// Log in one reply, in bytes.
    static let logReplyBytes = 384 << 10
    /// Text of one reply that lists, in bytes.
    static let listReplyBytes = 768 << 10
    /// Open commands of one node.
    static let commands = 16
    /// Releases that are uploaded at once.
    static let stagedReleases = 8
    /// A pack, in bytes.
    static let pack: UInt64 = 32 << 30
    /// A boot artifact, in bytes.
    static let bootArtifact: UInt64 = 256 << 20
    /// Trusted release keys.
    static let releaseKeys = 32
    /// Workloads.
    static let workloads = 1024
    /// Join tokens.
    static let tokens = 10_000
    /// The longest life of a token, in seconds: ten years.
    static let tokenLifetimeSeconds: Int64 = 315_360_000
}
