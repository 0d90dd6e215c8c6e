import Contract
import Testing

@testable import Decisions

@Suite struct BootRecordTransitions {
    @Test func anUpgradeRunsThroughItsStates() throws {
        var record = try Fixture.waitingForTrial()
        #expect(record.trial?.attemptsLeft == 2)
        record.countRequest(.slot(.b), byKexec: false)
        try record.countBoot(.b, byKexec: false)
        #expect(record.trial?.attemptsLeft == 1)
        #expect(record.trial?.isWaitingToStart == false)
        #expect(record.request == nil)
        try record.commit(.b)
        #expect(record.committed == .b)
        #expect(record.previous == .a)
        #expect(record.trial == nil)
        #expect(record.failedBoots(of: .b) == 0)
        #expect(record.brokenInvariant == nil)
    }

    @Test func aBlamedVersionIsQuarantinedAndABlamelessOneIsNot() throws {
        var blamed = try Fixture.waitingForTrial()
        try blamed.abandonTrial(reason: "a check failed", isBlamed: true)
        #expect(blamed.quarantineReason(of: Fixture.digest(2)) == "a check failed")
        #expect(throws: RecordTransitionError.quarantined("a check failed")) {
            try blamed.startTrial(.b, rule: ProbationRule())
        }
        var blameless = try Fixture.waitingForTrial()
        try blameless.abandonTrial(reason: "an outage", isBlamed: false)
        #expect(blameless.quarantine.isEmpty)
        try blameless.startTrial(.b, rule: ProbationRule())
        try blameless.abandonTrial(reason: "an outage", isBlamed: false)
        #expect(blameless.lastFailure?.times == 2)
    }

    @Test func theRunningAndTheCommittedSlotAreNeverWritten() throws {
        var record = try Fixture.provisioned()
        #expect(throws: RecordTransitionError.slotInUse(.a)) {
            try record.beginWriting(.a, release: Fixture.digest(2), running: .a)
        }
        #expect(throws: RecordTransitionError.slotInUse(.b)) {
            try record.beginWriting(.b, release: Fixture.digest(2), running: .b)
        }
        var trial = try Fixture.waitingForTrial()
        #expect(throws: RecordTransitionError.trialUnderWay(.b)) {
            try trial.beginWriting(.b, release: Fixture.digest(3), running: .a)
        }
        var empty = BootRecord()
        #expect(throws: RecordTransitionError.nothingCommitted) {
            try empty.beginWriting(.b, release: Fixture.digest(3), running: nil)
        }
    }

    @Test func onlyWhatWasWrittenIsVerified() throws {
        var record = try Fixture.provisioned()
        #expect(throws: RecordTransitionError.notWriting(.b)) { try record.markVerified(.b, Fixture.release(2)) }
        try record.beginWriting(.b, release: Fixture.digest(2), running: .a)
        #expect(throws: RecordTransitionError.notWriting(.b)) { try record.markVerified(.b, Fixture.release(3)) }
        #expect(throws: RecordTransitionError.notVerified(.b)) { try record.startTrial(.b, rule: ProbationRule()) }
        #expect(throws: RecordTransitionError.notVerified(.b)) { try record.countBoot(.b, byKexec: false) }
    }

    @Test func aTrialIsRefusedWhereItMakesNoSense() throws {
        var record = try Fixture.waitingForTrial()
        #expect(throws: RecordTransitionError.trialUnderWay(.b)) { try record.startTrial(.b, rule: ProbationRule()) }
        #expect(throws: RecordTransitionError.trialNotStarted) { try record.commit(.b) }
        #expect(throws: RecordTransitionError.noTrial) { try record.commit(.a) }
        #expect(throws: RecordTransitionError.trialUnderWay(.b)) { try record.goBack(reason: "") }
        var steady = try Fixture.provisioned()
        #expect(throws: RecordTransitionError.slotInUse(.a)) { try steady.startTrial(.a, rule: ProbationRule()) }
        #expect(throws: RecordTransitionError.noTrial) { try steady.retryTrial() }
        #expect(throws: RecordTransitionError.noTrial) { try steady.abandonTrial(reason: "", isBlamed: true) }
        #expect(throws: RecordTransitionError.noPrevious) { try steady.goBack(reason: "") }
        #expect(throws: RecordTransitionError.nothingCommitted) { try steady.healthConfirmed(.b) }
        #expect(throws: RecordTransitionError.nothingCommitted) { try steady.countBoot(.b, byKexec: false) }
        for rule in [
            ProbationRule(attempts: 0), ProbationRule(attempts: 11), ProbationRule(deadlineSeconds: 0),
            ProbationRule(holdSeconds: 700, deadlineSeconds: 600), ProbationRule(deadlineSeconds: 1 << 30),
        ] {
            #expect(throws: RecordTransitionError.self) { try steady.startTrial(.b, rule: rule) }
        }
        var writing = BootRecord.provisioning(
            release: Fixture.digest(1), site: nil, keeping: nil, keepsState: false)
        #expect(throws: RecordTransitionError.provisioning) { try writing.startTrial(.b, rule: ProbationRule()) }
        #expect(throws: RecordTransitionError.notVerified(.a)) { try writing.commitProvisioned(.a, generation: 1) }
        #expect(throws: RecordTransitionError.notProvisioning) { try steady.commitProvisioned(.a, generation: 1) }
        var nothing = BootRecord()
        #expect(throws: RecordTransitionError.nothingCommitted) { try nothing.startTrial(.b, rule: ProbationRule()) }
        #expect(throws: RecordTransitionError.nothingCommitted) { try nothing.giveWay(reason: "", isBlamed: true) }
        #expect(throws: RecordTransitionError.nothingCommitted) { try nothing.goBack(reason: "") }
    }

    @Test func attemptsOnlyEverGoDown() throws {
        var record = try Fixture.waitingForTrial(attempts: 3)
        for left in [2, 1, 0] {
            try record.countBoot(.b, byKexec: left == 1)
            #expect(record.trial?.attemptsLeft == left)
            if left > 0 { try record.retryTrial() }
        }
        #expect(throws: RecordTransitionError.noAttemptsLeft) { try record.countBoot(.b, byKexec: false) }
        #expect(throws: RecordTransitionError.noAttemptsLeft) { try record.retryTrial() }
    }

    @Test func aCommittedSlotMayFailThreeBootsAndThenGivesWay() throws {
        var record = try Fixture.provisioned()
        for _ in 0..<BootRecord.failedBootLimit { try record.countBoot(.a, byKexec: false) }
        #expect(throws: RecordTransitionError.tooManyFailedBoots(.a)) { try record.countBoot(.a, byKexec: false) }
        try record.giveWay(reason: "it failed", isBlamed: true)
        #expect(record.committed == .b)
        // Both slots hold the same release, which is not to blame then.
        #expect(record.quarantine.isEmpty)
        for _ in 0..<BootRecord.failedBootLimit { try record.countBoot(.b, byKexec: false) }
        #expect(throws: RecordTransitionError.noOtherSlot) { try record.giveWay(reason: "", isBlamed: true) }
    }

    @Test func healthClearsTheCount() throws {
        var record = try Fixture.provisioned()
        try record.countBoot(.a, byKexec: false)
        try record.healthConfirmed(.a)
        #expect(record.failedBoots(of: .a) == 0)
    }

    @Test func goingBackAfterACommitHappensOnce() throws {
        var record = try Fixture.waitingForTrial()
        try record.countBoot(.b, byKexec: false)
        try record.commit(.b)
        try record.goBack(reason: "unhealthy")
        #expect(record.committed == .a)
        #expect(record.quarantineReason(of: Fixture.digest(2)) == "unhealthy")
        #expect(throws: RecordTransitionError.noPrevious) { try record.goBack(reason: "unhealthy") }
        #expect(!record.canGiveWay, "the two slots must not take turns")
    }

    @Test func aFirmwareThatIgnoresRequestsIsRememberedAcrossKexec() throws {
        var record = try Fixture.provisioned()
        for _ in 0..<5 { record.countRequest(.slot(.a), byKexec: false) }
        record.countRequest(.slot(.a), byKexec: true)
        #expect(record.request?.firmware == BootRecord.startRequestLimit)
        try record.countBoot(.a, byKexec: true)
        #expect(record.request?.firmware == BootRecord.startRequestLimit)
        #expect(record.request?.kexec == 0)
        try record.countBoot(.a, byKexec: false)
        #expect(record.request == nil)
    }

    @Test func provisioningAgainKeepsWhatTheNodeLearntOnlyWithItsState() throws {
        var old = try Fixture.waitingForTrial()
        try old.abandonTrial(reason: "bad", isBlamed: true)
        old.setRecovery(BootRecord.RecoveryArtifact(digest: Fixture.digest(9), sizeBytes: 1))
        let kept = BootRecord.provisioning(release: Fixture.digest(3), site: nil, keeping: old, keepsState: true)
        #expect(kept.quarantine == old.quarantine)
        #expect(kept.epochFloor == 1)
        #expect(kept.planGeneration == 1)
        #expect(kept.recovery == old.recovery)
        let wiped = BootRecord.provisioning(release: Fixture.digest(3), site: nil, keeping: old, keepsState: false)
        #expect(wiped.quarantine.isEmpty)
        #expect(wiped.epochFloor == 0)
        #expect(!wiped.hasState)
    }

    @Test func theQuarantineIsBounded() throws {
        var record = try Fixture.provisioned()
        for number in 2..<40 as Range<UInt8> {
            try record.beginWriting(.b, release: Fixture.digest(number), running: .a)
            try record.markVerified(.b, Fixture.release(number))
            try record.startTrial(.b, rule: ProbationRule())
            try record.abandonTrial(reason: String(repeating: "x", count: 2000), isBlamed: true)
        }
        #expect(record.quarantine.count == BootRecord.quarantineLimit)
        #expect(record.quarantine.last?.release == Fixture.digest(39))
        #expect(record.quarantine.allSatisfy { $0.reason.count == BootRecord.reasonLimit })
        #expect(try Wire.encode(record).count < 32 << 10)
    }
}

@Suite struct BootRecordForm {
    @Test func everyStateSurvivesTheDisk() throws {
        var records = [BootRecord(), try Fixture.provisioned(), try Fixture.waitingForTrial()]
        var full = try Fixture.waitingForTrial()
        full.countRequest(.recovery, byKexec: true)
        full.requestReprovision()
        full.countRequest(.slot(.b), byKexec: false)
        full.setRecovery(BootRecord.RecoveryArtifact(digest: Fixture.digest(9), sizeBytes: 5))
        records.append(full)
        for record in records {
            let bytes = try Wire.encode(record)
            #expect(try Wire.decode(BootRecord.self, from: bytes) == record)
        }
    }

    @Test func fieldsThatAreNotKnownAreKept() throws {
        let text = """
            {"format":2,"future":{"a":[1,2.5,"x",null,true]},"a":{"state":"verified","installed":\
            {"version":"1","epoch":1,"architecture":"amd64","rootHash":"\(Fixture.digest(1))","salt":"00ff",\
            "blocks":16,"ukiBytes":5,"later":"yes"}},"committed":"a"}
            """
        var record = try Wire.decode(BootRecord.self, from: Array(text.utf8))
        try record.countBoot(.a, byKexec: false)
        let again = String(decoding: try Wire.encode(record), as: UTF8.self)
        #expect(again.contains(#""future":{"a":[1,2.5,"x",null,true]}"#))
        #expect(again.contains(#""later":"yes""#))
        #expect(again.contains(#""format":2"#))
    }

    @Test(arguments: [
        #"{"format":3}"#, #"{"format":1,"committed":"a"}"#, #"{"format":1,"previous":"b"}"#,
        #"{"format":1,"bootsWithoutHealth":{"a":4}}"#, #"{"format":1,"bootsWithoutHealth":{"a":-1}}"#,
        #"{"format":1,"epochFloor":-1}"#, #"{"format":1,"a":{"state":"perfect"}}"#, #"{}"#,
        #"{"format":1,"trial":{"slot":"b","attemptsLeft":1,"attempts":1,"holdSeconds":1,"deadlineSeconds":1,"isWaitingToStart":true}}"#,
        #"{"format":1,"request":{"target":"c","firmware":0,"kexec":0}}"#,
        #"{"format":1,"request":{"target":"a","firmware":-1,"kexec":0}}"#,
    ])
    func whatBreaksARuleIsRefused(text: String) {
        #expect(throws: WireError.self) { try Wire.decode(BootRecord.self, from: Array(text.utf8)) }
    }
}
