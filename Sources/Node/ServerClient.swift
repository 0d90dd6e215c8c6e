public import Contract
public import Fetch

/// Requests to `apusd`, one function per route of the API; blocks its thread.
///
/// Belongs to one thread, as its HTTP client does; make one per thread.
public final class ServerClient {
    /// The server's address, `https://host:port`.
    public let endpoint: String
    private let http: HTTPClient

    /// Makes a client that believes only servers with a certificate of `caCertificate`'s authority.
    /// - Parameters:
    ///   - identity: the node's certificate and key, once it is admitted.
    ///   - stallSeconds: how long a transfer may rest before it is given up; 0 for as long as it likes.
    /// - Throws: `FetchError.invalid`.
    public init(
        endpoint: String, caCertificate: String, identity: ClientIdentity? = nil, proxy: String? = nil,
        stallSeconds: Int = 30
    ) throws {
        self.endpoint = endpoint
        http = try HTTPClient(
            HTTPConfiguration(
                caCertificates: caCertificate, identity: identity, proxy: proxy, stallTimeoutSeconds: stallSeconds))
    }

    // MARK: - Without a certificate

    /// Asks whether the server is there and is the one that we believe: `GET /healthz`.
    public func checkHealth(timeoutSeconds: Int = 20) throws {
        _ = try http.request("GET", endpoint + "/healthz", timeoutSeconds: timeoutSeconds)
    }

    /// Sends the commitment of a registration.
    public func register(_ request: RegistrationRequest) throws -> RegistrationReply {
        try post("/v1/registrations", request, reply: RegistrationReply.self)
    }

    /// Opens the commitment of a registration.
    public func reveal(_ reveal: RegistrationReveal, of reply: RegistrationReply) throws -> RegistrationStatus {
        try post(
            "/v1/registrations/\(try segment(reply.registrationID))/reveal", reveal, reply: RegistrationStatus.self,
            headers: [.bearer(reply.secret)])
    }

    /// Asks where a registration stands; the server answers when it changes, or after `waitSeconds`.
    public func registration(_ reply: RegistrationReply, waitSeconds: Int) throws -> RegistrationStatus {
        let wait = min(waitSeconds, WireLimit.longPollSeconds)
        return try get(
            "/v1/registrations/\(try segment(reply.registrationID))?waitSeconds=\(wait)", RegistrationStatus.self,
            headers: [.bearer(reply.secret)], timeoutSeconds: wait + 30)
    }

    // MARK: - With the node's certificate

    /// The plan's envelope as the server sent it, not yet verified.
    public func planEnvelope() throws -> [UInt8] {
        try http.request("GET", endpoint + "/v1/node/plan").body
    }

    /// Reports progress of steps, at most 64.
    public func post(steps: [StepReport]) throws {
        try post("/v1/node/steps", StepReports(steps: steps))
    }

    /// Sends a piece of the log.
    public func post(log: LogChunk) throws { try post("/v1/node/log", log) }

    /// Tells of something that happened.
    public func post(event: NodeEvent) throws { try post("/v1/node/events", event) }

    /// Reports the node's status.
    public func post(status: NodeStatus) throws -> StatusReply {
        try post("/v1/node/status", status, reply: StatusReply.self)
    }

    /// What the server wants, when it is newer than `generation`; nil where nothing changed within `waitSeconds`.
    public func desired(
        after generation: Int, waitSeconds: Int, cancellation: Cancellation? = nil
    ) throws -> DesiredState? {
        let wait = max(0, min(waitSeconds, WireLimit.longPollSeconds))
        let response = try http.request(
            "GET", endpoint + "/v1/node/desired?after=\(generation)&waitSeconds=\(wait)", timeoutSeconds: wait + 30,
            cancellation: cancellation)
        guard !response.body.isEmpty else { return nil }
        let state = try Wire.decode(DesiredState.self, from: response.body)
        return state.generation > generation ? state : nil
    }

    // MARK: - Releases

    /// The files of a release.
    public enum ReleaseFile: String, Sendable {
        /// The signed manifest.
        case manifest = "manifest.json"
        /// The frame table.
        case frames
        /// All compressed frames.
        case pack
    }

    /// The address of one of a release's files.
    public func releaseURL(_ release: Digest256, _ file: ReleaseFile) -> String {
        "\(endpoint)/v1/releases/\(release)/\(file.rawValue)"
    }

    /// A release's manifest as the server sent it, not yet verified.
    public func manifest(of release: Digest256) throws -> [UInt8] {
        try http.request("GET", releaseURL(release, .manifest), limitBytes: WireLimit.manifest).body
    }

    /// A release's frame table as the server sent it, not yet verified; refused when it is not `sizeBytes` long.
    public func frameTable(of release: Digest256, sizeBytes: UInt64) throws -> [UInt8] {
        guard sizeBytes <= UInt64(WireLimit.frameTable) else {
            throw NodeError("the frame table of \(sizeBytes) bytes is larger than \(WireLimit.frameTable) bytes")
        }
        var table: [UInt8] = []
        table.reserveCapacity(Int(sizeBytes))
        try http.download(releaseURL(release, .frames), limitBytes: sizeBytes) { table.append(contentsOf: $0) }
        guard table.count == Int(sizeBytes) else {
            throw NodeError("the frame table has \(table.count) of \(sizeBytes) bytes")
        }
        return table
    }

    // MARK: - Streams

    /// Sends frames of a stream until `next` gives nil; while it waits, nothing is sent.
    public func send(stream id: String, next: () throws -> StreamFrame?) throws {
        var pending: ArraySlice<UInt8> = []
        let url = "\(endpoint)/v1/node/streams/\(try segment(id))/output"
        let headers = [HTTPHeader("Content-Type", "application/octet-stream")]
        _ = try http.upload("PUT", url, headers: headers, sizeBytes: nil) { buffer in
            if pending.isEmpty { pending = try next()?.encoded[...] ?? [] }
            let count = min(buffer.count, pending.count)
            buffer.copyBytes(from: pending.prefix(count))
            pending = pending.dropFirst(count)
            return count
        }
    }

    /// Gives every frame of a stream that arrives to `onFrame`, until the stream ends.
    public func receive(stream id: String, onFrame: (StreamFrame) throws -> Void) throws {
        var reader = StreamFrameReader()
        try http.download("\(endpoint)/v1/node/streams/\(try segment(id))/input", limitBytes: .max) { bytes in
            for frame in try reader.take(bytes) { try onFrame(frame) }
        }
    }

    // MARK: - What early boot does not know

    /// What a route with the node's certificate answers, at most `limitBytes`; `path` is the caller's own text.
    public func bytes(at path: String, limitBytes: Int) throws -> [UInt8] {
        try http.request("GET", endpoint + path, limitBytes: limitBytes).body
    }

    /// Sends a message to a route with the node's certificate; `path` is the caller's own text.
    public func post(_ message: some Encodable, to path: String) throws { _ = try send(path, message) }

    // MARK: - The common part

    private func get<Reply: Decodable>(
        _ path: String, _ type: Reply.Type, headers: [HTTPHeader] = [], timeoutSeconds: Int = 60
    ) throws -> Reply {
        let response = try http.request("GET", endpoint + path, headers: headers, timeoutSeconds: timeoutSeconds)
        return try Wire.decode(type, from: response.body)
    }

    private func post<Reply: Decodable>(
        _ path: String, _ message: some Encodable, reply: Reply.Type, headers: [HTTPHeader] = []
    ) throws -> Reply {
        try Wire.decode(reply, from: try send(path, message, headers: headers).body)
    }

    private func post(_ path: String, _ message: some Encodable) throws { _ = try send(path, message) }

    private func send(
        _ path: String, _ message: some Encodable, headers: [HTTPHeader] = []
    ) throws -> HTTPResponse {
        try http.request(
            "POST", endpoint + path, headers: [HTTPHeader("Content-Type", "application/json")] + headers,
            body: try Wire.encode(message))
    }

    /// An identifier that the server chose goes into a path only where it cannot change that path.
    private func segment(_ text: String) throws -> String {
        guard (1...128).contains(text.utf8.count),
            text.utf8.allSatisfy({
                (0x30...0x39).contains($0) || (0x41...0x5a).contains($0) || (0x61...0x7a).contains($0)
                    || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_")
            })
        else { throw NodeError("the server gave a registration or a stream an unusable name") }
        return text
    }
}
