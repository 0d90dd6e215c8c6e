import Contract
import HTTPTypes
import Synchronization

/// The streams between operators and nodes, in memory: a server that restarts ends them.
final class StreamHub: Sendable {
    /// A stream with its two directions.
    struct Entry: Sendable {
        let request: StreamRequest
        let node: NodeID
        /// Who asked for it: nobody else's it is.
        let owner: String
        /// From the node to the operator.
        let output = FramePipe()
        /// From the operator to the node.
        let input = FramePipe()
    }

    /// The four ends, each of which one connection may hold.
    enum End: Hashable, Sendable { case nodeOutput, nodeInput, operatorOutput, operatorInput }

    private struct Place {
        var entry: Entry
        /// Ends that were taken: none is taken twice.
        var taken: Set<End> = []
        let opened: ContinuousClock.Instant
        /// When the operator was last seen to take the output.
        var seen: ContinuousClock.Instant
    }

    private let places = Mutex<[String: Place]>([:])

    static let limit = 256
    static let limitOfNode = 32

    /// Adds a stream.
    func open(_ request: StreamRequest, on node: NodeID, owner: String, now: ContinuousClock.Instant = .now) throws {
        try places.withLock { places in
            guard places.count < Self.limit, places.values.count(where: { $0.entry.node == node }) < Self.limitOfNode
            else {
                throw APIFailure(
                    .serviceUnavailable, "too-many-streams", "too many streams are open; end some, or try again later",
                    headers: [.retryAfter: "30"])
            }
            places[request.id] = Place(entry: Entry(request: request, node: node, owner: owner), opened: now, seen: now)
        }
    }

    /// Streams that a node is to open and has not opened yet; nil where there are none.
    func waiting(for node: NodeID) -> [StreamRequest]? {
        let requests = places.withLock { places in
            places.values.filter { $0.entry.node == node && !$0.taken.contains(.nodeOutput) }.map(\.entry.request)
        }
        return requests.isEmpty ? nil : requests.sorted { $0.id < $1.id }
    }

    /// Who is at one of the ends of a stream.
    enum Side: Sendable {
        case node(NodeID)
        case owner(String)

        func isOf(_ entry: Entry) -> Bool {
            switch self {
            case .node(let id): entry.node == id
            case .owner(let name): entry.owner == name
            }
        }
    }

    /// Takes an end of a stream for one connection of the node's or the owner's.
    func take(_ end: End, of id: String, by side: Side, now: ContinuousClock.Instant = .now) throws -> Entry {
        try places.withLock { places in
            guard var place = places[id], side.isOf(place.entry) else { throw Self.unknown }
            guard place.taken.insert(end).inserted else {
                throw APIFailure(
                    .conflict, "stream-taken", "this end of the stream was taken already; ask for another stream")
            }
            if end == .operatorOutput { place.seen = now }
            places[id] = place
            return place.entry
        }
    }

    /// Lets go of an end. Without the operator at the output a stream is over; what the node has sent before it went can
    /// still be read.
    func release(_ end: End, of id: String) {
        switch end {
        case .nodeOutput:
            entry(id)?.output.finish()
            entry(id)?.input.close()
        case .operatorInput: entry(id)?.input.finish()
        case .operatorOutput: places.withLock { $0.removeValue(forKey: id) }?.entry.close()
        case .nodeInput: break
        }
    }

    /// Notes that the operator takes the output.
    func saw(_ id: String, now: ContinuousClock.Instant = .now) { places.withLock { $0[id]?.seen = now } }

    /// Ends a stream of its owner's.
    func end(_ id: String, by side: Side) throws {
        let place = try places.withLock { places in
            guard let place = places[id], side.isOf(place.entry) else { throw Self.unknown }
            places[id] = nil
            return place
        }
        place.entry.close()
    }

    /// Ends streams that their node does not open, or whose output nobody takes, for too long.
    func sweep(now: ContinuousClock.Instant = .now) {
        let over = places.withLock { places in
            let over = places.filter { _, place in
                let limit = Duration.seconds(StreamLimit.idleSeconds)
                return now - place.seen >= limit
                    || (!place.taken.contains(.nodeOutput) && now - place.opened >= limit)
            }
            for id in over.keys { places[id] = nil }
            return over.values.map(\.entry)
        }
        for entry in over { entry.close() }
    }

    /// Ends all streams: the server stops.
    func closeAll() {
        let all = places.withLock { places in
            let all = places.values.map(\.entry)
            places = [:]
            return all
        }
        for entry in all { entry.close() }
    }

    /// How many streams there are.
    var count: Int { places.withLock { $0.count } }

    private func entry(_ id: String) -> Entry? { places.withLock { $0[id]?.entry } }

    private static let unknown = APIFailure(
        .notFound, "stream-unknown", "there is no such stream, or it is over; ask for another")
}

extension StreamHub.Entry {
    /// Ends both directions.
    func close() {
        output.close()
        input.close()
    }
}
