/// What the server wants of a node: `GET /v1/node/desired?after=GENERATION&waitSeconds=N`.
public struct DesiredState: Sendable, Codable, Equatable {
    /// The version of this format.
    public var format = wireFormat
    /// Rises with each change for this node.
    public var generation: Int
    /// The release that the node should run; nil leaves it as it is.
    public var release: Digest256?
    /// The release's version, for people.
    public var releaseVersion: String?
    /// Commands that the node has not yet acknowledged, oldest first.
    public var commands: [NodeCommand]
    /// How a new version proves itself.
    public var probation: ProbationRule
    /// The generation of the node's workload assignment, which `GET /v1/node/workloads` gives; nil where the server
    /// says nothing about workloads, and the node goes on with what is on its disk.
    public var workloads: Int?
    /// Streams that the node is to open and has not opened yet; nil where there are none.
    public var streams: [StreamRequest]?

    /// Makes a state from its parts.
    public init(
        generation: Int, release: Digest256?, releaseVersion: String?, commands: [NodeCommand],
        probation: ProbationRule = ProbationRule(), workloads: Int? = nil, streams: [StreamRequest]? = nil
    ) {
        self.generation = generation
        self.release = release
        self.releaseVersion = releaseVersion
        self.commands = commands
        self.probation = probation
        self.workloads = workloads
        self.streams = streams
    }
}

/// One thing that an operator asked of a node, carried out once.
public struct NodeCommand: Sendable, Codable, Equatable {
    /// Names it; the node acknowledges it by this in its status.
    public var id: String
    /// What to do.
    public var kind: Kind

    /// The kinds of command.
    public enum Kind: String, Sendable, Codable {
        /// Restart the machine.
        case reboot
        /// Switch it off.
        case powerOff = "power-off"
        /// Start the boot artifact once and provision again.
        case reprovision
        /// Send the journal's newest lines.
        case sendLogs = "send-logs"
        /// Forget the quarantine, so that a failed version may be tried again.
        case clearQuarantine = "clear-quarantine"
    }

    /// Makes a command.
    public init(id: String, kind: Kind) {
        self.id = id
        self.kind = kind
    }
}

/// How long health must hold, and how long it may take.
public struct ProbationRule: Sendable, Codable, Equatable {
    /// Every check must hold this long without a break, in seconds.
    public var holdSeconds: Int
    /// Counted from the start of the new version, in seconds; then it is given up.
    public var deadlineSeconds: Int
    /// How often a version may be started on trial.
    public var attempts: Int

    /// Makes a rule; health must hold 60 s within 600 s, in one of two attempts.
    public init(holdSeconds: Int = 60, deadlineSeconds: Int = 600, attempts: Int = 2) {
        self.holdSeconds = holdSeconds
        self.deadlineSeconds = deadlineSeconds
        self.attempts = attempts
    }
}
