public import Contract

/// What `PUT /v1/workloads/{name}` answers; its body is the document itself.
public struct AppliedWorkload: Sendable, Codable, Equatable {
    /// The workload.
    public var name: WorkloadName
    /// The revision that is wanted from now on.
    public var revision: Digest256
    /// The image by digest, after its tag was resolved.
    public var image: String
    /// Whether anything is now other than before, labels included.
    public var isChanged: Bool
    /// The nodes that run it; empty where none matches its placement.
    public var nodes: [NodeID]
    /// What is not wrong, but worth knowing: a secret that is not there yet, no node that matches.
    public var notes: [String]

    /// Makes an answer.
    public init(
        name: WorkloadName, revision: Digest256, image: String, isChanged: Bool, nodes: [NodeID], notes: [String] = []
    ) {
        self.name = name
        self.revision = revision
        self.image = image
        self.isChanged = isChanged
        self.nodes = nodes
        self.notes = notes
    }
}

/// A workload as `GET /v1/workloads` lists it.
public struct WorkloadView: Sendable, Codable, Equatable {
    /// Its name.
    public var name: WorkloadName
    /// What kind of thing runs.
    public var kind: WorkloadKind
    /// Its labels.
    public var labels: [String: String]
    /// The image by digest.
    public var image: String
    /// The revision that is wanted.
    public var revision: Digest256
    /// Whether an operator stopped it.
    public var isStopped: Bool
    /// When it was applied first, in seconds since 1970.
    public var createdSeconds: Int64
    /// When it was changed last, in seconds since 1970.
    public var changedSeconds: Int64
    /// The nodes that run it, or still have it, each with what it said last.
    public var nodes: [WorkloadOnNode]

    /// Makes a view.
    public init(
        name: WorkloadName, kind: WorkloadKind, labels: [String: String], image: String, revision: Digest256,
        isStopped: Bool, createdSeconds: Int64, changedSeconds: Int64, nodes: [WorkloadOnNode]
    ) {
        self.name = name
        self.kind = kind
        self.labels = labels
        self.image = image
        self.revision = revision
        self.isStopped = isStopped
        self.createdSeconds = createdSeconds
        self.changedSeconds = changedSeconds
        self.nodes = nodes
    }
}

/// A workload on one node.
public struct WorkloadOnNode: Sendable, Codable, Equatable {
    /// The node.
    public var node: NodeID
    /// The node's label `name`, where it has one.
    public var nodeName: String?
    /// Whether the node is to run it; false where it only still has it.
    public var isPlaced: Bool
    /// Where it is; nil until the node has said so.
    public var phase: WorkloadReport.Phase?
    /// Why, as a sentence; empty where nothing is to be said.
    public var reason: String
    /// The revision that runs there, or ran last.
    public var revision: Digest256?
    /// When the node said so, in seconds since 1970; nil until then.
    public var reportedSeconds: Int64?
    /// What a function did there since the node's agent started; nil for other kinds, and until the node has said so.
    public var calls: FunctionCounts?

    /// Makes a view.
    public init(
        node: NodeID, nodeName: String?, isPlaced: Bool, phase: WorkloadReport.Phase? = nil, reason: String = "",
        revision: Digest256? = nil, reportedSeconds: Int64? = nil, calls: FunctionCounts? = nil
    ) {
        self.node = node
        self.nodeName = nodeName
        self.isPlaced = isPlaced
        self.phase = phase
        self.reason = reason
        self.revision = revision
        self.reportedSeconds = reportedSeconds
        self.calls = calls
    }
}

/// `GET /v1/workloads`, by name; more follow `after` the last one's name.
public struct WorkloadList: Sendable, Codable, Equatable {
    /// The workloads.
    public var workloads: [WorkloadView]

    /// Makes a list.
    public init(workloads: [WorkloadView]) { self.workloads = workloads }
}

/// `GET /v1/workloads/{name}`, and what `stop`, `start`, `restart` and `rollback` answer.
public struct WorkloadDetail: Sendable, Codable, Equatable {
    /// What the list shows.
    public var workload: WorkloadView
    /// The document with every default written out.
    public var document: DocumentValue
    /// The revisions that are kept, newest first.
    public var revisions: [WorkloadRevisionView]

    /// Makes an answer.
    public init(workload: WorkloadView, document: DocumentValue, revisions: [WorkloadRevisionView]) {
        self.workload = workload
        self.document = document
        self.revisions = revisions
    }
}

/// A revision that the server keeps.
public struct WorkloadRevisionView: Sendable, Codable, Equatable {
    /// Its name.
    public var revision: Digest256
    /// The image by digest.
    public var image: String
    /// When it was wanted last, in seconds since 1970.
    public var appliedSeconds: Int64
    /// Whether it is the one that is wanted.
    public var isCurrent: Bool

    /// Makes a view.
    public init(revision: Digest256, image: String, appliedSeconds: Int64, isCurrent: Bool) {
        self.revision = revision
        self.image = image
        self.appliedSeconds = appliedSeconds
        self.isCurrent = isCurrent
    }
}

/// `GET /v1/workloads/{name}/revisions`, newest first.
public struct WorkloadRevisionList: Sendable, Codable, Equatable {
    /// The revisions.
    public var revisions: [WorkloadRevisionView]

    /// Makes a list.
    public init(revisions: [WorkloadRevisionView]) { self.revisions = revisions }
}

/// `POST /v1/workloads/{name}/rollback`; no body takes the newest revision before the present one.
public struct RollbackRequest: Sendable, Codable, Equatable {
    /// The revision to go back to, or the first digits of its name, at least eight; nil for the one before.
    public var revision: String?

    /// Makes a request.
    public init(revision: String? = nil) { self.revision = revision }
}

/// `POST /v1/nodes/{id}/workloads/{name}/streams`; the answer is a `StreamRequest`, whose id names the stream.
public struct StreamOrder: Sendable, Codable, Equatable {
    /// What it is to be.
    public var kind: StreamRequest.Kind
    /// For `exec`: the command's words.
    public var command: [String]?
    /// For `exec` and `attach`: whether a terminal stands between; nil for no.
    public var tty: Bool?
    /// For `logs`: whether lines that are written later follow; nil for no.
    public var follow: Bool?
    /// For `logs`: how many of the newest lines come first; nil for all that are kept.
    public var tail: Int?

    /// Makes an order.
    public init(
        kind: StreamRequest.Kind, command: [String]? = nil, tty: Bool? = nil, follow: Bool? = nil, tail: Int? = nil
    ) {
        self.kind = kind
        self.command = command
        self.tty = tty
        self.follow = follow
        self.tail = tail
    }
}
