import Logging
import ServiceLifecycle
import Synchronization

/// Ends all long polls and streams when the server is asked to stop.
struct PollEnder: Service, CustomStringConvertible {
    var description: String { "the end of long polls" }

    let signals: Signals
    let streams: StreamHub

    func run() async throws {
        try? await gracefulShutdown()
        signals.close()
        streams.closeAll()
    }
}

/// Removes what nobody asks for any more, once a minute.
struct Janitor: Service, CustomStringConvertible {
    var description: String { "the janitor" }

    let core: Core
    let releases: ReleaseService
    let registration: RegistrationService
    let streams: StreamHub
    let logger: Logger

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                do {
                    streams.sweep()
                    try await registration.expireIdle()
                    releases.shelf.removeAbandoned()
                } catch {
                    logger.error("tidying up failed, ignoring", metadata: ["error": "\(error)"])
                }
                try? await Task.sleep(for: .seconds(60))
            }
        }
    }
}

/// Collects where the listeners came up.
final class Listening: Sendable {
    private struct State {
        var port: Int?
        var bootPort: Int?
    }

    private let expectsBootPort: Bool
    private let state = Mutex(State())
    private let stream: AsyncStream<Server.Addresses>
    private let continuation: AsyncStream<Server.Addresses>.Continuation
    private let onRunning: @Sendable (Server.Addresses) async -> Void

    init(expectsBootPort: Bool, onRunning: @escaping @Sendable (Server.Addresses) async -> Void) {
        self.expectsBootPort = expectsBootPort
        self.onRunning = onRunning
        (stream, continuation) = AsyncStream.makeStream(of: Server.Addresses.self, bufferingPolicy: .bufferingNewest(1))
    }

    /// The port of the API, once it is known.
    var port: Int? { state.withLock { $0.port } }

    func api(_ port: Int) { note { $0.port = port } }

    func boot(_ port: Int) { note { $0.bootPort = port } }

    /// Calls back once all listeners are up.
    func announce() async {
        for await addresses in stream {
            await onRunning(addresses)
            return
        }
    }

    private func note(_ change: (inout State) -> Void) {
        let expectsBootPort = expectsBootPort
        let complete: Server.Addresses? = state.withLock { state in
            change(&state)
            guard let port = state.port, !expectsBootPort || state.bootPort != nil else { return nil }
            return Server.Addresses(port: port, bootPort: state.bootPort)
        }
        if let complete { continuation.yield(complete) }
    }
}

/// Tells the program where the server listens.
struct Announcer: Service, CustomStringConvertible {
    var description: String { "the announcer" }

    let listening: Listening

    func run() async throws {
        await cancelWhenGracefulShutdown {
            await listening.announce()
            // A service that returns ends the group.
            try? await gracefulShutdown()
        }
    }
}

/// A server with what it calls once it listens.
struct AnnouncingServer: Service, CustomStringConvertible {
    var description: String { "apusd" }

    let server: Server
    let onRunning: @Sendable (Server.Addresses) async -> Void

    func run() async throws { try await server.run(onRunning: onRunning) }
}
