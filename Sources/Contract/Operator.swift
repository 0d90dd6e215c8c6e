/// A node as operators see it: `GET /v1/nodes` and `GET /v1/nodes/{id}`.
public struct NodeView: Sendable, Codable, Equatable {
    /// The node's id.
    public var id: NodeID
    /// Its state.
    public var state: NodeState
    /// Why it is in that state, as a sentence.
    public var reason: String
    /// Its labels.
    public var labels: [String: String]
    /// Its inventory.
    public var inventory: Inventory
    /// Its newest status.
    public var status: NodeStatus?
    /// The release that it should run.
    public var desiredRelease: Digest256?
    /// That release's version.
    public var desiredVersion: String?
    /// When it registered first, in seconds since 1970.
    public var registeredSeconds: Int64
    /// When it was last heard of, in seconds since 1970.
    public var lastSeenSeconds: Int64

    /// Makes a view from its parts.
    public init(
        id: NodeID, state: NodeState, reason: String, labels: [String: String], inventory: Inventory,
        status: NodeStatus?, desiredRelease: Digest256?, desiredVersion: String?, registeredSeconds: Int64,
        lastSeenSeconds: Int64
    ) {
        self.id = id
        self.state = state
        self.reason = reason
        self.labels = labels
        self.inventory = inventory
        self.status = status
        self.desiredRelease = desiredRelease
        self.desiredVersion = desiredVersion
        self.registeredSeconds = registeredSeconds
        self.lastSeenSeconds = lastSeenSeconds
    }
}

/// A list of nodes.
public struct NodeList: Sendable, Codable, Equatable {
    /// The nodes, oldest first.
    public var nodes: [NodeView]

    /// Makes a list.
    public init(nodes: [NodeView]) { self.nodes = nodes }
}

/// `POST /v1/nodes/{id}/approve`.
public struct ApprovalRequest: Sendable, Codable, Equatable {
    /// The code on the node's screen.
    public var code: String

    /// Makes a request.
    public init(code: String) { self.code = code }
}

/// `POST /v1/nodes/{id}/labels`: sets those given; a null value removes.
public struct LabelRequest: Sendable, Codable, Equatable {
    /// Labels to set or, where null, to remove.
    public var labels: [String: String?]

    /// Makes a request.
    public init(labels: [String: String?]) { self.labels = labels }
}

/// `POST /v1/nodes/{id}/upgrade`.
public struct UpgradeRequest: Sendable, Codable, Equatable {
    /// The release, by name.
    public var release: Digest256
    /// How it proves itself.
    public var probation: ProbationRule?

    /// Makes a request.
    public init(release: Digest256, probation: ProbationRule? = nil) {
        self.release = release
        self.probation = probation
    }
}

/// `POST /v1/nodes/{id}/commands` and, with `wipeState`, `POST /v1/nodes/{id}/reprovision`.
public struct CommandRequest: Sendable, Codable, Equatable {
    /// What to do.
    public var kind: NodeCommand.Kind
    /// With `reprovision`: erase the state partition and the node's key as well.
    public var wipeState: Bool?

    /// Makes a request.
    public init(kind: NodeCommand.Kind, wipeState: Bool? = nil) {
        self.kind = kind
        self.wipeState = wipeState
    }
}

/// `POST /v1/tokens`.
public struct TokenRequest: Sendable, Codable, Equatable {
    /// A note for people.
    public var note: String
    /// How many nodes may join with it.
    public var uses: Int
    /// How long it holds, in seconds.
    public var lifetimeSeconds: Int64
    /// Labels for the nodes that join with it.
    public var labels: [String: String]

    /// Makes a request.
    public init(note: String, uses: Int, lifetimeSeconds: Int64, labels: [String: String]) {
        self.note = note
        self.uses = uses
        self.lifetimeSeconds = lifetimeSeconds
        self.labels = labels
    }
}

/// A join token without its secret.
public struct TokenView: Sendable, Codable, Equatable {
    /// Names it for `revoke`.
    public var id: String
    /// The note.
    public var note: String
    /// How many nodes may still join.
    public var usesLeft: Int
    /// When it ends, in seconds since 1970.
    public var expiresSeconds: Int64
    /// Whether it was revoked.
    public var isRevoked: Bool
    /// Labels for the nodes that join with it.
    public var labels: [String: String]
    /// The token itself; only in the reply that creates it.
    public var secret: String?

    /// Makes a view from its parts.
    public init(
        id: String, note: String, usesLeft: Int, expiresSeconds: Int64, isRevoked: Bool, labels: [String: String],
        secret: String? = nil
    ) {
        self.id = id
        self.note = note
        self.usesLeft = usesLeft
        self.expiresSeconds = expiresSeconds
        self.isRevoked = isRevoked
        self.labels = labels
        self.secret = secret
    }
}

/// A list of join tokens.
public struct TokenList: Sendable, Codable, Equatable {
    /// The tokens, oldest first.
    public var tokens: [TokenView]

    /// Makes a list.
    public init(tokens: [TokenView]) { self.tokens = tokens }
}

/// A published release.
public struct ReleaseView: Sendable, Codable, Equatable {
    /// The SHA-256 of its manifest.
    public var name: Digest256
    /// Its product line.
    public var product: String
    /// Its version.
    public var version: String
    /// Its epoch: no node goes to a lower one.
    public var epoch: Int
    /// Its architecture.
    public var architecture: Architecture
    /// How much is downloaded at most, in bytes.
    public var packBytes: UInt64
    /// When it was published, in seconds since 1970.
    public var publishedSeconds: Int64
    /// Whether new nodes are installed with it.
    public var isDefault: Bool

    /// Makes a view from its parts.
    public init(
        name: Digest256, product: String, version: String, epoch: Int, architecture: Architecture, packBytes: UInt64,
        publishedSeconds: Int64, isDefault: Bool
    ) {
        self.name = name
        self.product = product
        self.version = version
        self.epoch = epoch
        self.architecture = architecture
        self.packBytes = packBytes
        self.publishedSeconds = publishedSeconds
        self.isDefault = isDefault
    }
}

/// A list of releases.
public struct ReleaseList: Sendable, Codable, Equatable {
    /// The releases, oldest first.
    public var releases: [ReleaseView]

    /// Makes a list.
    public init(releases: [ReleaseView]) { self.releases = releases }
}

/// Something that happened: `GET /v1/events?after=N&waitSeconds=S&node=ID`.
public struct Event: Sendable, Codable, Equatable {
    /// Rises by one with each event at the server.
    public var sequence: Int64
    /// When, in seconds since 1970 by the server's clock.
    public var timeSeconds: Int64
    /// The node, where it concerns one.
    public var node: NodeID?
    /// A stable word, such as `state`, `step`, `upgrade`, `boot`, `firmware`, `token` or `release`.
    public var kind: String
    /// What happened, as a sentence.
    public var message: String
    /// The step, where `kind` is `step`.
    public var step: StepReport?
    /// The new state, where `kind` is `state`.
    public var state: NodeState?

    /// Makes an event from its parts.
    public init(
        sequence: Int64, timeSeconds: Int64, node: NodeID?, kind: String, message: String, step: StepReport? = nil,
        state: NodeState? = nil
    ) {
        self.sequence = sequence
        self.timeSeconds = timeSeconds
        self.node = node
        self.kind = kind
        self.message = message
        self.step = step
        self.state = state
    }
}

/// A list of events.
public struct EventList: Sendable, Codable, Equatable {
    /// The events, oldest first.
    public var events: [Event]

    /// Makes a list.
    public init(events: [Event]) { self.events = events }
}

/// What a node tells beside steps: `POST /v1/node/events`.
public struct NodeEvent: Sendable, Codable, Equatable {
    /// A stable word, such as `firmware` or `boot`.
    public var kind: String
    /// What happened, as a sentence.
    public var message: String

    /// Makes an event.
    public init(kind: String, message: String) {
        self.kind = kind
        self.message = message
    }
}
