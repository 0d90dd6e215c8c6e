import Contract
import Cryptography
import Foundation
import Hummingbird
import HummingbirdCore
import HummingbirdTLS
public import Logging
import NIOCore
import NIOSSL
import Release
public import ServiceLifecycle
import Store
import UnixSignals

/// The provisioning endpoint: a service with two listeners, made from options.
public struct Server: Service, CustomStringConvertible {
    /// A name for logs, which show a service with all that it holds otherwise.
    public var description: String { "apusd" }
    /// Where the data directory is.
    public var dataDirectory: String { directory.path }
    /// Where the admin token lies.
    public var adminTokenFile: String { directory.adminToken }
    /// Where the CA's certificate lies.
    public var authorityFile: String { directory.authorityCertificate }

    private let options: ServerOptions
    private let directory: DataDirectory
    private let lock: DirectoryLock
    private let store: SQLiteStore
    let core: Core
    private let token: AdminToken
    private let identity: ServerIdentity
    private let health: DatabaseHealth
    private let resolver: any TagResolver
    let streams = StreamHub()
    private let passwords = PasswordKeeper()
    private let strangers = LoginService.Strangers()
    private let logger: Logger

    /// Opens the data directory, making what is not there yet, and holds it until the server is gone.
    ///
    /// - Parameter resolver: asks registries what images' tags name; nil takes images by digest alone.
    /// - Throws: `ServerProblem` or `StoreError`: a sentence that says what to do.
    public init(options: ServerOptions, resolver: (any TagResolver)? = nil, logger: Logger) throws {
        try self.init(
            options: options, resolver: resolver, logger: logger, now: { Int64(Date().timeIntervalSince1970) })
    }

    /// As above, with a clock of the caller's, in seconds since 1970.
    init(
        options: ServerOptions, resolver: (any TagResolver)? = nil, logger: Logger,
        now: @escaping @Sendable () -> Int64
    ) throws {
        self.options = options
        self.resolver = resolver ?? NoTagResolver()
        self.logger = logger
        try options.check()
        OpenFiles.raiseLimit()
        directory = try DataDirectory(creating: options.dataDirectory)
        lock = try directory.lock()
        // The CA comes first: a database without one is a sign of a restore that went wrong.
        let authority = try Authority(in: directory)
        let (store, data) = (try SQLiteStore(path: directory.database), directory.path)
        self.store = store
        health = DatabaseHealth(store: store, room: { .at(data) })
        token = try AdminToken(in: directory)
        identity = try ServerIdentity(options: options, authority: authority)
        // What an operator's client must believe: this machine's `apus` reads it, others get a copy.
        try DurableFile.write(identity.trust.utf8, to: directory.authorityCertificate, mode: 0o644)
        core = Core(store: store, signals: Signals(), authority: authority, now: now)
    }

    /// Where the server listens, once it does.
    public struct Addresses: Sendable {
        /// The port of the API.
        public var port: Int
        /// The port for boot artifacts over plain HTTP, where there is one.
        public var bootPort: Int?
        /// The password of the user `admin`, at the first start alone.
        public var firstPassword: String?
    }

    /// Serves until a graceful shutdown.
    public func run() async throws { try await run { _ in } }

    /// Serves until a graceful shutdown, and says where once both listeners are up.
    public func run(onRunning: @escaping @Sendable (Addresses) async -> Void) async throws {
        let releases = ReleaseService(
            core: core, shelf: ReleaseShelf(directory: directory), threshold: options.releaseThreshold)
        try await trustReleaseKeys(releases)
        do {
            try await releases.discardLeftovers()
        } catch {
            logger.warning("files of removed releases stay, ignoring", metadata: ["error": "\(error)"])
        }
        try await workloads.refreshAll()
        let address = options.address ?? Self.anyAddress
        try ListeningCheck.demand(address: address, port: options.port, option: "--port")
        if let bootPort = options.bootPort {
            try ListeningCheck.demand(address: address, port: bootPort, option: "--boot-port")
        }
        let listening = Listening(expectsBootPort: options.bootPort != nil) { addresses in
            noteAddress(port: addresses.port)
            var addresses = addresses
            // Only once both ports are open: a start that fails must not use up what is shown once.
            do {
                addresses.firstPassword = try await FirstAdmin.make(core: core, keeper: passwords)
            } catch {
                logger.error("the user 'admin' could not be made", metadata: ["error": "\(error)"])
            }
            await onRunning(addresses)
        }
        var services: [any Service] = [
            try application(address: address, releases: releases, listening: listening)
        ]
        if let bootPort = options.bootPort {
            services.append(bootApplication(address: address, port: bootPort) { listening.boot($0) })
        }
        services.append(Announcer(listening: listening))
        services.append(
            Janitor(
                core: core, releases: releases, registration: registration, streams: streams, logger: logger))
        // Shutdown runs backwards through the list: long polls end first, so that connections can drain.
        services.append(PollEnder(signals: core.signals, streams: streams))
        defer { try? store.close() }
        try await ServiceGroup(configuration: .init(services: services, logger: logger)).run()
    }

    /// Serves until SIGTERM or SIGINT, then lets requests that are under way end, for 20 seconds at most.
    public func runUntilSignalled(onRunning: @escaping @Sendable (Addresses) async -> Void) async throws {
        let service = AnnouncingServer(server: self, onRunning: onRunning)
        var configuration = ServiceGroupConfiguration(
            services: [service], gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
        configuration.maximumGracefulShutdownDuration = .seconds(20)
        configuration.maximumCancellationDuration = .seconds(5)
        try await ServiceGroup(configuration: configuration).run()
    }

    /// The endpoint that boot artifacts of this site are given, for an API on that port.
    public func endpoint(port: Int) -> String { Self.endpoint(options, port: port) }

    // MARK: - Parts

    private var registration: RegistrationService {
        let serials = options.serialsFile
        return RegistrationService(core: core, listedSerials: { SerialList.read(serials) })
    }

    private var workloads: WorkloadService { WorkloadService(core: core, resolver: resolver) }

    private func application(
        address: String, releases: ReleaseService, listening: Listening
    ) throws -> some Service {
        let router = Router(context: CallContext.self)
        router.add(middleware: FailureMiddleware())
        router.add(
            middleware: CallerMiddleware(
                token: token, authority: core.authority.issuer.certificate, store: store, now: core.now))
        // Somebody who errs is heard; somebody who tries all doors is not written down for ever.
        router.add(middleware: AuditMiddleware(core: core, refusals: RateLimiter(capacity: 300, perSecond: 1)))
        book(router: router, releases: releases, listening: listening).refuseOtherMethods()
        return Application(
            router: router,
            server: try tlsServer(),
            configuration: configuration(address: address, port: options.port),
            onServerRunning: { listening.api($0.localAddress?.port ?? 0) }, logger: logger)
    }

    /// All routes of the API.
    func book(router: Router<CallContext>, releases: ReleaseService, listening: Listening) -> RouteBook {
        var book = RouteBook(router: router, gate: Gate(store: store))
        let boot = BootShelf(directory: directory)
        OpenRoutes(health: health, boot: boot).add(to: &book)
        // A rack of 200 machines behind one address passes at once; then two registrations a second.
        let limiter = RateLimiter(capacity: 240, perSecond: 2)
        RegistrationRoutes(service: registration, limiter: limiter).add(to: &book)
        // A node reports a few times a second at most; more would push others' events out.
        let reports = RateLimiter(capacity: 400, perSecond: 20)
        StreamRoutes(service: StreamService(core: core, hub: streams)).add(to: &book)
        NodeRoutes(
            service: NodeService(core: core, streams: streams), workloads: NodeWorkloads(core: core), limiter: reports
        ).add(to: &book)
        OperatorRoutes(
            service: OperatorService(core: core), tokens: TokenService(core: core), gate: Gate(store: store)
        ).add(to: &book)
        WorkloadRoutes(service: workloads, policies: PolicyService(core: core)).add(to: &book)
        SecretRoutes(secrets: SecretService(core: core), registries: RegistryService(core: core)).add(to: &book)
        // A person errs a few times; a program that guesses is slowed to a password every ten seconds.
        let guesses = RateLimiter(capacity: 20, perSecond: 0.1)
        AccessRoutes(
            access: AccessService(core: core, keeper: passwords),
            logins: LoginService(core: core, keeper: passwords, strangers: strangers), limiter: guesses
        ).add(to: &book)
        AuditRoutes(audit: AuditService(core: core)).add(to: &book)
        let (core, options, identity) = (core, options, identity)
        ReleaseRoutes(service: releases, boot: boot) {
            try await Self.trust(core, options, identity, port: listening.port ?? options.port)
        }.add(to: &book)
        return book
    }

    private func tlsServer() throws -> HTTPServerBuilder {
        do {
            let tls = try identity.tlsConfiguration(authority: core.authority)
            // The listener makes another; made here as well, a key that does not fit is a sentence and no stack of types.
            _ = try NIOSSLContext(configuration: tls)
            return try .tls(.http1(configuration: Self.http), tlsConfiguration: tls)
        } catch {
            throw ServerProblem(
                "the server's certificate and its key cannot be used, or do not belong together (\(error)); check "
                    + "--certificate and --key")
        }
    }

    private func bootApplication(
        address: String, port: Int, onRunning: @escaping @Sendable (Int) -> Void
    ) -> some Service {
        let router = Router(context: CallContext.self)
        router.add(middleware: FailureMiddleware())
        var book = RouteBook(router: router, gate: Gate(store: store))
        OpenRoutes(health: health, boot: BootShelf(directory: directory)).add(to: &book)
        book.refuseOtherMethods()
        return Application(
            router: router, server: .http1(configuration: Self.http),
            configuration: configuration(address: address, port: port),
            onServerRunning: { onRunning($0.localAddress?.port ?? 0) }, logger: logger)
    }

    private func configuration(address: String, port: Int) -> ApplicationConfiguration {
        ApplicationConfiguration(
            address: .hostname(address, port: port), backlog: 512,
            availableConnectionsDelegate: .maximum(OpenFiles.connections(), logger: logger))
    }

    private static var http: HTTP1Channel.Configuration {
        HTTP1Channel.Configuration(
            additionalChannelHandlers: [ParserErrorReply()], idleTimeout: .seconds(75),
            httpDecoderConfiguration: .init(
                maxHeaderFieldSize: 8 << 10, maxHeaderListSize: 32 << 10, maxHeaderFieldCount: 64))
    }

    private static func trust(
        _ core: Core, _ options: ServerOptions, _ identity: ServerIdentity, port: Int
    ) async throws -> SiteTrust {
        SiteTrust(
            endpoint: endpoint(options, port: port), caCertificate: identity.trust,
            releaseKeys: try await core.store.read { try $0.releaseKeys() }, threshold: options.releaseThreshold,
            token: nil, network: nil, clockFloorSeconds: core.now())
    }

    private static func endpoint(_ options: ServerOptions, port: Int) -> String {
        if let endpoint = options.endpoint { return endpoint }
        let usual = ServerIdentity.localAddresses().first ?? "localhost"
        return url(options.names.first ?? options.specificAddress ?? usual, port: port)
    }

    /// Says in the data directory where the server listens, so that `apus` on this machine needs to be told nothing.
    private func noteAddress(port: Int) {
        let given = options.certificateFile == nil ? nil : options.names.first
        let address = Self.url(given ?? options.specificAddress ?? "localhost", port: port)
        do {
            try DurableFile.write((address + "\n").utf8, to: directory.address)
        } catch {
            logger.warning("apus on this machine must be told the address", metadata: ["error": "\(error)"])
        }
    }

    private static func url(_ host: String, port: Int) -> String {
        "https://\(host.contains(":") ? "[\(host)]" : host):\(port)"
    }

    private func trustReleaseKeys(_ releases: ReleaseService) async throws {
        for path in options.releaseKeyFiles {
            guard let bytes = try DurableFile.read(path, limit: 64 << 10) else {
                throw ServerProblem("there is no file '\(path)'; --release-key takes a public key's file")
            }
            do {
                _ = try await releases.trust(try ReleaseKeyFile.key(in: bytes))
            } catch let failure as APIFailure {
                throw ServerProblem("'\(path)' is not a usable release key: \(failure.error.message)")
            } catch let problem as ServerProblem {
                throw ServerProblem("'\(path)' is not a usable release key: \(problem)")
            }
        }
    }

    /// All addresses: IPv6 sockets take IPv4 as well, where the system has IPv6 at all.
    private static var anyAddress: String {
        let interfaces = (try? DurableFile.read("/proc/net/if_inet6", limit: 1 << 20)) ?? nil
        return interfaces?.isEmpty == false ? "::" : "0.0.0.0"
    }
}
