import Contract
import Foundation
import HTTPTypes
import HummingbirdTesting
import Logging
import NIOCore
import NIOSSL
import ServiceLifecycle
import Store
import Synchronization

@testable import ControlPlane

/// A directory of a test's own, gone with the value.
final class ScratchDirectory: Sendable {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "apus-site-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// A clock that tests set.
final class TestClock: Sendable {
    private let seconds: Mutex<Int64>

    init(_ seconds: Int64 = 1_800_000_000) { self.seconds = Mutex(seconds) }

    var now: Int64 { seconds.withLock { $0 } }

    func advance(_ count: Int64) { seconds.withLock { $0 += count } }
}

/// A server that really listens, on loopback, in a directory of its own.
struct TestSite: Sendable {
    let directory: DataDirectory
    let addresses: Server.Addresses
    let clock: TestClock
    let adminToken: String
    let signals: Signals
    let stop: @Sendable () async -> Void
    /// All routes that the server has.
    let routes: [RouteBook.Route]

    /// Runs a body against a server of its own and stops that gracefully afterwards.
    static func run(
        in scratch: ScratchDirectory? = nil, logger: Logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
        resolver: (any TagResolver)? = nil, configure: (inout ServerOptions) -> Void = { _ in },
        _ body: @escaping @Sendable (TestSite) async throws -> Void
    ) async throws {
        let scratch = try scratch ?? ScratchDirectory()
        var options = ServerOptions(dataDirectory: scratch.path + "/data")
        options.address = "127.0.0.1"
        options.port = 0
        options.bootPort = 0
        configure(&options)
        let clock = TestClock()
        let server = try Server(options: options, resolver: resolver, logger: logger, now: { clock.now })
        let directory = DataDirectory(at: options.dataDirectory)
        let token = try String(contentsOfFile: directory.adminToken, encoding: .utf8)
        let (running, isRunning) = AsyncStream.makeStream(of: Server.Addresses.self)
        let group = ServiceGroup(
            services: [AnnouncingServer(server: server, onRunning: { isRunning.yield($0) })], logger: logger)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                defer { isRunning.finish() }
                try await group.run()
            }
            for await addresses in running {
                let site = TestSite(
                    directory: directory, addresses: addresses, clock: clock,
                    adminToken: String(token.dropLast()), signals: server.core.signals,
                    stop: { await group.triggerGracefulShutdown() }, routes: server.routes)
                do {
                    try await body(site)
                } catch {
                    await group.triggerGracefulShutdown()
                    throw error
                }
                await group.triggerGracefulShutdown()
                break
            }
            try await tasks.waitForAll()
        }
        withExtendedLifetime(scratch) {}
    }

    /// A connection of somebody without a certificate.
    func anyone<Value: Sendable>(_ body: @escaping @Sendable (TestCaller) async throws -> Value) async throws -> Value {
        try await connect(TLSConfiguration.makeClientConfiguration(), headers: [:], body)
    }

    /// A connection of an operator.
    func administrator<Value: Sendable>(
        _ body: @escaping @Sendable (TestCaller) async throws -> Value
    ) async throws -> Value {
        try await connect(
            TLSConfiguration.makeClientConfiguration(), headers: [.authorization: "Bearer \(adminToken)"], body)
    }

    /// A connection of a node with its certificate.
    func node<Value: Sendable>(
        certificate: String, key: String, _ body: @escaping @Sendable (TestCaller) async throws -> Value
    ) async throws -> Value {
        var tls = TLSConfiguration.makeClientConfiguration()
        tls.certificateChain = try NIOSSLCertificate.fromPEMBytes(Array(certificate.utf8)).map { .certificate($0) }
        tls.privateKey = .privateKey(try NIOSSLPrivateKey(bytes: Array(key.utf8), format: .pem))
        return try await connect(tls, headers: [:], body)
    }

    /// A connection to the plain port.
    func plain<Value: Sendable>(_ body: @escaping @Sendable (TestCaller) async throws -> Value) async throws -> Value {
        try await TestClient.withClient(
            host: "127.0.0.1", port: addresses.bootPort ?? 0, configuration: .init(timeout: patience)
        ) {
            try await body(TestCaller(client: $0, headers: [:]))
        }
    }

    /// Other suites keep every processor busy for minutes: an answer may take as long.
    private var patience: Duration { .seconds(600) }

    private func connect<Value: Sendable>(
        _ tls: TLSConfiguration, headers: HTTPFields, _ body: @escaping @Sendable (TestCaller) async throws -> Value
    ) async throws -> Value {
        var tls = tls
        tls.trustRoots = .file(directory.authorityCertificate)
        return try await TestClient.withClient(
            host: "127.0.0.1", port: addresses.port,
            configuration: .init(tlsConfiguration: tls, timeout: patience, serverName: "localhost")
        ) { client in
            try await body(TestCaller(client: client, headers: headers))
        }
    }
}

/// One connection, and replies read as the contract's types.
struct TestCaller: Sendable {
    let client: TestClient
    var headers: HTTPFields

    func send(
        _ method: HTTPRequest.Method, _ path: String, body: [UInt8]? = nil, headers extra: HTTPFields = [:]
    ) async throws -> TestClient.Response {
        var fields = headers
        for field in extra { fields[field.name] = field.value }
        let request = TestClient.Request(
            path, method: method, headers: fields, body: body.map { ByteBuffer(bytes: $0) })
        return try await client.execute(request)
    }

    /// Sends a message and reads a reply; an error reply is thrown as `Failure`.
    func exchange<Reply: Decodable>(
        _ method: HTTPRequest.Method, _ path: String, _ message: (any Encodable)? = nil, headers: HTTPFields = [:],
        as type: Reply.Type
    ) async throws -> Reply {
        let body = try message.map { try Wire.encode($0) }
        let response = try await send(method, path, body: body, headers: headers)
        guard (200..<300).contains(response.status.code) else { throw try Failure(response) }
        return try Wire.decode(type, from: response.bytes)
    }

    /// The error reply to a request.
    func failure(
        _ method: HTTPRequest.Method, _ path: String, _ message: (any Encodable)? = nil, headers: HTTPFields = [:]
    ) async throws -> Failure {
        let body = try message.map { try Wire.encode($0) }
        return try Failure(try await send(method, path, body: body, headers: headers))
    }
}

/// An error reply.
struct Failure: Error, Equatable {
    var status: Int
    var code: String
    var message: String

    init(_ response: TestClient.Response) throws {
        let error = try Wire.decode(APIError.self, from: response.bytes)
        status = response.status.code
        code = error.code
        message = error.message
    }
}

extension TestClient.Response {
    var bytes: [UInt8] { body.map { Array($0.readableBytesView) } ?? [] }
}
