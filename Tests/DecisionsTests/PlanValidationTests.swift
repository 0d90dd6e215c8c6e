import Contract
import Testing

@testable import Decisions

@Suite struct PlanChecks {
    private let node = NodeID("0123456789abcdefghjkmnpqrs")
    private let other = NodeID("abcdefghjkmnpqrstvwxyz0123")

    private func plan(_ change: (inout ProvisioningPlan) -> Void = { _ in }) throws -> ProvisioningPlan {
        var plan = ProvisioningPlan(
            generation: 5, nodeID: try #require(node), registrationID: "r", release: Fixture.digest(1),
            releaseVersion: "1", disk: DiskRule(), layout: .standard, wipeState: false, handOver: .reboot,
            clockSeconds: 0)
        change(&plan)
        return plan
    }

    private func refusal(_ plan: ProvisioningPlan) throws -> PlanRefusal? {
        let expectation = PlanValidation.Expectation(
            nodeID: try #require(node), registrationID: "r", lastGeneration: 4, epochFloor: 0, architecture: .current,
            clockSeconds: 0)
        do {
            try PlanValidation.check(plan, against: expectation)
            return nil
        } catch { return error }
    }

    @Test func aPlanIsForOneNodeOneRegistrationAndOnce() throws {
        #expect(try refusal(plan()) == nil)
        let other = try #require(other)
        #expect(try refusal(plan { $0.nodeID = other }) == .otherNode(other))
        #expect(try refusal(plan { $0.registrationID = "old" }) == .otherRegistration)
        #expect(try refusal(plan { $0.generation = 4 }) == .stale(generation: 4, last: 4))
        #expect(try refusal(plan { $0.format = 3 }) == .unknownFormat(3))
        #expect(try refusal(plan { $0.format = 2 }) == nil)
    }

    private func refusal(_ change: (inout ReleaseFacts) -> Void) -> PlanRefusal? {
        var facts = Fixture.facts(1)
        change(&facts)
        do {
            try PlanValidation.check(
                facts, expected: Fixture.digest(1), architecture: .current, epochFloor: 1, clockSeconds: 1000)
            return nil
        } catch { return error }
    }

    @Test func aReleaseMustBeTheRightOneForThisMachine() {
        #expect(refusal { _ in } == nil)
        #expect(refusal { $0.release = Fixture.digest(2) } == .otherRelease)
        let wrong: Architecture = Architecture.current == .amd64 ? .arm64 : .amd64
        #expect(refusal { $0.architecture = wrong } == .otherArchitecture(wrong))
        #expect(refusal { $0.epoch = 0 } == .epochTooLow(0, floor: 1))
        #expect(refusal { $0.expiresSeconds = 1000 } == .expired(version: "1.0"))
        for change in [
            { $0.blocks = 1 }, { $0.blocks = .max }, { $0.treeBytes = 4096 }, { $0.ukiBytes = 1024 },
            { $0.recovery.sizeBytes = 1 << 40 },
        ] as [(inout ReleaseFacts) -> Void] {
            guard case .implausible? = refusal(change) else { Issue.record("taken"); continue }
        }
    }

    @Test func theTreesSizeIsVeritysetups() {
        // 2 GiB: 524288 data blocks, 4096 + 32 + 1 hash blocks.
        #expect(PlanValidation.treeBytes(blocks: 524288) == 4129 * 4096)
        #expect(PlanValidation.treeBytes(blocks: 1) == 0)
        #expect(PlanValidation.treeBytes(blocks: 128) == 4096)
    }

    @Test func whatDoesNotFitIsRefusedByName() throws {
        var facts = Fixture.facts(1)
        try PlanValidation.checkFit(facts, in: .standard)
        facts.ukiBytes = 288 << 20
        #expect(throws: PartitionRefusal.self) { try PlanValidation.checkFit(facts, in: .standard) }
        facts = Fixture.facts(1, blocks: .max)
        #expect(throws: PartitionRefusal.self) { try PlanValidation.checkFit(facts, in: .standard) }
    }

    @Test func commandLinesAreReadStrictly() throws {
        let hash = "\(Fixture.digest(1))"
        let line = "quiet apus.mode=slot apus.root=\(hash) apus.salt=00ff apus.blocks=77 apus.version=1.2"
        let slot = try BootArguments(commandLine: line + " apus.slot=b apus.kexec=1\n")
        #expect(slot.kexecSlot == .b && slot.isKexec)
        #expect(
            slot.mode
                == .slot(
                    BootArguments.SlotImage(rootHash: Fixture.digest(1), salt: [0, 255], blocks: 77, version: "1.2")))
        let boot = try BootArguments(commandLine: "apus.mode=provision apus.endpoint=https://a:8443")
        #expect(boot.mode == .provision && boot.endpoint == "https://a:8443")
        for bad in [
            "", "apus.mode=else", "apus.mode=slot", line.replacing("77", with: "0"),
            line.replacing("00ff", with: "0f0"),
            line.replacing(hash, with: "x"),
        ] {
            #expect(throws: BootArguments.ParseError.self) { try BootArguments(commandLine: bad) }
        }
    }
}
