internal import Contract
internal import Linux
internal import Node
internal import Sandbox
internal import Synchronization

/// Opens the streams that operators ask for: a thread each for what goes out, and one for what comes in where a command
/// takes input. A stream that fails tells its operator, and nobody else.
final class StreamThreads: Sendable {
    private let streams: WorkloadStreams
    private let connect: @Sendable (_ stallSeconds: Int) throws -> ServerClient
    private let content = Mutex(Content())

    private struct Content {
        /// Those under way and those that were: the server asks for one until it is open.
        var known: [String] = []
        var open = 0
    }

    /// Most streams at once.
    static let limit = 16
    /// How many names are remembered.
    private static let memory = 256

    init(_ streams: WorkloadStreams, connect: @escaping @Sendable (_ stallSeconds: Int) throws -> ServerClient) {
        self.streams = streams
        self.connect = connect
    }

    /// Opens those that are not open yet.
    func open(_ requests: [StreamRequest]) throws {
        for request in requests {
            let isNew = content.withLock { content in
                guard !content.known.contains(request.id) else { return false }
                content.known.append(request.id)
                if content.known.count > Self.memory { content.known.removeFirst() }
                content.open += 1
                return true
            }
            guard isNew else { continue }
            do {
                try WorkerThread { self.run(request) }.detach()
            } catch {
                content.withLock { $0.open -= 1 }
                throw error
            }
        }
    }

    private func run(_ request: StreamRequest) {
        defer { content.withLock { $0.open -= 1 } }
        do {
            guard content.withLock({ $0.open <= Self.limit }) else {
                throw SandboxError("\(Self.limit) streams are open on this node; end some")
            }
            let process = try streams.start(request)
            defer { process.kill() }
            if streams.takesInput(request) { try feed(process, request) } else { process.closeInput() }
            try send(process, request)
        } catch let error as SandboxError {
            refuse(request, error.description)
        } catch let error as SystemError {
            refuse(request, error.description)
        } catch {
            // The connection failed: the server tells the operator.
        }
    }

    private func send(_ process: PipedProcess, _ request: StreamRequest) throws {
        var isOver = false
        let wait = Int(StreamLimit.heartbeatSeconds) * 1000
        // The operator takes what comes as slowly as they like.
        try connect(0).send(stream: request.id) {
            guard !isOver else { return nil }
            let piece = try process.read(waitingMilliseconds: wait)
            if case .ended = piece { isOver = true }
            return WorkloadStreams.frame(piece)
        }
    }

    /// What comes in ends when the stream does: the server closes it.
    private func feed(_ process: PipedProcess, _ request: StreamRequest) throws {
        let connect = connect
        try WorkerThread {
            // The operator's end was never opened, or is gone: the command reads the end of its input.
            defer { process.closeInput() }
            try? connect(4 * Int(StreamLimit.heartbeatSeconds)).receive(stream: request.id) { frame in
                guard frame.kind == .input else { return }
                if frame.bytes.isEmpty { process.closeInput() } else { _ = process.write(frame.bytes) }
            }
        }.detach()
    }

    private func refuse(_ request: StreamRequest, _ reason: String) {
        var frame: StreamFrame? = StreamFrame(.failure, Array(reason.utf8.prefix(1024)))
        // The operator hears of a broken connection instead.
        try? connect(30).send(stream: request.id) {
            defer { frame = nil }
            return frame
        }
    }
}
