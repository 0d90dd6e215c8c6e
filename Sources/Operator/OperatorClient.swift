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
    let token: String
    /// What the server is believed by, in PEM.
    public let caCertificate: String

    /// A client for the server at `endpoint`, such as `https://apus.example:8443`, believed by `caCertificate` (PEM).
    public init(endpoint: String, caCertificate: String, token: String) throws {
        var address = endpoint
        while address.hasSuffix("/") { address.removeLast() }
        self.endpoint = address
        self.token = token
        self.caCertificate = caCertificate
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
    @discardableResult
    public func approve(_ id: NodeID, code: String) throws -> NodeView {
        try post(NodeView.self, "/v1/nodes/\(id)/approve", ApprovalRequest(code: code))
    }

    /// Sets labels; a nil value removes.
    @discardableResult
    public func label(_ id: NodeID, _ labels: [String: String?]) throws -> NodeView {
        try post(NodeView.self, "/v1/nodes/\(id)/labels", LabelRequest(labels: labels))
    }

    /// Retires a node for good.
    @discardableResult
    public func retire(_ id: NodeID) throws -> NodeView { try post(NodeView.self, "/v1/nodes/\(id)/retire", Empty()) }

    /// Has a node provisioned again.
    @discardableResult
    public func reprovision(_ id: NodeID, wipeState: Bool) throws -> NodeCommand {
        let request = CommandRequest(kind: .reprovision, wipeState: wipeState)
        return try post(NodeCommand.self, "/v1/nodes/\(id)/reprovision", request)
    }

    /// Sets the release that a node should run.
    @discardableResult
    public func upgrade(_ id: NodeID, to release: Digest256, probation: ProbationRule? = nil) throws -> NodeView {
        let request = UpgradeRequest(release: release, probation: probation)
        return try post(NodeView.self, "/v1/nodes/\(id)/upgrade", request)
    }

    /// Asks a node to do something once.
    @discardableResult
    public func command(_ id: NodeID, _ kind: NodeCommand.Kind) throws -> NodeCommand {
        try post(NodeCommand.self, "/v1/nodes/\(id)/commands", CommandRequest(kind: kind))
    }

    /// Takes a node out of service, or back into it.
    @discardableResult
    public func maintenance(_ id: NodeID, enabled: Bool, reason: String?) throws -> NodeView {
        let request = MaintenanceRequest(enabled: enabled, reason: reason)
        return try post(NodeView.self, "/v1/nodes/\(id)/maintenance", request)
    }

    /// All log pieces after `after`, of one source or of all, fetched page by page; the first page is waited for up to
    /// `waitSeconds`.
    public func logs(_ id: NodeID, after: Int64 = 0, source: String? = nil, waitSeconds: Int = 0) throws -> [LogEntry] {
        var entries: [LogEntry] = []
        while true {
            let filter = source.map { "&source=\($0)" } ?? ""
            let wait = entries.isEmpty ? waitSeconds : 0
            let path = "/v1/nodes/\(id)/logs?after=\(entries.last?.sequence ?? after)\(filter)&waitSeconds=\(wait)"
            let page = try get(LogList.self, path, timeoutSeconds: wait + 30).entries
            guard !page.isEmpty else { return entries }
            entries += page
        }
    }

    /// Events after `after`, of one node or of all, waiting up to `waitSeconds` for the first.
    public func events(after: Int64 = 0, node: NodeID? = nil, waitSeconds: Int = 0) throws -> [Event] {
        let filter = node.map { "&node=\($0)" } ?? ""
        let path = "/v1/events?after=\(after)&waitSeconds=\(waitSeconds)\(filter)"
        return try get(EventList.self, path, timeoutSeconds: waitSeconds + 30).events
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
        try post(TokenView.self, "/v1/tokens", request)
    }

    /// Revokes a join token.
    @discardableResult
    public func revokeToken(_ id: String) throws -> TokenView {
        try post(TokenView.self, "/v1/tokens/\(id)/revoke", Empty())
    }

    /// All published releases.
    public func releases() throws -> [ReleaseView] { try get(ReleaseList.self, "/v1/releases").releases }

    /// Has new nodes installed with a release.
    @discardableResult
    public func makeDefault(_ release: Digest256) throws -> ReleaseView {
        try post(ReleaseView.self, "/v1/releases/\(release)/default", Empty())
    }

    /// Removes a release that no node needs, files and all.
    @discardableResult
    public func removeRelease(_ release: Digest256) throws -> ReleaseView {
        let reply = try http.request(
            "DELETE", endpoint + "/v1/releases/\(release)", headers: [.bearer(token)],
            limitBytes: Self.replyLimitBytes, timeoutSeconds: 120)
        return try Wire.decode(ReleaseView.self, from: reply.body, limit: Self.replyLimitBytes)
    }

    /// The keys whose signature makes a release publishable.
    public func releaseKeys() throws -> ReleaseKeyList { try get(ReleaseKeyList.self, "/v1/release-keys") }

    /// Lets releases signed by `key` be published.
    @discardableResult
    public func trust(_ key: ReleaseKey) throws -> ReleaseKeyList {
        try post(ReleaseKeyList.self, "/v1/release-keys", key)
    }

    /// What a boot artifact of this site is built with.
    public func trust() throws -> SiteTrust { try get(SiteTrust.self, "/v1/trust") }

    // MARK: - Plumbing

    /// The largest reply that is accepted, in bytes.
    static let replyLimitBytes = 16 << 20

    private struct Empty: Encodable {}

    func get<Value: Decodable>(
        _ type: Value.Type, _ path: String, limitBytes: Int = replyLimitBytes, timeoutSeconds: Int = 60
    ) throws -> Value {
        let reply = try http.request(
            "GET", endpoint + path, headers: [.bearer(token)], limitBytes: limitBytes, timeoutSeconds: timeoutSeconds)
        return try Wire.decode(type, from: reply.body, limit: limitBytes)
    }

    func post<Value: Decodable>(
        _ type: Value.Type, _ path: String, _ body: some Encodable, timeoutSeconds: Int = 60
    ) throws -> Value {
        try send("POST", type, path, try Wire.encode(body), timeoutSeconds: timeoutSeconds)
    }

    /// Sends JSON that is encoded already; without any, the request has no body.
    func send<Value: Decodable>(
        _ method: String, _ type: Value.Type, _ path: String, _ body: [UInt8]? = nil, timeoutSeconds: Int = 60
    ) throws -> Value {
        let reply = try http.request(
            method, endpoint + path, headers: [.bearer(token), .json], body: body, limitBytes: Self.replyLimitBytes,
            timeoutSeconds: timeoutSeconds)
        return try Wire.decode(type, from: reply.body, limit: Self.replyLimitBytes)
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
