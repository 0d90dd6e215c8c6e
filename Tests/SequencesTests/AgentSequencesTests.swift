import Contract
import Decisions
import Testing

@testable import Sequences

@Suite struct AgentSequences {
    private let sizes = SlotSizes(
        rootBytes: 2 << 30, treeBytes: 32 << 20, bootBytes: 288 << 20, recoveryBytes: 512 << 20)

    private func installed() throws -> (Recorder, AgentWork) {
        let recorder = Recorder()
        try recorder.becomeInstalled()
        recorder.release = Recorder.release(2)
        return (recorder, try work(recorder, .a))
    }

    private func work(_ recorder: Recorder, _ slot: SlotName) throws -> AgentWork {
        try AgentWork(
            effects: recorder.agent, running: slot, disk: try #require(recorder.installed), sizes: sizes)
    }

    private func onTrial() throws -> (Recorder, AgentWork) {
        let (recorder, old) = try installed()
        try recorder.runner.run(installSequence(Recorder.digest(2), into: .b), on: old)
        try recorder.runner.run(startTrialSequence(.b, rule: ProbationRule()), on: old)
        var record = try #require(recorder.stored)
        try record.countBoot(.b, byKexec: false)
        recorder.reading = .valid(record)
        recorder.firmware.next = nil
        recorder.log = []
        return (recorder, try work(recorder, .b))
    }

    @Test func anInstallInvalidatesFirstAndActivatesLast() throws {
        let (recorder, work) = try installed()
        try recorder.runner.run(installSequence(Recorder.digest(2), into: .b), on: work)
        #expect(
            recorder.log == [
                "metadata", "record", "invalidate slot B", "stream into B", "read back B", "activate slot B", "record",
            ])
        #expect(work.record[.b].installed?.release == Recorder.digest(2))
    }

    @Test func theRunningSlotIsNeverATarget() throws {
        let (recorder, work) = try installed()
        #expect(throws: StepError.self) {
            try recorder.runner.run(installSequence(Recorder.digest(2), into: .a), on: work)
        }
        #expect(recorder.log == ["metadata"])
    }

    @Test func aReleaseThatDoesNotFitChangesNothing() throws {
        let (recorder, work) = try installed()
        recorder.release.ukiBytes = 1 << 30
        #expect(throws: StepError.self) {
            try recorder.runner.run(installSequence(Recorder.digest(2), into: .b), on: work)
        }
        #expect(recorder.log == ["metadata"])
    }

    @Test func aTrialIsRecordedBeforeTheFirmwareIsTold() throws {
        let (recorder, work) = try installed()
        try recorder.runner.run(installSequence(Recorder.digest(2), into: .b), on: work)
        recorder.log = []
        try recorder.runner.run(startTrialSequence(.b, rule: ProbationRule()), on: work)
        #expect(recorder.log == ["record", "variable", "flush reports", "reboot"])
        #expect(recorder.firmware.next == 1)
        #expect(work.isRestarting)
    }

    @Test func aFirmwareThatRefusesDoesNotStopATrial() throws {
        let (recorder, work) = try installed()
        try recorder.runner.run(installSequence(Recorder.digest(2), into: .b), on: work)
        recorder.fails["variable"] = 100
        try recorder.runner.run(startTrialSequence(.b, rule: ProbationRule()), on: work)
        #expect(recorder.log.last == "reboot")
        #expect(work.record.trial?.isWaitingToStart == true)
    }

    @Test func aCommitIsRecordedBeforeTheOrderChanges() throws {
        let (recorder, work) = try onTrial()
        try recorder.runner.run(commitSequence(), on: work)
        #expect(recorder.log == ["record", "variable"])
        #expect(recorder.firmware.order == [1, 0, 2])
        #expect(work.record.committed == .b && work.canGoBack)
    }

    @Test func aRollbackRecordsTheReasonBeforeItRestarts() throws {
        let (recorder, work) = try onTrial()
        try recorder.runner.run(rollBackSequence(reason: "a check failed", isBlamed: true), on: work)
        #expect(recorder.log == ["record", "variable", "flush reports", "reboot"])
        #expect(work.record.quarantineReason(of: Recorder.digest(2)) == "a check failed")
        #expect(recorder.firmware.next == 0)
    }

    @Test func theOldVersionEndsATrialWithoutARestart() throws {
        let (recorder, _) = try onTrial()
        let old = try work(recorder, .a)
        try recorder.runner.run(retryTrialSequence(), on: old)
        #expect(recorder.log == ["record", "variable", "flush reports", "reboot"])
        recorder.log = []
        let again = try work(recorder, .a)
        try recorder.runner.run(rollBackSequence(reason: "it died", isBlamed: true), on: again)
        #expect(recorder.log == ["record", "variable"])
        #expect(!again.isRestarting)
        #expect(recorder.firmware.next == nil, "the request of the trial is withdrawn")
    }

    @Test func goingBackAfterTheCommitRestarts() throws {
        let (recorder, work) = try onTrial()
        try recorder.runner.run(commitSequence(), on: work)
        recorder.log = []
        try recorder.runner.run(goBackSequence(reason: "unhealthy"), on: work)
        #expect(recorder.log == ["record", "variable", "variable", "flush reports", "reboot"])
        #expect(work.record.committed == .a)
    }

    @Test func recoveryFollowsTheCommitOnlyWhereTheFirmwareDoesNotNeedIt() throws {
        let (recorder, work) = try onTrial()
        try recorder.runner.run(commitSequence(), on: work)
        recorder.log = []
        try recorder.runner.run(refreshRecoverySequence(), on: work)
        #expect(recorder.log.isEmpty, "this start did not come through its entry")
        recorder.firmware.current = 1
        try recorder.runner.run(refreshRecoverySequence(), on: work)
        #expect(recorder.log == ["metadata", "record", "invalidate recovery", "activate recovery", "record"])
        recorder.log = []
        try recorder.runner.run(refreshRecoverySequence(), on: work)
        #expect(recorder.log.isEmpty, "it is up to date")
    }

    @Test func lostEntriesComeBackAndRightOnesAreLeftAlone() throws {
        let (recorder, work) = try installed()
        try recorder.runner.run(repairSequence(), on: work)
        #expect(recorder.log.isEmpty)
        recorder.firmware.entries.removeAll { $0.number == 1 }
        try recorder.runner.run(repairSequence(), on: work)
        #expect(recorder.log == ["variable", "variable"], "the entry and its place in the order")
    }

    @Test func aRequestToProvisionAgainIsRecordedBeforeTheRestart() throws {
        let (recorder, work) = try installed()
        try recorder.runner.run(restartSequence(into: .recovery), on: work)
        #expect(recorder.log == ["record", "variable", "flush reports", "reboot"])
        #expect(recorder.stored?.reprovisionRequested == true)
        #expect(recorder.firmware.next == 2)
    }

    @Test func withoutARecordTheAgentSaysWhatToDo() throws {
        let recorder = Recorder()
        try recorder.becomeInstalled()
        for reading in [RecordReading.missing, .unreadable("torn")] {
            recorder.reading = reading
            do {
                _ = try work(recorder, .a)
                Issue.record("it went on")
            } catch { #expect("\(error)".contains("restart the machine")) }
        }
    }
}
