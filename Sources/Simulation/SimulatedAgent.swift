import Contract
import Decisions
import Sequences

/// What `apus-agent` does, without waiting: the real machine decides, the real sequences act.
final class SimulatedAgent {
    private let machine: SimulatedMachine
    private let effects: SimulatedEffects
    private let isHealthy: Bool
    private let runner: Runner

    init(_ machine: SimulatedMachine, _ effects: SimulatedEffects, isHealthy: Bool) {
        self.machine = machine
        self.effects = effects
        self.isHealthy = isHealthy
        runner = Runner(report: effects, clock: effects)
    }

    /// True when nothing is left to do; false when the machine restarts.
    func run(_ slot: SlotName) throws -> Bool {
        guard let disk = try effects.storage.findInstalled() else { throw SimulationError("the disk is gone") }
        let layout = machine.site.layout
        let work = try AgentWork(
            effects: effects.agent, running: slot, disk: disk,
            sizes: SlotSizes(
                rootBytes: layout.rootBytes, treeBytes: layout.treeBytes, bootBytes: layout.bootBytes,
                recoveryBytes: layout.recoveryBytes))
        if work.record.committed == slot, !isHealthy {
            guard work.canGoBack else { return true }
            try runner.run(goBackSequence(reason: "unhealthy after the commit"), on: work)
            return false
        }
        if work.record.committed == slot { try work.confirmHealth() }
        try runner.run(repairSequence(), on: work)
        if machine.site.asksToReprovision, !machine.hasAskedToReprovision {
            machine.hasAskedToReprovision = true
            try runner.run(restartSequence(into: .recovery), on: work)
            return false
        }
        for _ in 0..<12 {
            let action = UpgradeMachine.next(
                UpgradeSnapshot(
                    record: work.record, running: slot, desired: machine.site.desired?.name,
                    rule: ProbationRule(), failedInstalls: 0))
            machine.note("agent: \(action)")
            if try carryOut(action, work) { return !work.isRestarting }
        }
        throw SimulationError("the agent does not come to rest")
    }

    /// True when the agent is done in this boot.
    private func carryOut(_ action: UpgradeAction, _ work: AgentWork) throws -> Bool {
        switch action {
        case .nothing, .hold:
            // Without a server it is tried again at another time.
            do { try runner.run(refreshRecoverySequence(), on: work) } catch { machine.note("\(error)") }
            return true
        case .prove:
            if isHealthy {
                try runner.run(commitSequence(), on: work)
            } else {
                try runner.run(rollBackSequence(reason: "a check failed", isBlamed: true), on: work)
            }
        case .install(let name, let slot): try runner.run(installSequence(name, into: slot), on: work)
        case .startTrial(let slot): try runner.run(startTrialSequence(slot, rule: ProbationRule()), on: work)
        case .retryTrial: try runner.run(retryTrialSequence(), on: work)
        case .abandonTrial(let reason):
            try runner.run(rollBackSequence(reason: reason, isBlamed: true), on: work)
        case .cancelTrial(let reason):
            try runner.run(rollBackSequence(reason: reason, isBlamed: false), on: work)
        case .restart(let slot): try runner.run(restartSequence(into: .slot(slot)), on: work)
        }
        return work.isRestarting
    }
}
