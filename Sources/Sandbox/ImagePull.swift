public import Contract
internal import Fetch
internal import Images
internal import Linux
public import Workloads

/// What the program that fetches images is told on its standard input. It holds a password: never an argument.
public struct ImagePullRequest: Sendable, Codable, Equatable, CustomStringConvertible, CustomReflectable {
    /// The version of this format.
    public var format = wireFormat
    /// The directory of all image stores.
    public var directory: String
    /// The reference, by digest.
    public var reference: String
    /// What a file at an address is taken for: it says nothing of that itself.
    public var file: File
    /// How its registry is reached; nil asks the registry itself, by the system's authorities.
    public var account: RegistryAccount?
    /// Images that must stay, whoever wants room.
    public var inUse: [Digest256]
    /// How long an unused image is kept, in seconds.
    public var keepSeconds: Int64

    /// What a file at an address can be.
    public enum File: String, Sendable, Codable {
        /// A virtual machine's disk.
        case disk
        /// A function's zip.
        case zip
        /// An archive with a container's image.
        case archive
    }

    /// Makes a request.
    public init(
        directory: String, reference: String, file: File = .disk, account: RegistryAccount?, inUse: [Digest256] = [],
        keepSeconds: Int64 = 7 * 86_400
    ) {
        self.directory = directory
        self.reference = reference
        self.file = file
        self.account = account
        self.inUse = inUse
        self.keepSeconds = keepSeconds
    }

    /// The reference; never the password.
    public var description: String { reference }

    /// Shows no member to debuggers and `dump`.
    public var customMirror: Mirror { Mirror(self, children: []) }
}

extension ImagePullRequest.File {
    fileprivate var content: WebFile.Content {
        switch self {
        case .disk: .disk
        case .zip: .zip
        case .archive: .archive
        }
    }
}

/// What the program that fetches images says at its end, on its standard output.
public struct ImagePullResult: Sendable, Codable, Equatable {
    /// The image; nil where it could not be had.
    public var digest: Digest256?
    /// Why it could not be had, as a sentence.
    public var failure: String?
    /// Whether the image itself is at fault, so that fetching it again is of no use.
    public var isRefused: Bool

    /// Makes a result.
    public init(digest: Digest256? = nil, failure: String? = nil, isRefused: Bool = false) {
        self.digest = digest
        self.failure = failure
        self.isRefused = isRefused
    }
}

/// Fetches an image into the store; blocks its thread.
public protocol ImageFetcher: Sendable {
    /// Fetches, or throws why not; a `SandboxError` that is permanent where the image itself is at fault.
    func fetch(_ request: ImagePullRequest) throws
}

/// The program that fetches images: `apus-agent image-pull`. Layers are hostile, so that it is a process of its own,
/// started by `SystemdFetcher` within limits and without rights.
public enum ImagePullProgram {
    /// The agent's argument that makes it this program.
    public static let argument = "image-pull"
    /// A registry is given up when nothing arrives for this long, in seconds.
    static let stallSeconds = 60

    /// Reads the request, does it, prints the result; returns the exit status.
    public static func main() -> Int32 {
        var result = ImagePullResult()
        do {
            result.digest = try perform(try Wire.decode(ImagePullRequest.self, from: try input()))
        } catch {
            result.failure = String("\(error)".prefix(WorkloadWireLimit.reason))
            result.isRefused = (error as? ImageError)?.isRefusal ?? false
        }
        guard let bytes = try? Wire.encode(result) else { return 1 }
        // Who started it is gone where this fails: ignoring.
        try? OwnedDescriptor(adopting: 1, path: "standard output").write(bytes)
        return result.failure == nil ? 0 : 1
    }

    /// By number: another user may not open the names of these.
    private static func input() throws -> [UInt8] {
        let input = OwnedDescriptor(adopting: 0, path: "standard input")
        var bytes: [UInt8] = []
        while bytes.count <= WireLimit.message {
            let part = try input.read(atMost: 64 << 10)
            if part.isEmpty { break }
            bytes += part
        }
        return bytes
    }

    static func perform(_ request: ImagePullRequest) throws -> Digest256 {
        let now = Clock.realtimeSeconds()
        let store = try ImageStore(request.directory, owner: NodePlaces.imageOwner)
        let puller = ImagePuller(store: store)
        let pull: () throws -> StoredImage
        if let found = WebFile.parse(request.reference) {
            let authorities = try request.account?.caPEM ?? RegistryBook.systemCACertificates()
            let file = try WebFile(
                address: found.address, digest: found.digest, content: request.file.content,
                caCertificates: authorities)
            pull = { try puller.pull(file, named: request.reference, nowSeconds: now) }
        } else {
            let reference = try ImageReference(parsing: request.reference)
            let client = RegistryClient(try book(for: reference, account: request.account))
            pull = { try puller.pull(reference, from: client, nowSeconds: now) }
        }
        // Room first: what nobody uses and nobody used lately goes.
        try store.collect(
            try store.plan(
                pinned: [], inUse: Set(request.inUse), nowSeconds: now, keepSeconds: request.keepSeconds))
        let image = try pull()
        // Its packed layers have done their work.
        let kept = Set(request.inUse + [image.digest])
        try store.collect(
            try store.plan(pinned: [], inUse: kept, nowSeconds: now, keepSeconds: request.keepSeconds))
        return image.digest
    }

    /// Which servers are asked, in which order, and what each is told.
    static func book(for reference: ImageReference, account: RegistryAccount?) throws -> RegistryBook {
        guard let account else {
            return RegistryBook(defaultCACertificates: try RegistryBook.systemCACertificates())
        }
        guard account.host == reference.registry else {
            throw SandboxError("the account is for '\(account.host)', the image is at '\(reference.registry)'")
        }
        let authorities = try account.caPEM ?? RegistryBook.systemCACertificates()
        let credentials = account.username.map { user in
            RegistryCredentials(
                user: user, password: String(decoding: account.password?.bytes ?? [], as: UTF8.self),
                tokenHosts: account.host == ImageReference.hub ? ["auth.docker.io"] : [])
        }
        let server = account.host == ImageReference.hub ? "registry-1.docker.io" : account.host
        let origin = RegistryEndpoint(
            address: "https://" + server, credentials: credentials, caCertificates: authorities)
        let mirrors = account.mirror.map { mirror in
            [
                RegistryEndpoint(
                    address: mirror, caCertificates: authorities, allowsPlainHTTP: mirror.hasPrefix("http://"))
            ]
        }
        return RegistryBook(
            registries: [account.host: RegistryAccess(origin: origin, mirrors: mirrors ?? [])])
    }
}

/// Runs the program that fetches images as a transient unit of systemd: a user of its own that exists only meanwhile,
/// no capability, bounded memory, nothing of the node's that it could write but the store.
public struct SystemdFetcher: ImageFetcher {
    /// How long it may take, in seconds.
    static let timeoutSeconds = 3 * 3600

    private let program: String

    /// Makes it.
    /// - Parameter program: the agent's own path.
    public init(program: String = "/usr/lib/apus/apus-agent") { self.program = program }

    /// Starts it, waits for it, and throws what it says.
    public func fetch(_ request: ImagePullRequest) throws {
        let outcome = try Processes.run(
            "/usr/bin/systemd-run", Self.arguments(program: program, directory: request.directory),
            input: try Wire.encode(request), outputLimitBytes: 64 << 10, timeoutSeconds: Self.timeoutSeconds + 60)
        try Self.judge(outcome)
    }

    /// Throws what the program says, or how it ended where it said nothing.
    static func judge(_ outcome: Processes.Outcome) throws {
        guard let result = try? Wire.decode(ImagePullResult.self, from: outcome.output) else {
            throw SandboxError("fetching \(outcome.summary)")
        }
        if let failure = result.failure {
            throw SandboxError(
                Text.clean(failure, limit: WorkloadWireLimit.reason), isPermanent: result.isRefused)
        }
        guard outcome.succeeded else { throw SandboxError("fetching \(outcome.summary)") }
    }

    /// The words after `systemd-run`.
    static func arguments(program: String, directory: String) -> [String] {
        let name = directory.split(separator: "/").last.map(String.init) ?? ""
        let properties = [
            "DynamicUser=yes", "User=apus-images", "StateDirectory=\(name)", "StateDirectoryMode=0700",
            "MemoryMax=512M", "MemorySwapMax=0", "TasksMax=64", "CPUWeight=20", "IOWeight=20", "OOMScoreAdjust=500",
            "RuntimeMaxSec=\(timeoutSeconds)", "CapabilityBoundingSet=", "PrivateDevices=yes", "ProtectHome=yes",
            "ProtectKernelTunables=yes", "ProtectKernelModules=yes", "ProtectControlGroups=yes", "ProtectClock=yes",
            "RestrictNamespaces=yes", "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK",
            "LockPersonality=yes",
            "SystemCallFilter=@system-service", "SystemCallErrorNumber=EPERM", "InaccessiblePaths=-/var/lib/apus",
            "UMask=0077", "LimitCORE=0",
        ]
        return ["--pipe", "--wait", "--collect", "--quiet", "--description=Apus image fetching"]
            + properties.map { "--property=\($0)" } + ["--", program, ImagePullProgram.argument]
    }
}
