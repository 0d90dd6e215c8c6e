public import Contract
import Fetch
public import Workloads

extension OperatorClient {
    /// Has a node open a conversation with one of its workloads; it begins as soon as the node hears of it.
    public func openStream(
        _ order: StreamOrder, with workload: WorkloadName, on node: NodeID
    ) throws -> OperatorStream {
        let made = try post(StreamRequest.self, "/v1/nodes/\(node)/workloads/\(workload)/streams", order)
        return OperatorStream(endpoint: endpoint, caCertificate: caCertificate, token: token, id: made.id)
    }
}

/// The operator's end of a conversation with a workload. Both directions block their threads; each may have its own.
public struct OperatorStream: Sendable {
    let endpoint: String
    let caCertificate: String
    let token: String
    /// Names it at the server.
    public let id: String

    /// Gives every frame that arrives to `onFrame`, and returns when the stream ends. What `onFrame` throws ends it.
    ///
    /// Throws `FetchError`, or `WireError` where what arrives is no stream.
    public func receive(onFrame: (StreamFrame) throws -> Void) throws {
        var reader = StreamFrameReader()
        // The server gives a sign of life where nothing is said, so that a broken connection is noticed.
        let http = try client(stallSeconds: 4 * Int(StreamLimit.heartbeatSeconds))
        try http.download(url("output"), headers: [.bearer(token)], limitBytes: .max) { bytes in
            for frame in try reader.take(bytes) { try onFrame(frame) }
        }
        guard !reader.isMidFrame else { throw FetchError.interrupted("the stream ends in the midst of a frame") }
    }

    /// Sends what `next` gives, until it gives nil; while it waits, nothing is sent.
    public func send(next: () throws -> StreamFrame?) throws {
        var pending: ArraySlice<UInt8> = []
        let headers: [HTTPHeader] = [.bearer(token), HTTPHeader("Content-Type", "application/octet-stream")]
        // A person may think for as long as they like.
        let http = try client(stallSeconds: 0)
        _ = try http.upload("PUT", url("input"), headers: headers, sizeBytes: nil) { buffer in
            if pending.isEmpty { pending = try next()?.encoded[...] ?? [] }
            let count = min(buffer.count, pending.count)
            buffer.copyBytes(from: pending.prefix(count))
            pending = pending.dropFirst(count)
            return count
        }
    }

    private func url(_ direction: String) -> String { "\(endpoint)/v1/streams/\(id)/\(direction)" }

    private func client(stallSeconds: Int) throws -> HTTPClient {
        try HTTPClient(HTTPConfiguration(caCertificates: caCertificate, stallTimeoutSeconds: stallSeconds))
    }
}
