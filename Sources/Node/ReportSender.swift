internal import Contract
public import Fetch
internal import Linux
import Synchronization

/// Where a node's own messages go, and as whom.
public struct ServerAccess: Sendable {
    /// The server's address.
    public var endpoint: String
    /// The CA's certificate in PEM.
    public var caCertificate: String
    /// The node's certificate and key, once it is admitted.
    public var identity: ClientIdentity?
    /// An HTTP proxy.
    public var proxy: String?

    /// Describes a way to the server.
    public init(endpoint: String, caCertificate: String, identity: ClientIdentity? = nil, proxy: String? = nil) {
        self.endpoint = endpoint
        self.caCertificate = caCertificate
        self.identity = identity
        self.proxy = proxy
    }

    /// A client for one thread.
    /// - Parameter stallSeconds: how long a transfer may rest before it is given up; 0 for as long as it likes.
    /// - Throws: `FetchError.invalid`.
    public func client(stallSeconds: Int = 30) throws -> ServerClient {
        try ServerClient(
            endpoint: endpoint, caCertificate: caCertificate, identity: identity, proxy: proxy,
            stallSeconds: stallSeconds)
    }
}

/// Sends a queue's reports to the server from a thread of its own, for as long as the program runs: what cannot be sent
/// waits, and the work never waits for it.
public final class ReportSender: Sendable {
    private let queue: ReportQueue
    private let source: String
    private let access: ServerAccess
    private let isSending = Atomic<Bool>(true)

    /// Starts sending; `source` is `init` or `agent`.
    /// - Throws: `SystemError` where no thread can be started.
    public init(queue: ReportQueue, source: String, access: ServerAccess) throws {
        self.queue = queue
        self.source = source
        self.access = access
        try WorkerThread { [self] in loop() }.detach()
    }

    /// Waits, at most that long, until everything that was queued has been sent.
    /// - Returns: whether it was.
    @discardableResult
    public func flush(milliseconds: Int64) -> Bool {
        let deadline = Clock.monotonicMilliseconds() + milliseconds
        while !queue.isEmpty || isSending.load(ordering: .acquiring) {
            guard Clock.monotonicMilliseconds() < deadline else { return false }
            NodeClock.pause(milliseconds: 20)
        }
        return true
    }

    private func loop() {
        var backoff = Backoff(firstMilliseconds: 1000, longestMilliseconds: 30_000, attempts: nil)
        var client: ServerClient?
        while true {
            isSending.store(true, ordering: .releasing)
            let batch = queue.take()
            guard !batch.isEmpty else {
                isSending.store(false, ordering: .releasing)
                NodeClock.pause(milliseconds: 200)
                continue
            }
            do {
                if client == nil { client = try access.client() }
                if let client { try send(batch, over: client) }
                backoff.reset()
            } catch {
                isSending.store(false, ordering: .releasing)
                // A connection that failed is not used again: the network may have changed below it.
                client = nil
                NodeClock.pause(milliseconds: Int64(backoff.next(random: .random(in: 0 ... .max)) ?? 30_000))
            }
        }
    }

    private func send(_ batch: ReportQueue.Batch, over client: ServerClient) throws {
        var rest = batch
        do {
            if !rest.steps.isEmpty { try client.post(steps: rest.steps) }
            rest.steps = []
            if !rest.log.isEmpty { try client.post(log: LogChunk(source: source, text: rest.log)) }
        } catch let error as FetchError where ReportSender.isRefusal(error) {
            // The server will never take this batch; the next may be fine: ignoring.
        } catch {
            queue.putBack(rest)
            throw error
        }
    }

    /// Whether repeating the same message is pointless: the server read it and refused it.
    private static func isRefusal(_ error: FetchError) -> Bool {
        guard case .status(let code, _) = error else { return false }
        return code == 400 || code == 404 || code == 413 || code == 422
    }
}
