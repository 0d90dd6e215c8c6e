public import Contract
public import Workloads

extension OperatorClient {
    /// All workloads, fetched page by page.
    public func workloads() throws -> [WorkloadView] {
        var workloads: [WorkloadView] = []
        while true {
            let after = workloads.last.map { "?after=\($0.name)" } ?? ""
            let page = try get(WorkloadList.self, "/v1/workloads" + after).workloads
            guard !page.isEmpty else { return workloads }
            workloads += page
        }
    }

    /// One workload: its document, its revisions, and how it stands on each node.
    public func workload(_ name: WorkloadName) throws -> WorkloadDetail {
        try get(WorkloadDetail.self, "/v1/workloads/\(name)")
    }

    /// Makes a workload what a document says; its image may be named by a tag, which the server resolves once.
    @discardableResult
    public func apply(_ name: WorkloadName, document: DocumentValue) throws -> AppliedWorkload {
        // The server may have to ask a registry, or two, meanwhile.
        try send("PUT", AppliedWorkload.self, "/v1/workloads/\(name)", document.json, timeoutSeconds: 180)
    }

    /// Has a workload removed from every node and forgotten, with its revisions.
    @discardableResult
    public func deleteWorkload(_ name: WorkloadName) throws -> Acknowledgement {
        try send("DELETE", Acknowledgement.self, "/v1/workloads/\(name)")
    }

    /// The revisions of a workload that are kept, newest first.
    public func revisions(_ name: WorkloadName) throws -> [WorkloadRevisionView] {
        try get(WorkloadRevisionList.self, "/v1/workloads/\(name)/revisions").revisions
    }

    /// Goes back to a revision, by at least eight digits of its name; nil takes the newest before the present one.
    @discardableResult
    public func rollBack(_ name: WorkloadName, to revision: String? = nil) throws -> WorkloadDetail {
        try post(WorkloadDetail.self, "/v1/workloads/\(name)/rollback", RollbackRequest(revision: revision))
    }

    /// What an operator can ask of a running workload.
    public enum WorkloadAction: String, Sendable {
        /// Stop it on every node until it is started.
        case stop
        /// Start it again.
        case start
        /// Stop and start it, one that was given up included.
        case restart
    }

    /// Asks for something on every node that runs a workload.
    @discardableResult
    public func act(_ action: WorkloadAction, on name: WorkloadName) throws -> WorkloadDetail {
        try post(WorkloadDetail.self, "/v1/workloads/\(name)/\(action.rawValue)", [String: String]())
    }

    /// The secrets' names, without their values.
    public func secrets() throws -> [SecretView] { try get(SecretList.self, "/v1/secrets").secrets }

    /// Sets a secret's value.
    @discardableResult
    public func setSecret(_ name: WorkloadName, _ value: SecretValue) throws -> SecretView {
        let body = try Wire.encode(SecretRequest(value: value))
        return try send("PUT", SecretView.self, "/v1/secrets/\(name)", body)
    }

    /// Forgets a secret.
    @discardableResult
    public func deleteSecret(_ name: WorkloadName) throws -> Acknowledgement {
        try send("DELETE", Acknowledgement.self, "/v1/secrets/\(name)")
    }

    /// The registries, without their passwords.
    public func registries() throws -> [RegistryView] { try get(RegistryList.self, "/v1/registries").registries }

    /// Says how a registry is reached, in place of what was said before.
    @discardableResult
    public func setRegistry(_ host: String, _ request: RegistryRequest) throws -> RegistryView {
        try send("PUT", RegistryView.self, "/v1/registries/\(host)", try Wire.encode(request))
    }

    /// Forgets what was said of a registry.
    @discardableResult
    public func deleteRegistry(_ host: String) throws -> Acknowledgement {
        try send("DELETE", Acknowledgement.self, "/v1/registries/\(host)")
    }

    /// What nodes let workloads have: the policy that holds for one node, or the site's where none is given.
    public func workloadPolicy(of node: NodeID? = nil) throws -> NodePolicy {
        try get(NodePolicy.self, Self.policyPath(node))
    }

    /// Sets a node's own policy, or the site's where no node is given.
    @discardableResult
    public func setWorkloadPolicy(_ policy: NodePolicy, of node: NodeID? = nil) throws -> NodePolicy {
        try send("PUT", NodePolicy.self, Self.policyPath(node), try Wire.encode(policy))
    }

    /// Takes a node's own policy away: the site's holds for it again.
    @discardableResult
    public func resetWorkloadPolicy(of node: NodeID) throws -> NodePolicy {
        try send("DELETE", NodePolicy.self, Self.policyPath(node))
    }

    private static func policyPath(_ node: NodeID?) -> String {
        node.map { "/v1/nodes/\($0)/workload-policy" } ?? "/v1/workload-policy"
    }
}
