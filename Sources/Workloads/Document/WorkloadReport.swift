public import Contract

/// What the server wants of one workload on this node.
public struct DesiredWorkload: Sendable, Codable, Hashable {
    /// The document.
    public var workload: Workload
    /// Its revision's name.
    public var revision: Digest256
    /// Whether an operator stopped it.
    public var isStopped: Bool
    /// Rises when an operator asks for a restart.
    public var restarts: Int

    /// Makes a wish.
    public init(workload: Workload, revision: Digest256, isStopped: Bool = false, restarts: Int = 0) {
        self.workload = workload
        self.revision = revision
        self.isStopped = isStopped
        self.restarts = restarts
    }
}

/// What a node says of one workload.
public struct WorkloadReport: Sendable, Codable, Equatable {
    /// The workload.
    public var name: WorkloadName
    /// Where it is.
    public var phase: Phase
    /// Why, as a sentence; empty where nothing is to be said.
    public var reason: String
    /// The revision that runs, or ran last.
    public var revision: Digest256?
    /// The revision that the server wants.
    public var desired: Digest256?

    /// What a function did; nil for other kinds.
    public var calls: FunctionCounts?

    /// The phases.
    public enum Phase: String, Sendable, Codable {
        /// Not wanted to run, and not running.
        case stopped
        /// Something else must happen first: a dependency, room on the disk, another's end.
        case waiting
        /// The image is fetched.
        case pulling
        /// The image and the volumes are made ready.
        case preparing
        /// Started and not yet proven.
        case starting
        /// Running and healthy.
        case running
        /// Ended by itself, as its restart policy allows.
        case completed
        /// Waiting for another start.
        case restarting
        /// Not started again until a new revision or a restart comes.
        case failed
        /// Told to stop and killed, and still there.
        case stuck
    }

    /// Makes a report.
    public init(
        name: WorkloadName, phase: Phase, reason: String = "", revision: Digest256? = nil, desired: Digest256? = nil
    ) {
        self.name = name
        self.phase = phase
        self.reason = reason
        self.revision = revision
        self.desired = desired
    }
}
