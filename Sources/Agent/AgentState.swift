internal import Contract
internal import Decisions

/// The agent's mind: pure, one value, each event returns what is to be done. The loop carries it out.
///
/// At most one job is under way at a time; further ones follow from asking again, so nothing is queued that a newer
/// event could make wrong.
struct AgentState: Sendable {
    /// What the loop carries out.
    enum Effect: Sendable, Equatable {
        /// Hand a job to the working thread.
        case run(AgentJob)
        /// Move the guardian's deadline, in seconds of uptime.
        case setDeadline(Int64)
        /// The guardian is no longer needed.
        case releaseGuardian
        /// Make the memory durable.
        case saveMemory
        /// The status changed: send it now.
        case sendStatus
        /// Send an event.
        case tell(kind: String, message: String)
        /// Carry out a command of the machine: restart, power off, logs.
        case carryOut(NodeCommand)
    }

    /// How long after the last answer the server counts as away, in milliseconds.
    static let silenceMilliseconds: Int64 = 60_000
    /// Boot entries are looked after this often, in seconds.
    static let repairSeconds: Int64 = 600
    /// The wait after a failed job, in seconds; after installations that failed, for each of them.
    static let pauseSeconds: Int64 = 20
    /// The wait before the recovery partition is tried again, in seconds.
    static let recoveryPauseSeconds: Int64 = 300

    let running: RunningSlot
    private(set) var record: BootRecord
    private(set) var memory: AgentMemory
    private(set) var health: [CheckResult] = []
    private(set) var job: AgentJob?
    /// A restart into another slot has begun.
    private(set) var isRestarting = false
    /// A command that ends this system has begun; the version stays as it is.
    private var isLeaving = false
    private var probation: Probation?
    private var watch: CommittedWatch
    private var lastAnswerMilliseconds: Int64?
    private var lastFailedContact: String?
    private var gatewayAnswers: Bool?
    /// Nothing new is begun before this uptime, because something failed a moment ago.
    private var pauseUntilSeconds: Int64 = 0
    private var nextRecoverySeconds: Int64 = 0
    /// What the probation decided and could not be carried out yet.
    private var unfinished: AgentJob?
    private var nextRepairSeconds: Int64 = 0
    private var recoveryChecked: Digest256?
    private var heldReason: String?

    /// The part of `RunningSystem` that decisions depend on.
    struct RunningSlot: Sendable, Equatable {
        /// The slot that runs.
        var slot: SlotName
        /// The uptime at which the guardian gives a version on trial up; nil where there is no trial.
        var deadlineSeconds: Int64?
    }

    /// Begins after a start of the agent.
    init(running: RunningSlot, record: BootRecord, memory: AgentMemory) {
        self.running = running
        self.record = record
        self.memory = memory
        watch = CommittedWatch()
        if let trial = record.trial, trial.slot == running.slot {
            probation = Probation(rule: trial.rule, startSeconds: 0, movedDeadlineSeconds: running.deadlineSeconds)
        }
    }

    /// Whether the server answered lately.
    func serverAnswers(nowMilliseconds: Int64) -> Bool {
        lastAnswerMilliseconds.map { nowMilliseconds - $0 < Self.silenceMilliseconds } ?? false
            && lastFailedContact == nil
    }

    /// What the status says.
    var phase: NodeStatus.Phase {
        if let phase = job?.phase { return phase }
        if isRestarting { return .restarting }
        return probation == nil ? .steady : .probation
    }

    // MARK: Events

    /// First thing after the start.
    mutating func started() -> [Effect] {
        var effects = reportEndedTrial() + reportGoingBack()
        if let probation { effects.append(.setDeadline(probation.deadlineSeconds)) }
        if probation == nil { effects.append(.releaseGuardian) }
        return effects + [.sendStatus]
    }

    /// The server answered, or did not.
    mutating func contact(failure: String?, nowMilliseconds: Int64) -> [Effect] {
        let answered = serverAnswers(nowMilliseconds: nowMilliseconds)
        lastFailedContact = failure
        if failure == nil { lastAnswerMilliseconds = nowMilliseconds }
        let answers = serverAnswers(nowMilliseconds: nowMilliseconds)
        return answers && !answered ? [.sendStatus] : []
    }

    /// The server wants something new.
    mutating func desired(_ state: DesiredState, nowSeconds: Int64) -> [Effect] {
        if let known = memory.desired, state.generation < known.generation { return [] }
        if state.release != memory.desired?.release { pauseUntilSeconds = 0 }
        memory.accept(state)
        heldReason = nil
        return [.saveMemory, .sendStatus] + commands(nowSeconds: nowSeconds) + next(nowSeconds: nowSeconds)
    }

    /// A round of local checks ended.
    mutating func checked(_ results: [CheckResult], gatewayAnswers: Bool?, nowSeconds: Int64) -> [Effect] {
        let changed = health.map(\.passed) != results.map(\.passed) || health.map(\.name) != results.map(\.name)
        health = results
        self.gatewayAnswers = gatewayAnswers
        let server = reach(nowMilliseconds: nowSeconds * 1000)
        var effects: [Effect] = changed ? [.sendStatus] : []
        guard isFree(nowSeconds) else { return effects }
        if let job = unfinished {
            unfinished = nil
            effects += start(job)
        } else if probation != nil {
            effects += prove(server: server, nowSeconds: nowSeconds)
        } else {
            effects += watchCommitted(nowSeconds: nowSeconds)
        }
        return effects + (job == nil ? next(nowSeconds: nowSeconds) : [])
    }

    /// A job ended.
    mutating func finished(_ outcome: JobOutcome, nowSeconds: Int64) -> [Effect] {
        record = outcome.record
        job = nil
        isRestarting = outcome.isRestarting
        var effects: [Effect] = [.sendStatus]
        if let failure = outcome.failure {
            effects += failed(outcome.job, failure, nowSeconds: nowSeconds)
        } else {
            effects += succeeded(outcome.job)
        }
        return effects + (isRestarting ? [] : next(nowSeconds: nowSeconds))
    }

    /// A command of the machine was begun, or failed.
    mutating func carriedOut(_ command: NodeCommand, failure: String?) -> [Effect] {
        guard let failure else { return [] }
        isLeaving = false
        return [.sendStatus, .tell(kind: "command", message: "\(command.kind.rawValue) failed: \(failure)")]
    }

    // MARK: Deciding

    private func reach(nowMilliseconds: Int64) -> ServerReach {
        if serverAnswers(nowMilliseconds: nowMilliseconds) { return .reachable }
        return gatewayAnswers == true ? .gatewayOnly : .nothing
    }

    private mutating func prove(server: ServerReach, nowSeconds: Int64) -> [Effect] {
        guard var probation else { return [] }
        let before = probation.deadlineSeconds
        let action = probation.checked(health, server: server, nowSeconds: nowSeconds)
        self.probation = probation
        switch action {
        case .wait(let deadline): return deadline == before ? [] : [.setDeadline(deadline)]
        case .commit: return start(.commit)
        case .rollBack(let reason): return start(.rollBack(reason: reason, isBlamed: true))
        case .postpone(let reason): return start(.rollBack(reason: reason, isBlamed: false))
        }
    }

    private mutating func watchCommitted(nowSeconds: Int64) -> [Effect] {
        let canGoBack = record.committed == running.slot && record.previous != nil && record.trial == nil
        switch watch.checked(health, nowSeconds: nowSeconds, canGoBack: canGoBack) {
        case .nothing: return []
        case .confirmHealth: return record.committed == running.slot ? start(.confirmHealth) : []
        case .goBack(let reason): return start(.goBack(reason: reason))
        }
    }

    /// What the upgrade needs next, when nothing is under way.
    private mutating func next(nowSeconds: Int64) -> [Effect] {
        guard isFree(nowSeconds) else { return [] }
        let rule = memory.desired?.probation ?? ProbationRule()
        let action = UpgradeMachine.next(
            UpgradeSnapshot(
                record: record, running: running.slot, desired: memory.desired?.release, rule: rule,
                failedInstalls: memory.failedInstalls))
        switch action {
        case .nothing, .prove: return maintain(nowSeconds: nowSeconds)
        case .hold(let reason):
            let isNews = reason != heldReason
            heldReason = reason
            return (isNews ? [.tell(kind: "upgrade", message: reason)] : []) + maintain(nowSeconds: nowSeconds)
        case .install(let release, let slot): return start(.install(release, into: slot))
        case .startTrial(let slot):
            memory.trialRelease = record[slot].installed?.release
            memory.trialVersion = record[slot].installed?.version
            memory.lastUpgrade = nil
            return [.saveMemory] + start(.startTrial(slot, rule))
        case .retryTrial: return start(.retryTrial)
        case .abandonTrial(let reason): return start(.rollBack(reason: reason, isBlamed: true))
        case .cancelTrial(let reason): return start(.rollBack(reason: reason, isBlamed: false))
        case .restart(let slot): return start(.restart(.slot(slot)))
        }
    }

    /// Chores for quiet times: the boot entries, and the recovery partition after a commit.
    private mutating func maintain(nowSeconds: Int64) -> [Effect] {
        if nowSeconds >= nextRepairSeconds {
            nextRepairSeconds = nowSeconds + Self.repairSeconds
            return start(.repairEntries)
        }
        guard probation == nil, lastFailedContact == nil, lastAnswerMilliseconds != nil,
            record.committed == running.slot, record.trial == nil, let name = record.committedRelease?.release,
            recoveryChecked != name, nowSeconds >= nextRecoverySeconds
        else { return [] }
        recoveryChecked = name
        return start(.refreshRecovery)
    }

    private mutating func start(_ job: AgentJob) -> [Effect] {
        self.job = job
        return [.sendStatus, .run(job)]
    }

    /// Commands that are jobs run here once nothing else does; the others are the loop's.
    private mutating func commands(nowSeconds: Int64) -> [Effect] {
        guard isFree(nowSeconds), let command = memory.openCommands.first else { return [] }
        switch command.kind {
        case .reprovision:
            memory.finish(command)
            return [.saveMemory] + start(.restart(.recovery))
        case .clearQuarantine:
            memory.finish(command)
            memory.failedInstalls = 0
            return [.saveMemory] + start(.clearQuarantine)
        case .reboot, .powerOff:
            memory.finish(command)
            isLeaving = true
            return [.saveMemory, .sendStatus, .carryOut(command)]
        case .sendLogs:
            memory.finish(command)
            return [.saveMemory, .sendStatus, .carryOut(command)]
        }
    }

    /// Asked now and then: commands that had to wait for a job.
    mutating func tick(nowSeconds: Int64) -> [Effect] {
        commands(nowSeconds: nowSeconds) + next(nowSeconds: nowSeconds)
    }

    private func isFree(_ nowSeconds: Int64) -> Bool {
        job == nil && !isRestarting && !isLeaving && nowSeconds >= pauseUntilSeconds
    }

    // MARK: Outcomes

    private mutating func succeeded(_ job: AgentJob) -> [Effect] {
        switch job {
        case .install:
            memory.failedInstalls = 0
            return [.saveMemory]
        case .commit:
            probation = nil
            watch = CommittedWatch()
            return [.releaseGuardian] + reportEndedTrial()
        case .goBack: return reportGoingBack()
        case .rollBack:
            // Where the committed version runs there is no restart that would lead to the report.
            return isRestarting ? [] : reportEndedTrial()
        default: return []
        }
    }

    private mutating func failed(_ job: AgentJob, _ failure: JobFailure, nowSeconds: Int64) -> [Effect] {
        pauseUntilSeconds = nowSeconds + Self.pauseSeconds
        switch job {
        case .install(let release, _):
            memory.failedInstalls = failure.isPermanent ? UpgradeMachine.installLimit : memory.failedInstalls + 1
            pauseUntilSeconds = nowSeconds + Self.pauseSeconds * Int64(memory.failedInstalls)
            memory.lastUpgrade = UpgradeOutcome(
                release: release, version: memory.desired?.releaseVersion ?? "", result: .refused,
                reason: failure.reason)
            return [.saveMemory, .tell(kind: "upgrade", message: "not installed: \(failure.reason)")]
        case .refreshRecovery:
            recoveryChecked = nil
            nextRecoverySeconds = nowSeconds + Self.recoveryPauseSeconds
            return [.tell(kind: "recovery", message: "the recovery partition was not updated: \(failure.reason)")]
        case .commit, .rollBack, .goBack:
            unfinished = job
            return [.tell(kind: "agent", message: "\(failure.reason); trying again")]
        default: return [.tell(kind: "agent", message: "\(failure.reason); trying again")]
        }
    }

    /// A version that was committed and failed later is no longer a success.
    private mutating func reportGoingBack() -> [Effect] {
        guard var last = memory.lastUpgrade, last.result == .committed, let failure = record.lastFailure,
            failure.release == last.release, record.committedRelease?.release != last.release
        else { return [] }
        last.result = .rolledBack
        last.reason = failure.reason
        memory.lastUpgrade = last
        return [.saveMemory, .sendStatus]
    }

    /// A trial that is over is reported once, whichever slot's agent notices.
    private mutating func reportEndedTrial() -> [Effect] {
        guard let release = memory.trialRelease, record.trial == nil else { return [] }
        let version = memory.trialVersion ?? ""
        if record.committedRelease?.release == release {
            memory.lastUpgrade = UpgradeOutcome(release: release, version: version, result: .committed, reason: "")
        } else {
            let reason = record.lastFailure.flatMap { $0.release == release ? $0.reason : nil }
            memory.lastUpgrade = UpgradeOutcome(
                release: release, version: version, result: .rolledBack,
                reason: reason ?? "the node went back to the version before")
        }
        memory.trialRelease = nil
        memory.trialVersion = nil
        return [.saveMemory, .sendStatus]
    }
}
