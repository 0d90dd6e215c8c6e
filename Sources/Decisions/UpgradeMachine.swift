public import Contract

/// What the agent knows when it asks what to do about its version.
public struct UpgradeSnapshot: Sendable, Equatable {
    /// The boot record.
    public var record: BootRecord
    /// The slot that runs.
    public var running: SlotName
    /// What the server wants; nil leaves the node as it is.
    public var desired: Digest256?
    /// How a new version proves itself.
    public var rule: ProbationRule
    /// How often installing the desired release failed, since it was first wanted or the agent started.
    public var failedInstalls: Int

    /// Gathers what is known.
    public init(
        record: BootRecord, running: SlotName, desired: Digest256?, rule: ProbationRule, failedInstalls: Int
    ) {
        self.record = record
        self.running = running
        self.desired = desired
        self.rule = rule
        self.failedInstalls = failedInstalls
    }
}

/// What the agent does about its version.
public enum UpgradeAction: Sendable, Equatable {
    /// Nothing to do.
    case nothing
    /// Nothing is done about the desired release, and why.
    case hold(reason: String)
    /// Prove the version that runs on trial.
    case prove(BootRecord.Trial)
    /// Write the release into the slot.
    case install(Digest256, into: SlotName)
    /// The slot holds the release: record the trial and restart into it.
    case startTrial(SlotName)
    /// The version on trial was started and did not prove itself: restart into it once more.
    case retryTrial
    /// The version on trial used its attempts up: end the trial; the version is to blame.
    case abandonTrial(reason: String)
    /// The trial is for a release that is no longer wanted: end it; no version is to blame.
    case cancelTrial(reason: String)
    /// Another slot than the running one is committed: restart into it.
    case restart(into: SlotName)
}

/// Decides what an upgrade needs next. Each answer is the same however often it is asked, and each action changes the
/// record, so that a power cut between any two leads on from where it was.
public enum UpgradeMachine {
    /// How often installing one release is tried before the node waits for another wish.
    public static let installLimit = 5
    /// How often a release that failed without blame is tried again.
    public static let blamelessLimit = 3

    /// Decides.
    public static func next(_ now: UpgradeSnapshot) -> UpgradeAction {
        let record = now.record
        guard !record.reprovisionRequested, !record.isProvisioning else {
            return .hold(reason: "the node is to be provisioned again")
        }
        if let trial = record.trial { return judge(trial, now) }
        guard let committed = record.committed else { return .hold(reason: "no slot is committed") }
        // After a rollback or a commit that a power cut separated from its restart.
        guard committed == now.running else { return .restart(into: committed) }
        guard let desired = now.desired, desired != record.committedRelease?.release else { return .nothing }
        if let reason = record.quarantineReason(of: desired) {
            return .hold(reason: "the release failed on this node before and is not tried again: \(reason)")
        }
        if let failure = record.lastFailure, failure.release == desired, failure.times >= blamelessLimit {
            return .hold(reason: "the release could not prove itself \(failure.times) times: \(failure.reason)")
        }
        let target = now.running.other
        if record[target].installed?.release == desired { return .startTrial(target) }
        guard now.failedInstalls < installLimit else {
            return .hold(reason: "installing the release failed \(now.failedInstalls) times")
        }
        return .install(desired, into: target)
    }

    private static func judge(_ trial: BootRecord.Trial, _ now: UpgradeSnapshot) -> UpgradeAction {
        if trial.slot == now.running {
            return trial.isWaitingToStart
                ? .hold(reason: "the version on trial runs, but its start was not counted") : .prove(trial)
        }
        if let desired = now.desired, desired != now.record[trial.slot].installed?.release {
            return .cancelTrial(reason: "another release is wanted")
        }
        if trial.isWaitingToStart { return .restart(into: trial.slot) }
        if trial.attemptsLeft > 0 { return .retryTrial }
        return .abandonTrial(
            reason: "it was started \(trial.attempts) times and did not become healthy: it panicked, hung or lost power"
        )
    }
}
