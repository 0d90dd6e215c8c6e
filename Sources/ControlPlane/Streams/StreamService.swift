import Access
import Contract
import HTTPTypes
import Hummingbird
import NIOCore
import Store
import Workloads

/// Makes streams, and carries frames between their ends.
struct StreamService: Sendable {
    let core: Core
    let hub: StreamHub

    /// Makes a stream and wakes its node.
    func open(
        _ order: StreamOrder, to name: WorkloadName, on id: NodeID, by principal: Principal
    ) async throws -> StreamRequest {
        let request = try Self.request(order, name)
        let (core, hub) = (core, hub)
        return try await core.change { transaction, announcements in
            let node = try NodeService.find(id, transaction)
            guard node.wasAdmitted, node.state != .retired else {
                throw APIFailure(.conflict, "not-admitted", "node \(id) is \(node.state.rawValue)")
            }
            let isThere = try transaction.reports(workload: name).contains { $0.node == id }
            guard try isThere || Self.isPlaced(name, on: node, transaction) else {
                throw APIFailure(
                    .notFound, "workload-elsewhere",
                    "workload '\(name)' does not run on node \(id); 'apus workload show \(name)' says where it does")
            }
            // Whoever may read logs may not therefore give orders.
            if request.kind != .logs { try principal.demand(.workloadExec, on: id, labels: node.labels) }
            try hub.open(request, on: id, owner: principal.name)
            try transaction.raiseGeneration(of: id)
            try announcements.event(
                transaction, at: core.now(), node: id, kind: "stream",
                "an operator asked for \(request.kind.rawValue) of workload '\(name)'")
            announcements.add(.desired(id))
            return request
        }
    }

    /// Takes frames from a body until it ends, and passes them on.
    ///
    /// - Parameter kinds: what may come; anything else ends the stream.
    func send(
        _ body: RequestBody, to pipe: FramePipe, kinds: Set<StreamFrame.Kind>
    ) async throws -> StreamFrame.Kind? {
        var reader = StreamFrameReader()
        var last: StreamFrame.Kind?
        for try await buffer in body {
            let frames: [StreamFrame]
            do {
                frames = try reader.take(buffer.readableBytesView)
            } catch {
                throw APIFailure.malformed(error.description)
            }
            for frame in frames where frame.kind != .idle {
                guard kinds.contains(frame.kind) else {
                    throw APIFailure.malformed("frames of kind \(frame.kind.rawValue) do not belong here")
                }
                do {
                    try await pipe.send(frame)
                } catch is FramePipe.Closed {
                    throw APIFailure(.gone, "stream-over", "the stream is over")
                }
                last = frame.kind
            }
        }
        guard !reader.isMidFrame else { throw APIFailure.malformed("the stream ends in the middle of a frame") }
        return last
    }

    /// A reply of frames as they come, with a sign of life where there are none.
    func reply(
        from pipe: FramePipe, onLife: @escaping @Sendable () -> Void, onEnd: @escaping @Sendable () -> Void
    ) -> Response {
        let body = ResponseBody { writer in
            defer { onEnd() }
            while true {
                switch try await pipe.receive(within: .seconds(StreamLimit.heartbeatSeconds)) {
                case .frame(let frame):
                    try await writer.write(ByteBuffer(bytes: frame.encoded))
                case .nothing: try await writer.write(ByteBuffer(bytes: StreamFrame(.idle).encoded))
                case .end: return try await writer.finish(nil)
                }
                onLife()
            }
        }
        return Response(
            status: .ok, headers: [.contentType: "application/vnd.apus.stream", .cacheControl: "no-store"], body: body)
    }

    // MARK: - Parts

    private static func isPlaced(
        _ name: WorkloadName, on node: NodeRecord, _ transaction: any StoreTransaction
    ) throws -> Bool {
        let stored = try WorkloadService.find(name, transaction)
        guard let workload = try? Workload(parsing: Array(stored.document.utf8)) else { return false }
        return WorkloadPlacer.runs(
            workload.revision.placement, on: PlaceableNode(id: node.id, labels: node.labels))
    }

    private static func request(_ order: StreamOrder, _ name: WorkloadName) throws -> StreamRequest {
        let words = order.command ?? []
        switch order.kind {
        case .exec:
            guard (1...StreamLimit.commandWords).contains(words.count), words[0] != "",
                words.reduce(0, { $0 + $1.utf8.count }) <= StreamLimit.command,
                !words.contains(where: { $0.utf8.contains(0) })
            else {
                throw APIFailure.malformed(
                    "field 'command' has 1 to \(StreamLimit.commandWords) words, together at most "
                        + "\(StreamLimit.command) bytes, without NUL")
            }
        case .logs, .attach:
            guard words.isEmpty else { throw APIFailure.malformed("field 'command' belongs to kind 'exec'") }
        }
        guard (0...StreamLimit.tailLines).contains(order.tail ?? 0) else {
            throw APIFailure.malformed("field 'tail' is a number of lines up to \(StreamLimit.tailLines)")
        }
        return StreamRequest(
            id: try Secrets.word(characters: 26), workload: name.rawValue, kind: order.kind,
            command: order.kind == .exec ? words : nil, tty: order.kind != .logs && (order.tty ?? false),
            follow: order.kind == .logs && (order.follow ?? false), tail: order.kind == .logs ? order.tail : nil)
    }
}
