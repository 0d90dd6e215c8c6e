/// A node's report of itself: `POST /v1/node/status`, at each change and at least once a minute.
public struct NodeStatus: Sendable, Codable, Equatable {
    /// The version of this format.
    public var format = wireFormat
    /// Where in its life the installed system is.
    public var phase: Phase
    /// The slot that runs; nil while provisioning.
    public var runningSlot: SlotName?
    /// The number of the `Boot####` entry that the firmware started, nil where it is unknown (as after kexec).
    public var bootEntry: UInt16?
    /// Whether the firmware (true) or kexec (false) started the running system.
    public var startedByFirmware: Bool
    /// The committed slot.
    public var committedSlot: SlotName?
    /// What each slot holds.
    public var slots: [SlotName: SlotReport]
    /// The desired generation that was last seen.
    public var generation: Int
    /// Identifiers of commands that were carried out since the last status.
    public var acknowledgedCommands: [String]
    /// Versions that failed here and are not tried again.
    public var quarantined: [QuarantinedRelease]
    /// Outcome of the newest upgrade, until the next begins.
    public var lastUpgrade: UpgradeOutcome?
    /// Results of the newest round of health checks.
    public var health: [CheckResult]
    /// The kernel's random boot id, which tells one start from the next.
    public var bootID: String
    /// Seconds since the machine was started.
    public var uptimeSeconds: Int64
    /// The agent's version.
    public var agentVersion: String
    /// The machine's memory and the agent's part of it; nil where the agent does not say.
    public var memory: MemoryReport?
    /// Ends of the server's audit log that the node was told, the shortest log first; nil where it was told none.
    public var auditHeads: [AuditHead]?

    /// The phases.
    public enum Phase: String, Sendable, Codable {
        /// Running a committed version.
        case steady
        /// Downloading or writing another.
        case installing
        /// About to restart into it.
        case restarting
        /// Proving it.
        case probation
    }

    /// Makes a status from its parts.
    public init(
        phase: Phase, runningSlot: SlotName?, bootEntry: UInt16?, startedByFirmware: Bool, committedSlot: SlotName?,
        slots: [SlotName: SlotReport], generation: Int, acknowledgedCommands: [String],
        quarantined: [QuarantinedRelease], lastUpgrade: UpgradeOutcome?, health: [CheckResult], bootID: String,
        uptimeSeconds: Int64, agentVersion: String, memory: MemoryReport? = nil, auditHeads: [AuditHead]? = nil
    ) {
        self.phase = phase
        self.runningSlot = runningSlot
        self.bootEntry = bootEntry
        self.startedByFirmware = startedByFirmware
        self.committedSlot = committedSlot
        self.slots = slots
        self.generation = generation
        self.acknowledgedCommands = acknowledgedCommands
        self.quarantined = quarantined
        self.lastUpgrade = lastUpgrade
        self.health = health
        self.bootID = bootID
        self.uptimeSeconds = uptimeSeconds
        self.agentVersion = agentVersion
        self.memory = memory
        self.auditHeads = auditHeads
    }
}

/// Memory in bytes, as `/proc/meminfo` and `/proc/self/status` have it (proc(5)).
public struct MemoryReport: Sendable, Codable, Equatable {
    /// What the kernel can use.
    public var totalBytes: UInt64
    /// What programs could still have without swapping.
    public var availableBytes: UInt64
    /// What the agent has resident.
    public var agentBytes: UInt64

    /// Makes a report from its parts.
    public init(totalBytes: UInt64, availableBytes: UInt64, agentBytes: UInt64) {
        self.totalBytes = totalBytes
        self.availableBytes = availableBytes
        self.agentBytes = agentBytes
    }
}

/// What a slot holds.
public struct SlotReport: Sendable, Codable, Equatable {
    /// `empty`, `writing` or `verified`.
    public var state: String
    /// The release, when verified.
    public var release: Digest256?
    /// Its version.
    public var version: String?

    /// Makes a report.
    public init(state: String, release: Digest256? = nil, version: String? = nil) {
        self.state = state
        self.release = release
        self.version = version
    }
}

/// A version that failed on this node.
public struct QuarantinedRelease: Sendable, Codable, Equatable {
    /// The release.
    public var release: Digest256
    /// Why.
    public var reason: String

    /// Makes an entry.
    public init(release: Digest256, reason: String) {
        self.release = release
        self.reason = reason
    }
}

/// How an upgrade ended.
public struct UpgradeOutcome: Sendable, Codable, Equatable {
    /// The release that was tried.
    public var release: Digest256
    /// Its version.
    public var version: String
    /// The result.
    public var result: Result
    /// Why, as a sentence; empty after a commit.
    public var reason: String

    /// The results.
    public enum Result: String, Sendable, Codable {
        /// It is the committed version now.
        case committed
        /// Refused before anything became bootable.
        case refused
        /// It was started, and the node went back.
        case rolledBack = "rolled-back"
    }

    /// Makes an outcome.
    public init(release: Digest256, version: String, result: Result, reason: String) {
        self.release = release
        self.version = version
        self.result = result
        self.reason = reason
    }
}

/// Result of one health check.
public struct CheckResult: Sendable, Codable, Equatable {
    /// The check's name.
    public var name: String
    /// Whether it holds.
    public var passed: Bool
    /// What was found, as a sentence.
    public var detail: String

    /// Makes a result.
    public init(name: String, passed: Bool, detail: String) {
        self.name = name
        self.passed = passed
        self.detail = detail
    }
}

/// Reply to a `NodeStatus`.
public struct StatusReply: Sendable, Codable, Equatable {
    /// The server's clock in seconds since 1970.
    public var clockSeconds: Int64
    /// The generation of the desired state.
    public var generation: Int
    /// How the server's audit log ends, for the node to remember; nil from a server that keeps none.
    public var auditHead: AuditHead?

    /// Makes a reply.
    public init(clockSeconds: Int64, generation: Int, auditHead: AuditHead? = nil) {
        self.clockSeconds = clockSeconds
        self.generation = generation
        self.auditHead = auditHead
    }
}

/// Progress of a named step: `POST /v1/node/steps`, several at a time.
public struct StepReport: Sendable, Codable, Equatable {
    /// The sequence, such as `provision` or `upgrade`.
    public var sequence: String
    /// The step's name, such as `stream-image`.
    public var step: String
    /// How the step stands.
    public var state: State
    /// Units done, where the step can tell.
    public var done: UInt64?
    /// Units in all, where the step can tell.
    public var total: UInt64?
    /// The unit, such as `bytes`.
    public var unit: String?
    /// How long the step has taken, in milliseconds.
    public var milliseconds: Int64
    /// What failed and what happens next, or an empty string.
    public var detail: String

    /// How a step stands.
    public enum State: String, Sendable, Codable {
        /// Begun.
        case started
        /// Under way.
        case progress
        /// Done.
        case finished
        /// Not needed.
        case skipped
        /// Failed.
        case failed
    }

    /// Makes a report.
    public init(
        sequence: String, step: String, state: State, done: UInt64? = nil, total: UInt64? = nil, unit: String? = nil,
        milliseconds: Int64, detail: String = ""
    ) {
        self.sequence = sequence
        self.step = step
        self.state = state
        self.done = done
        self.total = total
        self.unit = unit
        self.milliseconds = milliseconds
        self.detail = detail
    }
}

/// A list of step reports.
public struct StepReports: Sendable, Codable, Equatable {
    /// At most 64.
    public var steps: [StepReport]

    /// Makes a list.
    public init(steps: [StepReport]) { self.steps = steps }
}

/// A piece of a node's log: `POST /v1/node/log`.
public struct LogChunk: Sendable, Codable, Equatable {
    /// Where it comes from: `init`, `agent` or `journal`.
    public var source: String
    /// The lines, at most `WireLimit.logChunk` bytes.
    public var text: String

    /// Makes a chunk.
    public init(source: String, text: String) {
        self.source = source
        self.text = text
    }
}
