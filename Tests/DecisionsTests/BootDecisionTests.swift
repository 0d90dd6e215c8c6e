import Contract
import TestSupport
import Testing

@testable import Decisions

@Suite struct BootDecisions {
    static func slot(
        _ slot: SlotName, _ record: BootRecord, image: UInt8? = nil, kexec: Bool = false,
        startable: Set<StartTarget> = Set(StartTarget.allCases), isWritable: Bool = true,
        refused: Set<StartTarget> = [], next: UInt16? = nil
    ) -> BootPlan {
        let number = image ?? (record[slot].installed?.release == Fixture.digest(2) ? 2 : 1)
        var disk = Fixture.disk
        disk.startable = startable
        var firmware = Fixture.firmware(running: kexec ? nil : .slot(slot))
        firmware.isWritable = isWritable
        firmware.next = next
        return BootDecision.decide(
            BootFacts(
                arguments: BootArguments(
                    mode: .slot(Fixture.image(number)), kexecSlot: kexec ? slot : nil, isKexec: kexec),
                record: .valid(record), disk: disk, firmware: firmware, kexecRefused: refused))
    }

    static func artifact(
        _ reading: RecordReading, disk: DiskFacts? = Fixture.disk, isWritable: Bool = true, site: Digest256? = nil,
        refused: Set<StartTarget> = []
    ) -> BootPlan {
        var firmware = Fixture.firmware(running: .recovery)
        firmware.isWritable = isWritable
        return BootDecision.decide(
            BootFacts(
                arguments: BootArguments(mode: .provision), record: reading, disk: disk, firmware: firmware,
                site: site, kexecRefused: refused))
    }

    // MARK: A slot's UKI

    @Test func theCommittedSlotStartsAndIsCounted() throws {
        let plan = Self.slot(.a, try Fixture.provisioned())
        #expect(plan.action == .start(SlotStart(slot: .a, image: Fixture.image(1), trial: nil)))
        #expect(plan.record?.failedBoots(of: .a) == 1)
        #expect(plan.changes.isEmpty)
    }

    @Test func aTrialStartsWithOneAttemptLess() throws {
        let plan = Self.slot(.b, try Fixture.waitingForTrial())
        guard case .start(let start) = plan.action else { Issue.record("\(plan)"); return }
        #expect(start.slot == .b)
        #expect(start.trial?.attemptsLeft == 1)
        #expect(start.trial?.deadlineSeconds == 600)
        #expect(plan.record?.trial?.attemptsLeft == 1)
    }

    @Test func aTrialWithoutAttemptsIsGivenUpAndBlamed() throws {
        var record = try Fixture.waitingForTrial(attempts: 1)
        try record.countBoot(.b, byKexec: false)
        let plan = Self.slot(.b, record)
        #expect(plan.action == .reboot(into: .slot(.a)))
        #expect(plan.record?.trial == nil)
        #expect(plan.record?.quarantineReason(of: Fixture.digest(2)) != nil)
        #expect(plan.changes.contains(.setNext(0)))
    }

    @Test func aFirmwareThatIgnoresBootNextIsAskedTwiceThenKexecIsUsed() throws {
        var record = try Fixture.waitingForTrial()
        record.countRequest(.slot(.b), byKexec: false)
        let again = Self.slot(.a, record, next: 1)
        #expect(again.action == .reboot(into: .slot(.b)))
        record = try #require(again.record)
        let kexec = Self.slot(.a, record, next: 1)
        #expect(kexec.action == .kexec(.slot(.b)))
        #expect(kexec.record?.trial?.attemptsLeft == 2, "only the slot's own start takes an attempt")
        record = try #require(kexec.record)
        #expect(Self.slot(.a, record).action == .kexec(.slot(.b)))
        record = try #require(Self.slot(.a, record).record)
        let gaveUp = Self.slot(.a, record)
        #expect(gaveUp.action == .start(SlotStart(slot: .a, image: Fixture.image(1), trial: nil)))
        #expect(gaveUp.record?.trial == nil)
    }

    @Test func aTrialThatUsedBootNextUpAndHungIsNotAskedOfTheFirmwareAgain() throws {
        var record = try Fixture.waitingForTrial()
        record.countRequest(.slot(.b), byKexec: false)
        for _ in 0..<2 {
            let plan = Self.slot(.a, record)
            #expect(plan.action == .kexec(.slot(.b)))
            record = try #require(plan.record)
        }
        let gaveUp = Self.slot(.a, record)
        #expect(gaveUp.action == .start(SlotStart(slot: .a, image: Fixture.image(1), trial: nil)))
        #expect(gaveUp.record?.quarantineReason(of: Fixture.digest(2)) != nil)
        record = try Fixture.waitingForTrial()
        record.countRequest(.slot(.b), byKexec: false)
        #expect(
            Self.slot(.a, record, refused: [.slot(.b)]).action == .reboot(into: .slot(.b)), "no kexec")
    }

    @Test func aVersionThatNeitherWayLoadsIsNotBlamed() throws {
        var record = try Fixture.waitingForTrial()
        record.countRequest(.slot(.b), byKexec: false)
        let plan = Self.slot(.a, record, isWritable: false, refused: [.slot(.b)])
        #expect(plan.record?.trial == nil)
        #expect(plan.record?.quarantine.isEmpty == true)
        #expect(plan.record?.lastFailure?.isBlamed == false)
    }

    @Test func aTrialThatWasStartedAndFailedIsLeftToTheAgent() throws {
        var record = try Fixture.waitingForTrial()
        try record.countBoot(.b, byKexec: false)
        let plan = Self.slot(.a, record)
        #expect(plan.action == .start(SlotStart(slot: .a, image: Fixture.image(1), trial: nil)))
        #expect(plan.record?.trial?.attemptsLeft == 1)
    }

    @Test func threeFailedBootsGiveWayToTheOtherSlotThenToRecovery() throws {
        var record = try Fixture.provisioned()
        for _ in 0..<3 { record = try #require(Self.slot(.a, record).record) }
        let plan = Self.slot(.a, record)
        #expect(plan.action == .reboot(into: .slot(.b)))
        #expect(plan.record?.committed == .b)
        record = try #require(plan.record)
        for _ in 0..<3 { record = try #require(Self.slot(.b, record).record) }
        let last = Self.slot(.b, record)
        #expect(last.action == .reboot(into: .recovery))
        let recovery = Self.artifact(.valid(try #require(last.record)))
        #expect(recovery.action == .provision(.slotsFailed))
    }

    @Test func theOtherSlotRepairsTheOrderAndLeadsToTheCommittedOne() throws {
        let record = try Fixture.provisioned()
        let plan = Self.slot(.b, record)
        #expect(plan.action == .reboot(into: .slot(.a)))
        #expect(plan.record?.request?.firmware == 1)
    }

    @Test func aCommittedSlotThatCannotBeStartedGivesWayToTheOneThatRuns() throws {
        let plan = Self.slot(.b, try Fixture.provisioned(), startable: [.slot(.b), .recovery])
        #expect(plan.action == .start(SlotStart(slot: .b, image: Fixture.image(1), trial: nil)))
        #expect(plan.record?.committed == .b)
    }

    @Test func aLostRecordIsRebuiltFromTheSignedCommandLine() throws {
        for reading in [RecordReading.missing, .unreadable("both copies are damaged")] {
            let plan = BootDecision.decide(
                BootFacts(
                    arguments: BootArguments(mode: .slot(Fixture.image(1))), record: reading, disk: Fixture.disk,
                    firmware: Fixture.firmware(running: .slot(.b))))
            #expect(plan.action == .start(SlotStart(slot: .b, image: Fixture.image(1), trial: nil)))
            #expect(plan.record?.committed == .b)
            #expect(plan.record?.committedRelease?.rootHash == Fixture.image(1).rootHash)
            #expect(plan.record?.committedRelease?.release == nil)
        }
    }

    @Test func anUnfinishedProvisioningLeadsFromASlotToRecovery() throws {
        let record = BootRecord.provisioning(release: Fixture.digest(1), site: nil, keeping: nil, keepsState: true)
        #expect(Self.slot(.a, record, image: 1).action == .reboot(into: .recovery))
        // Where recovery is not there either, the slot that runs is better than nothing: its UKI came last.
        let alone = Self.slot(.a, record, image: 1, startable: [.slot(.a)])
        #expect(alone.action == .start(SlotStart(slot: .a, image: Fixture.image(1), trial: nil)))
        #expect(alone.record?.committed == .a)
    }

    @Test func aRequestToProvisionAgainLeadsFromASlotToRecoveryOrIsDropped() throws {
        var record = try Fixture.provisioned()
        record.requestReprovision()
        #expect(Self.slot(.a, record).action == .reboot(into: .recovery))
        let dropped = Self.slot(.a, record, startable: [.slot(.a), .slot(.b)])
        #expect(dropped.action == .start(SlotStart(slot: .a, image: Fixture.image(1), trial: nil)))
        #expect(dropped.record?.reprovisionRequested == false)
    }

    @Test func aKexecedSlotKnowsItselfWithoutAStub() throws {
        let plan = Self.slot(.a, try Fixture.provisioned(), kexec: true)
        guard case .start(let start) = plan.action else { Issue.record("\(plan)"); return }
        #expect(start.slot == .a)
    }

    // MARK: The boot artifact

    @Test func aBlankMachineIsProvisioned() {
        #expect(Self.artifact(.missing, disk: nil).action == .provision(.notInstalled))
        var partial = Fixture.disk
        partial.partitions[.state] = nil
        #expect(Self.artifact(.missing, disk: partial).action == .provision(.notInstalled))
    }

    @Test func anInstalledMachineThatStartsFromTheNetworkGoesToItsSlot() throws {
        var record = try Fixture.provisioned()
        let first = Self.artifact(.valid(record))
        #expect(first.action == .reboot(into: .slot(.a)))
        record = try #require(first.record)
        record = try #require(Self.artifact(.valid(record)).record)
        let third = Self.artifact(.valid(record))
        #expect(third.action == .kexec(.slot(.a)), "no network boot loop")
    }

    @Test func withoutWritableVariablesTheSlotIsStartedAtOnce() throws {
        let plan = Self.artifact(.valid(try Fixture.provisioned()), isWritable: false)
        #expect(plan.action == .kexec(.slot(.a)))
        #expect(plan.changes.isEmpty)
    }

    @Test func aDiskOfAnotherSiteIsNotStarted() throws {
        let record = try Fixture.provisioned()
        #expect(Self.artifact(.valid(record), site: Fixture.digest(201)).action == .provision(.otherSite))
        #expect(Self.artifact(.valid(record), site: Fixture.digest(200)).action == .reboot(into: .slot(.a)))
    }

    @Test func provisioningThatWasCutShortGoesOn() {
        var record = BootRecord.provisioning(release: Fixture.digest(1), site: nil, keeping: nil, keepsState: false)
        #expect(Self.artifact(.valid(record)).action == .provision(.notInstalled))
        record.markStatePrepared()
        #expect(Self.artifact(.valid(record)).action == .provision(.interrupted))
    }

    @Test func aRequestIsCarriedOut() throws {
        var record = try Fixture.provisioned()
        record.requestReprovision()
        #expect(Self.artifact(.valid(record)).action == .provision(.requested))
    }

    @Test func withNothingToStartItProvisionsAgain() throws {
        var disk = Fixture.disk
        disk.startable = [.recovery]
        #expect(Self.artifact(.valid(try Fixture.provisioned()), disk: disk).action == .provision(.slotsFailed))
        #expect(Self.artifact(.unreadable("x"), disk: disk).action == .provision(.interrupted))
        #expect(Self.artifact(.missing, disk: disk).action == .provision(.notInstalled))
    }

    @Test func aLostRecordLetsASlotRebuildIt() {
        #expect(Self.artifact(.unreadable("x")).action == .reboot(into: .slot(.a)))
        let refused = Self.artifact(.missing, isWritable: false, refused: [.slot(.a)])
        #expect(refused.action == .kexec(.slot(.b)))
    }

    // MARK: Everything

    /// Random walks over records and facts: a decision always comes, keeps the rules and ends.
    @Test func everyDecisionKeepsTheRules() throws {
        var generator = SeededGenerator(seed: 1)
        for _ in 0..<400 {
            var record = try Fixture.provisioned()
            for _ in 0..<Int.random(in: 0..<12, using: &generator) { Self.step(&record, &generator) }
            try #require(record.brokenInvariant == nil, "\(record)")
            var disk = Fixture.disk
            disk.startable = disk.startable.filter { _ in Int.random(in: 0..<4, using: &generator) > 0 }
            let here = SlotName.allCases.randomElement(using: &generator)
            let isArtifact = Bool.random(using: &generator)
            var facts = BootFacts(
                arguments: BootArguments(mode: isArtifact ? .provision : .slot(Fixture.image(1))),
                record: .valid(record), disk: disk,
                firmware: Fixture.firmware(running: isArtifact ? .recovery : here.map { .slot($0) }))
            facts.firmware.isWritable = Bool.random(using: &generator)
            let plan = BootDecision.decide(facts)
            if let next = plan.record { try #require(next.brokenInvariant == nil, "\(next)") }
            if let before = record.trial, let after = plan.record?.trial, before.slot == after.slot {
                #expect(after.attemptsLeft <= before.attemptsLeft)
            }
            switch plan.action {
            case .start(let start): #expect(!isArtifact && start.slot == here)
            case .reboot(let target), .kexec(let target):
                #expect(disk.startable.contains(target))
                #expect(plan.record?.request?.target == target, "a request is counted before it is made")
            case .provision: #expect(isArtifact)
            }
        }
    }

    private static func step(_ record: inout BootRecord, _ generator: inout SeededGenerator) {
        let slot: SlotName = Bool.random(using: &generator) ? .a : .b
        let number = UInt8.random(in: 1...4, using: &generator)
        // A refused transition changes nothing, which is what the walk checks by going on.
        switch Int.random(in: 0..<12, using: &generator) {
        case 0: try? record.beginWriting(slot, release: Fixture.digest(number), running: record.committed)
        case 1: try? record.markVerified(slot, Fixture.release(number))
        case 2: try? record.startTrial(slot, rule: ProbationRule())
        case 3: try? record.countBoot(slot, byKexec: Bool.random(using: &generator))
        case 4: try? record.commit(slot)
        case 5: try? record.abandonTrial(reason: "x", isBlamed: Bool.random(using: &generator))
        case 6: try? record.giveWay(reason: "x", isBlamed: true)
        case 7: try? record.goBack(reason: "x")
        case 8: record.countRequest(.slot(slot), byKexec: Bool.random(using: &generator))
        case 9: try? record.healthConfirmed(slot)
        case 10: try? record.retryTrial()
        default: if number == 4 { record.requestReprovision() }
        }
    }
}
