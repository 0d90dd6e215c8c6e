import Contract
import TestSupport
import Testing

@testable import Decisions

@Suite struct BootEntryPlans {
    private func plan(
        _ snapshot: FirmwareSnapshot, committed: SlotName? = .a, other: Bool = true, next: StartTarget? = nil,
        disk: DiskFacts = Fixture.disk
    ) -> BootEntryPlan {
        BootEntryPlan(
            snapshot: snapshot, disk: disk, committed: committed, otherIsVerified: other, next: next,
            architecture: .amd64)
    }

    private func entry(_ number: UInt16, _ target: StartTarget, description: String? = nil) -> BootEntry {
        BootEntry(
            number: number, description: description ?? BootNames.description(of: target),
            file: Fixture.disk.file(of: target, .amd64))
    }

    private let foreign = BootEntry(number: 7, description: "debian", file: nil)

    @Test func whatIsRightIsLeftAlone() {
        #expect(plan(Fixture.firmware()).changes.isEmpty)
    }

    @Test func anEmptyStoreGetsAllThreeBeforeWhatWasThere() {
        let plan = plan(FirmwareSnapshot(entries: [foreign], order: [7]))
        #expect(
            plan.changes == [
                .write(entry(0, .slot(.a))), .write(entry(1, .slot(.b))), .write(entry(2, .recovery)),
                .setOrder([0, 1, 2, 7]),
            ])
    }

    @Test func theCommittedSlotComesFirstAndAnUnverifiedOneBehindRecovery() {
        #expect(plan(Fixture.firmware(), committed: .b).changes == [.setOrder([1, 0, 2])])
        #expect(plan(Fixture.firmware(), committed: .a, other: false).changes == [.setOrder([0, 2, 1])])
    }

    @Test func duplicatesOfOursGoAndTheOneThatWasStartedStays() {
        let snapshot = FirmwareSnapshot(
            entries: [entry(0, .slot(.a)), entry(1, .slot(.b)), entry(2, .recovery), entry(5, .slot(.a)), foreign],
            order: [5, 0, 1, 2, 7], current: 5)
        let plan = plan(snapshot)
        #expect(plan.changes == [.delete(0), .setOrder([5, 1, 2, 7])])
    }

    @Test func aStaleEntryOfOursIsRewrittenInPlace() {
        let stale = BootEntry(
            number: 0, description: "Apus A", file: BootFile(partition: Fixture.guid(99), path: #"\EFI\apus\apus.efi"#))
        let snapshot = FirmwareSnapshot(entries: [stale, entry(1, .slot(.b)), entry(2, .recovery)], order: [0, 1, 2])
        #expect(plan(snapshot).changes == [.write(entry(0, .slot(.a)))])
    }

    @Test func aRenamedOrDeactivatedEntryIsMended() {
        var off = entry(1, .slot(.b))
        off.isActive = false
        let snapshot = FirmwareSnapshot(
            entries: [entry(0, .slot(.a), description: "UEFI OS"), off, entry(2, .recovery)], order: [0, 1, 2])
        #expect(plan(snapshot).changes == [.write(entry(0, .slot(.a))), .write(entry(1, .slot(.b)))])
    }

    @Test func pathsCompareAsTheFirmwareWritesThem() {
        var odd = entry(0, .slot(.a))
        odd.file?.path = "/EFI/APUS/APUS.EFI"
        let snapshot = FirmwareSnapshot(entries: [odd, entry(1, .slot(.b)), entry(2, .recovery)], order: [0, 1, 2])
        #expect(plan(snapshot).changes.isEmpty)
    }

    @Test func bootNextIsSetOnceAndAStaleOneOfOursIsRemoved() {
        #expect(plan(Fixture.firmware(), next: .slot(.b)).changes == [.setNext(1)])
        var asked = Fixture.firmware()
        asked.next = 1
        #expect(plan(asked, next: .slot(.b)).changes.isEmpty)
        #expect(plan(asked).changes == [.clearNext])
        asked.next = 7
        #expect(plan(asked).changes.isEmpty, "another's BootNext is not ours to remove")
    }

    @Test func aMissingPartitionGetsNoEntry() {
        var disk = Fixture.disk
        disk.partitions[.bootB] = nil
        let plan = plan(Fixture.firmware(), disk: disk)
        #expect(plan.changes == [.delete(1), .setOrder([0, 2])])
        #expect(plan.numbers[.slot(.b)] == nil)
    }

    /// Any store at all: carrying the plan out leaves nothing to repair, and touches nothing of others.
    @Test func carryingItOutOnceIsEnough() throws {
        var generator = SeededGenerator(seed: 2)
        for _ in 0..<300 {
            var entries: [BootEntry] = []
            for number in 0..<UInt16.random(in: 0..<12, using: &generator) {
                let target = StartTarget.allCases.randomElement(using: &generator) ?? .recovery
                switch Int.random(in: 0..<4, using: &generator) {
                case 0: entries.append(BootEntry(number: number, description: "other \(number)", file: nil))
                case 1:
                    entries.append(BootEntry(number: number, description: BootNames.description(of: target), file: nil))
                default: entries.append(entry(number, target))
                }
            }
            let order = (0..<UInt16(14)).filter { _ in Bool.random(using: &generator) }.shuffled(using: &generator)
            var firmware = FirmwareSnapshot(
                entries: entries, order: order, next: Bool.random(using: &generator) ? 3 : nil)
            let others = entries.filter { $0.description.hasPrefix("other") }
            let committed: SlotName = Bool.random(using: &generator) ? .a : .b
            for change in plan(firmware, committed: committed, next: .slot(committed.other)).changes {
                switch change {
                case .delete(let number): firmware.entries.removeAll { $0.number == number }
                case .write(let entry):
                    firmware.entries.removeAll { $0.number == entry.number }
                    firmware.entries.append(entry)
                case .setOrder(let order): firmware.order = order
                case .setNext(let number): firmware.next = number
                case .clearNext: firmware.next = nil
                }
            }
            firmware.entries.sort { $0.number < $1.number }
            #expect(plan(firmware, committed: committed, next: .slot(committed.other)).changes.isEmpty)
            #expect(firmware.entries.filter { $0.description.hasPrefix("other") } == others)
            #expect(firmware.entries.count == others.count + 3)
            let first = firmware.entries.first { $0.number == firmware.order.first }
            #expect(first?.description == "Apus \(committed.letter)")
        }
    }
}
