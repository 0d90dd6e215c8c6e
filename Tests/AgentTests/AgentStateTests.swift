import Contract
import Decisions
import Testing

@testable import Agent

@Suite struct AgentStateTests {
    private static let old = Digest256(bytes: [UInt8](repeating: 1, count: 32))
    private static let new = Digest256(bytes: [UInt8](repeating: 2, count: 32))
    private let rule = ProbationRule(holdSeconds: 10, deadlineSeconds: 100, attempts: 2)
    private let good = [CheckResult(name: "units", passed: true, detail: "")]
    private let bad = [CheckResult(name: "pump", passed: false, detail: "broken")]

    private func installed(_ release: Digest256, _ version: String) -> InstalledRelease {
        InstalledRelease(
            release: release, version: version, epoch: 1, architecture: .current, rootHash: release, salt: [],
            blocks: 1, ukiDigest: nil, ukiBytes: 0)
    }

    /// A node that runs version 1 from slot A.
    private func provisioned() throws -> BootRecord {
        let old = try #require(Self.old)
        var record = BootRecord.provisioning(release: old, site: nil, keeping: nil, keepsState: false)
        for slot in SlotName.allCases { try record.markVerified(slot, installed(old, "1")) }
        try record.commitProvisioned(.a, generation: 1)
        return record
    }

    /// A node that runs version 2 from slot B on trial.
    private func onTrial() throws -> BootRecord {
        let new = try #require(Self.new)
        var record = try provisioned()
        try record.beginWriting(.b, release: new, running: .a)
        try record.markVerified(.b, installed(new, "2"))
        try record.startTrial(.b, rule: rule)
        try record.countBoot(.b, byKexec: false)
        return record
    }

    private func wish(_ release: Digest256?, commands: [NodeCommand] = []) -> DesiredState {
        DesiredState(generation: 5, release: release, releaseVersion: "2", commands: commands, probation: rule)
    }

    private func state(_ slot: SlotName, _ record: BootRecord, _ memory: AgentMemory = AgentMemory()) -> AgentState {
        AgentState(
            running: AgentState.RunningSlot(slot: slot, deadlineSeconds: record.trial == nil ? nil : 100),
            record: record, memory: memory)
    }

    private func jobs(_ effects: [AgentState.Effect]) -> [AgentJob] {
        effects.compactMap { if case .run(let job) = $0 { job } else { nil } }
    }

    private func done(_ job: AgentJob, _ record: BootRecord, failure: JobFailure? = nil) -> JobOutcome {
        JobOutcome(job: job, record: record, failure: failure, isRestarting: false)
    }

    @Test func aWishedReleaseIsInstalledBesideTheRunningOne() throws {
        let new = try #require(Self.new)
        var state = state(.a, try provisioned())
        #expect(jobs(state.desired(wish(new), nowSeconds: 50)) == [.install(new, into: .b)])
        #expect(state.phase == .installing)
    }

    @Test func aReleaseThatIsAtFaultIsRefusedOnceWithItsReason() throws {
        let new = try #require(Self.new)
        let record = try provisioned()
        var state = state(.a, record)
        _ = state.desired(wish(new), nowSeconds: 50)
        let failure = JobFailure(reason: "the signature is wrong", isPermanent: true)
        let effects = state.finished(done(.install(new, into: .b), record, failure: failure), nowSeconds: 60)
        #expect(jobs(effects).isEmpty)
        #expect(state.memory.lastUpgrade?.result == .refused)
        #expect(state.memory.lastUpgrade?.reason == "the signature is wrong")
        for second in stride(from: Int64(60), to: 5000, by: 5) {
            #expect(!jobs(state.tick(nowSeconds: second)).contains(.install(new, into: .b)))
            // Chores may run meanwhile.
            if let job = state.job { _ = state.finished(done(job, record), nowSeconds: second) }
        }
    }

    @Test func anInterruptedInstallationIsTriedAgainAfterAPause() throws {
        let new = try #require(Self.new)
        let record = try provisioned()
        var state = state(.a, record)
        _ = state.desired(wish(new), nowSeconds: 50)
        let failure = JobFailure(reason: "the server does not answer", isPermanent: false)
        _ = state.finished(done(.install(new, into: .b), record, failure: failure), nowSeconds: 60)
        #expect(jobs(state.tick(nowSeconds: 61)).isEmpty)
        #expect(jobs(state.tick(nowSeconds: 60 + AgentState.pauseSeconds)) == [.install(new, into: .b)])
    }

    @Test func aHealthyTrialIsCommittedAndTheGuardianReleased() throws {
        var memory = AgentMemory()
        memory.trialRelease = Self.new
        memory.trialVersion = "2"
        let record = try onTrial()
        var state = state(.b, record, memory)
        #expect(state.started().contains(.setDeadline(100)))
        #expect(state.phase == .probation)
        _ = state.contact(failure: nil, nowMilliseconds: 20_000)
        // The first round begins with a look at the boot entries.
        let first = jobs(state.checked(good, gatewayAnswers: nil, nowSeconds: 20))
        #expect(first == [.repairEntries])
        _ = state.finished(done(.repairEntries, record), nowSeconds: 21)
        #expect(jobs(state.checked(good, gatewayAnswers: nil, nowSeconds: 25)).isEmpty)
        #expect(jobs(state.checked(good, gatewayAnswers: nil, nowSeconds: 31)) == [.commit])
        var committed = record
        try committed.commit(.b)
        let effects = state.finished(done(.commit, committed), nowSeconds: 32)
        #expect(effects.contains(.releaseGuardian))
        #expect(state.memory.lastUpgrade?.result == .committed)
        #expect(state.phase == .steady)
    }

    @Test func anUnhealthyTrialGoesBackAtItsDeadlineAndSaysWhy() throws {
        let record = try onTrial()
        var state = state(.b, record)
        _ = state.contact(failure: nil, nowMilliseconds: 20_000)
        _ = state.checked(bad, gatewayAnswers: nil, nowSeconds: 20)
        _ = state.finished(done(.repairEntries, record), nowSeconds: 21)
        let started = jobs(state.checked(bad, gatewayAnswers: nil, nowSeconds: 101))
        guard case .rollBack(let reason, isBlamed: true)? = started.first else {
            Issue.record("expected a rollback, got \(started)")
            return
        }
        #expect(reason.contains("pump: broken"))
    }

    @Test func aCommitThatCannotBeWrittenIsTriedAgain() throws {
        let record = try onTrial()
        var state = state(.b, record)
        for second: Int64 in [20, 21] {
            _ = state.contact(failure: nil, nowMilliseconds: second * 1000)
            _ = state.checked(good, gatewayAnswers: nil, nowSeconds: second)
            if let job = state.job { _ = state.finished(done(job, record), nowSeconds: second) }
        }
        #expect(jobs(state.checked(good, gatewayAnswers: nil, nowSeconds: 32)) == [.commit])
        let failure = JobFailure(reason: "cannot write", isPermanent: false)
        _ = state.finished(done(.commit, record, failure: failure), nowSeconds: 33)
        #expect(jobs(state.checked(good, gatewayAnswers: nil, nowSeconds: 34)).isEmpty)
        #expect(jobs(state.checked(good, gatewayAnswers: nil, nowSeconds: 60)) == [.commit])
    }

    @Test func theOldSlotsAgentReportsTheRollback() throws {
        let new = try #require(Self.new)
        var record = try onTrial()
        try record.abandonTrial(reason: "not healthy: pump", isBlamed: true)
        var memory = AgentMemory()
        memory.trialRelease = new
        memory.trialVersion = "2"
        memory.accept(wish(new))
        var state = state(.a, record, memory)
        _ = state.started()
        #expect(state.memory.lastUpgrade?.result == .rolledBack)
        #expect(state.memory.lastUpgrade?.reason == "not healthy: pump")
        // And the version is not tried again.
        for second: Int64 in [10, 20, 700] {
            for job in jobs(state.tick(nowSeconds: second)) {
                #expect(job == .repairEntries || job == .refreshRecovery)
                _ = state.finished(done(job, record), nowSeconds: second)
            }
        }
    }

    @Test func aCommandWaitsForTheJobUnderWayAndIsNotLost() throws {
        let new = try #require(Self.new)
        let record = try provisioned()
        var state = state(.a, record)
        _ = state.desired(wish(new), nowSeconds: 50)
        let reboot = NodeCommand(id: "c1", kind: .reboot)
        let later = DesiredState(
            generation: 6, release: Self.old, releaseVersion: "1", commands: [reboot], probation: rule)
        #expect(!state.desired(later, nowSeconds: 51).contains(.carryOut(reboot)))
        _ = state.finished(done(.install(new, into: .b), record), nowSeconds: 60)
        if let job = state.job { _ = state.finished(done(job, record), nowSeconds: 60) }
        #expect(state.tick(nowSeconds: 61).contains(.carryOut(reboot)))
        #expect(state.memory.finishedCommands == ["c1"])
    }

    @Test func anOlderWishIsIgnored() throws {
        var state = state(.a, try provisioned())
        _ = state.desired(wish(nil), nowSeconds: 10)
        let stale = DesiredState(generation: 4, release: Self.new, releaseVersion: "2", commands: [])
        #expect(state.desired(stale, nowSeconds: 11).isEmpty)
        #expect(state.memory.desired?.generation == 5)
    }

    @Test func aCommittedVersionThatFailedLaterIsReportedAsRolledBack() throws {
        let new = try #require(Self.new)
        var record = try onTrial()
        try record.commit(.b)
        try record.goBack(reason: "unhealthy after the commit: pump")
        var memory = AgentMemory()
        memory.lastUpgrade = UpgradeOutcome(release: new, version: "2", result: .committed, reason: "")
        var state = state(.a, record, memory)
        _ = state.started()
        #expect(state.memory.lastUpgrade?.result == .rolledBack)
        #expect(state.memory.lastUpgrade?.reason == "unhealthy after the commit: pump")
    }

    @Test func aNodeThatIsSwitchedOffIsNotUpgrading() throws {
        var state = state(.a, try provisioned())
        let command = NodeCommand(id: "off", kind: .powerOff)
        #expect(state.desired(wish(nil, commands: [command]), nowSeconds: 50).contains(.carryOut(command)))
        #expect(state.phase == .steady)
        #expect(jobs(state.tick(nowSeconds: 60)).isEmpty)
    }
}
