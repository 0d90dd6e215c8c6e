public import Contract
import Fetch
import FoundationEssentials

/// The operator's side of the API, one function a route; blocks its thread.
///
/// Every function throws `FetchError` with the server's own sentence, or `WireError` where a reply is not understood.
public final class OperatorClient {
    /// The server's address, without a slash at its end.
    public let endpoint: String
    private let http: HTTPClient
    private let token: String

    /// A client for the server at `endpoint`, such as `https://apus.example:8443`, believed by `caCertificate` (PEM).
    public init(endpoint: String, caCertificate: String, token: String) throws {
        var address = endpoint
        while address.hasSuffix("/") { address.removeLast() }
        self.endpoint = address
        self.token = token
        http = try HTTPClient(HTTPConfiguration(caCertificates: caCertificate))
    }

    /// Whether the server works: `GET /healthz`.
    public func health(timeoutSeconds: Int = 5) throws {
        _ = try http.request("GET", endpoint + "/healthz", timeoutSeconds: timeoutSeconds)
    }

    /// All nodes, fetched page by page.
    public func nodes() throws -> [NodeView] {
        var nodes: [NodeView] = []
        while true {
            let after = nodes.last.map { "?after=\($0.id)" } ?? ""
            let page = try get(NodeList.self, "/v1/nodes" + after).nodes
            guard !page.isEmpty else { return nodes }
            nodes += page
        }
    }

    /// One node.
    public func node(_ id: NodeID) throws -> NodeView { try get(NodeView.self, "/v1/nodes/\(id)") }

    /// Admits a pending node whose code was compared.
    public func approve(_ id: NodeID, code: String) throws {
        try post("/v1/nodes/\(id)/approve", ApprovalRequest(code: code))
    }

    /// Sets labels; a nil value removes.
    public func label(_ id: NodeID, _ labels: [String: String?]) throws {
        try post("/v1/nodes/\(id)/labels", LabelRequest(labels: labels))
    }

    /// Retires a node for good.
    public func retire(_ id: NodeID) throws { try post("/v1/nodes/\(id)/retire", Empty()) }

    /// Has a node provisioned again.
    public func reprovision(_ id: NodeID, wipeState: Bool) throws {
        try post("/v1/nodes/\(id)/reprovision", CommandRequest(kind: .reprovision, wipeState: wipeState))
    }

    /// Sets the release that a node should run.
    public func upgrade(_ id: NodeID, to release: Digest256, probation: ProbationRule? = nil) throws {
        try post("/v1/nodes/\(id)/upgrade", UpgradeRequest(release: release, probation: probation))
    }

    /// Asks a node to do something once.
    public func command(_ id: NodeID, _ kind: NodeCommand.Kind) throws {
        try post("/v1/nodes/\(id)/commands", CommandRequest(kind: kind))
    }

    /// Takes a node out of service, or back into it.
    public func maintenance(_ id: NodeID, enabled: Bool, reason: String?) throws {
        try post("/v1/nodes/\(id)/maintenance", MaintenanceRequest(enabled: enabled, reason: reason))
    }

    /// Log pieces after `after`, of one source or of all, waiting up to `waitSeconds` for the first.
    public func logs(_ id: NodeID, after: Int64 = 0, source: String? = nil, waitSeconds: Int = 0) throws -> [LogEntry] {
        let filter = source.map { "&source=\($0)" } ?? ""
        let path = "/v1/nodes/\(id)/logs?after=\(after)\(filter)&waitSeconds=\(waitSeconds)"
        return try get(LogList.self, path, limitBytes: 64 << 20, timeoutSeconds: waitSeconds + 30).entries
    }

    /// Events after `after`, of one node or of all, waiting up to `waitSeconds` for the first.
    public func events(after: Int64 = 0, node: NodeID? = nil, waitSeconds: Int = 0) throws -> [Event] {
        let filter = node.map { "&node=\($0)" } ?? ""
        let path = "/v1/events?after=\(after)&waitSeconds=\(waitSeconds)\(filter)"
        return try get(EventList.self, path, limitBytes: 16 << 20, timeoutSeconds: waitSeconds + 30).events
    }

    /// The number of the newest event, 0 where there is none; fetched page by page.
    public func newestEvent() throws -> Int64 {
        var newest: Int64 = 0
        while let last = try events(after: newest).last { newest = last.sequence }
        return newest
    }

    /// All join tokens.
    public func tokens() throws -> [TokenView] { try get(TokenList.self, "/v1/tokens").tokens }

    /// Makes a join token; only this reply has its secret.
    public func createToken(_ request: TokenRequest) throws -> TokenView {
        try Wire.decode(TokenView.self, from: try send("POST", "/v1/tokens", try Wire.encode(request)))
    }

    /// Revokes a join token.
    public func revokeToken(_ id: String) throws { try post("/v1/tokens/\(id)/revoke", Empty()) }

    /// All published releases.
    public func releases() throws -> [ReleaseView] { try get(ReleaseList.self, "/v1/releases").releases }

    /// Has new nodes installed with a release.
    public func makeDefault(_ release: Digest256) throws { try post("/v1/releases/\(release)/default", Empty()) }

    /// The keys whose signature makes a release publishable.
    public func releaseKeys() throws -> ReleaseKeyList { try get(ReleaseKeyList.self, "/v1/release-keys") }

    /// Lets releases signed by `key` be published.
    public func trust(_ key: ReleaseKey) throws { try post("/v1/release-keys", key) }

    /// What a boot artifact of this site is built with.
    public func trust() throws -> SiteTrust { try get(SiteTrust.self, "/v1/trust") }

    // MARK: - Plumbing

    private struct Empty: Encodable {}

    func get<Value: Decodable>(
        _ type: Value.Type, _ path: String, limitBytes: Int = 16 << 20, timeoutSeconds: Int = 60
    ) throws -> Value {
        let reply = try http.request(
            "GET", endpoint + path, headers: [.bearer(token)], limitBytes: limitBytes, timeoutSeconds: timeoutSeconds)
        return try Wire.decode(type, from: reply.body, limit: limitBytes)
    }

    func post(_ path: String, _ body: some Encodable) throws {
        _ = try send("POST", path, try Wire.encode(body))
    }

    @discardableResult
    func send(_ method: String, _ path: String, _ body: [UInt8]) throws -> [UInt8] {
        try http.request(method, endpoint + path, headers: [.bearer(token), .json], body: body).body
    }

    /// Sends a file as the body, piece by piece.
    func upload(_ path: String, file: String, onProgress: (UInt64, UInt64) -> Void) throws {
        let handle = try UploadFile(path: file)
        var sent: UInt64 = 0
        _ = try http.upload(
            "PUT", endpoint + path, headers: [.bearer(token), HTTPHeader("Content-Type", "application/octet-stream")],
            sizeBytes: handle.sizeBytes
        ) { buffer in
            let count = try handle.read(into: buffer)
            sent += UInt64(count)
            onProgress(sent, handle.sizeBytes)
            return count
        }
    }
}
