public import Contract

/// One revision of one workload.
public struct RevisionKey: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The workload.
    public var workload: WorkloadName
    /// The revision's name.
    public var revision: Digest256

    /// Makes a key.
    public init(_ workload: WorkloadName, _ revision: Digest256) {
        self.workload = workload
        self.revision = revision
    }

    /// By workload, then by revision.
    public static func < (first: RevisionKey, second: RevisionKey) -> Bool {
        first.workload != second.workload
            ? first.workload < second.workload : first.revision.bytes.lexicographicallyPrecedes(second.revision.bytes)
    }

    /// `workload@` and the revision's first digits.
    public var description: String { "\(workload)@\("\(revision)".prefix(12))" }
}

extension DesiredWorkload {
    var key: RevisionKey { RevisionKey(workload.name, revision) }
}

/// A revision's unit as systemd shows it.
public struct InstanceFacts: Sendable, Hashable {
    /// What it does.
    public var phase: Phase
    /// What its health check says; without a check it stays unknown.
    public var health: Health
    /// How often systemd has restarted it.
    public var restarts: Int
    /// Whether the node's published ports lead to it.
    public var holdsPorts: Bool

    /// What a unit does. Times are milliseconds of the clock that does not stop in suspend.
    public enum Phase: Sendable, Hashable {
        /// It runs since then.
        case running(sinceMilliseconds: Int64)
        /// systemd waits before it starts it again.
        case restarting
        /// It ended, and systemd does not start it again; nil for success.
        case ended(failure: String?)
        /// It was told to stop, and did.
        case stopped
        /// It was told to stop then; what its processes wait for, where it is known.
        case stopping(sinceMilliseconds: Int64, waitingFor: String?)
    }

    /// What a health check says.
    public enum Health: Sendable, Hashable {
        /// Nothing yet, or there is no check.
        case unknown
        /// It is well.
        case healthy
        /// It is not, and why.
        case unhealthy(String)
    }

    /// Makes facts.
    public init(phase: Phase, health: Health = .unknown, restarts: Int = 0, holdsPorts: Bool = false) {
        self.phase = phase
        self.health = health
        self.restarts = restarts
        self.holdsPorts = holdsPorts
    }
}

/// How fetching an image goes.
public enum PullFacts: Sendable, Hashable {
    /// It waits until another image has been fetched.
    case queued
    /// It is being fetched.
    case running
    /// The last attempt failed, and why.
    case failed(String)
    /// What is in it is not accepted, and why: another attempt would end in the same way.
    case refused(String)
}

/// All that the planner looks at.
public struct NodeSnapshot: Sendable, Equatable {
    /// The clock that does not stop in suspend, in milliseconds.
    public var nowMilliseconds: Int64
    /// What the server wants, or wanted last.
    public var desired: [DesiredWorkload]
    /// Documents on the disk by revision, at least those of the records' proven revisions.
    public var documents: [RevisionKey: Workload]
    /// What systemd has.
    public var instances: [RevisionKey: InstanceFacts]
    /// Images that are on the disk and verified, by manifest.
    public var images: Set<Digest256>
    /// Images that are being fetched, or could not be.
    public var pulls: [Digest256: PullFacts]
    /// Revisions whose bundle, volumes and secrets are ready.
    public var prepared: Set<RevisionKey>
    /// Why a revision could not be prepared.
    public var preparationFailures: [RevisionKey: String]
    /// Why nothing more is written to the disk; nil where there is room.
    public var diskFull: String?

    /// Makes a snapshot.
    public init(
        nowMilliseconds: Int64, desired: [DesiredWorkload] = [], documents: [RevisionKey: Workload] = [:],
        instances: [RevisionKey: InstanceFacts] = [:], images: Set<Digest256> = [], pulls: [Digest256: PullFacts] = [:],
        prepared: Set<RevisionKey> = [], preparationFailures: [RevisionKey: String] = [:], diskFull: String? = nil
    ) {
        self.nowMilliseconds = nowMilliseconds
        self.desired = desired
        self.documents = documents
        self.instances = instances
        self.images = images
        self.pulls = pulls
        self.prepared = prepared
        self.preparationFailures = preparationFailures
        self.diskFull = diskFull
    }
}

/// One thing for the agent to do. Each is the same when it is done twice.
public enum WorkloadAction: Sendable, Hashable {
    /// Fetch an image and verify it.
    case pull(WorkloadImage)
    /// Make volumes, secrets, wire and bundle.
    case prepare(RevisionKey)
    /// Start the unit.
    case start(RevisionKey)
    /// Let the node's published ports lead to it, and to no other revision.
    case switchPorts(to: RevisionKey)
    /// Stop the unit; systemd kills what is left after the time.
    case stop(RevisionKey, graceMilliseconds: Int64, reason: String)
    /// Take away the unit, the wire, the bundle and the secrets of what has ended; volumes stay.
    case remove(RevisionKey)
    /// Tell the server that a revision failed, and which one is kept.
    case rollBack(WorkloadName, failed: Digest256, to: Digest256?, reason: String)
    /// Tell the server that a unit does not end.
    case reportStuck(RevisionKey, waitingFor: String)
}

/// What is remembered of a workload, on the disk: enough to go on without the server.
public struct WorkloadRecord: Sendable, Codable, Hashable {
    /// The revision that was healthy last; it is what one goes back to.
    public var proven: Digest256?
    /// The revision that failed, and is not tried again until another is wanted.
    public var failed: Failure?
    /// The revision that is to prove itself.
    public var trial: Trial?
    /// Restarts in a row that the planner asked for.
    public var restarts = Attempts()
    /// Attempts in a row at an image.
    public var pulls = Attempts()
    /// The operator's restart that was carried out last.
    public var restartsDone = 0

    /// A revision that failed.
    public struct Failure: Sendable, Codable, Hashable {
        /// The revision.
        public var revision: Digest256
        /// Why.
        public var reason: String
    }

    /// A revision on trial.
    public struct Trial: Sendable, Codable, Hashable {
        /// The revision.
        public var revision: Digest256
        /// How often the planner has started it; a power cut does not reset this.
        public var starts: Int
        /// When it was started last, in milliseconds of this boot.
        public var startedMilliseconds: Int64
    }

    /// Attempts in a row.
    public struct Attempts: Sendable, Codable, Hashable {
        /// How many.
        public var count = 0
        /// Not before this, in milliseconds of this boot.
        public var nextMilliseconds: Int64 = 0

        /// Whether another may begin.
        func isDue(_ now: Int64) -> Bool { now >= nextMilliseconds }

        /// Counts one, after which the wait doubles.
        mutating func begin(_ now: Int64, delay: Int64, maximum: Int64) {
            nextMilliseconds = now + DoublingWait.milliseconds(attempt: count, delay: delay, maximum: maximum)
            count += 1
        }
    }

    /// An empty record.
    public init() {}

    /// After a restart of the machine the clock begins anew; what was counted stays.
    public mutating func machineRestarted() {
        restarts.nextMilliseconds = 0
        pulls.nextMilliseconds = 0
        trial?.startedMilliseconds = 0
    }
}

/// Waits that double.
public enum DoublingWait {
    /// The wait after the attempt with this number, from 0.
    public static func milliseconds(attempt: Int, delay: Int64, maximum: Int64) -> Int64 {
        guard attempt < 40, delay < maximum else { return maximum }
        let (wait, overflow) = delay.multipliedReportingOverflow(by: 1 << Int64(max(0, attempt)))
        return overflow ? maximum : min(wait, maximum)
    }
}
