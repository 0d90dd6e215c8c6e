import Contract
import Decisions
import Sequences
import Testing

@testable import Simulation

/// The rules themselves: what breaks one is noticed.
@Suite struct RulesOfTheSimulation {
    @Test(arguments: [PartitionRole.rootA, .treeA, .bootA]) func aWriteToTheCommittedSlotIsNoticed(
        role: PartitionRole
    ) throws {
        let machine = SimulatedMachine(try Rig.provisioned(), site: Rig.field(SimulatedRelease(2)))
        let start = try #require(machine.storage.partitions(of: "sda").first { $0.label == role.label }).startBytes
        var isDone = false
        machine.onInstant = { machine in
            guard !isDone else { return }
            isDone = true
            // The same bytes that are there.
            let bytes = machine.disk.seen.bytes(at: start, count: 512)
            try? bytes.withUnsafeBytes { try machine.disk.write($0, at: start) }
        }
        _ = machine.run()
        #expect(machine.violations.contains("\(role.label) of a slot in use was written"))
    }

    @Test(arguments: [PartitionRole.recovery, .bootB]) func aTornFileThatIsBootableIsNoticed(role: PartitionRole) throws
    {
        var world = try Rig.provisioned()
        try Rig.damage(&world, [role == .recovery ? .recovery : .slot(.b)])
        let broken = Invariants.broken(SimulatedMachine(world, site: Rig.field()))
        #expect(broken.contains { $0.hasSuffix("is bootable and holds no release's file") })
    }

    @Test func aStartThatWasNotCountedIsNoticed() throws {
        let record = try #require(PlainStorage(FaultyDisk(try Rig.provisioned().disk)).load().record)
        var counted = record
        try counted.healthConfirmed(.a)
        try counted.countBoot(.a, byKexec: false)
        let start = SlotStart(slot: .a, image: Rig.first.image, trial: nil)
        #expect(Invariants.broken(by: start, before: record, now: counted).isEmpty)
        #expect(!Invariants.broken(by: start, before: counted, now: counted).isEmpty)
        var onTrial = record
        try onTrial.startTrial(.b, rule: ProbationRule())
        let waiting = SlotStart(slot: .b, image: Rig.first.image, trial: onTrial.trial)
        #expect(!Invariants.broken(by: waiting, before: onTrial, now: onTrial).isEmpty)
        var started = onTrial
        try started.countBoot(.b, byKexec: false)
        let trial = SlotStart(slot: .b, image: Rig.first.image, trial: started.trial)
        #expect(Invariants.broken(by: trial, before: onTrial, now: started).isEmpty)
        #expect(!Invariants.broken(by: trial, before: started, now: started).isEmpty)
    }

    /// A machine that restarts for ever in one world is not taken for one that was seen before.
    @Test func aMachineThatNeverComesToRestIsNoticed() throws {
        var site = Rig.factory
        site.authority = SimulatedRelease.digest(9, 10)
        let explorer = Explorer(site: site) { _, _ in nil }
        explorer.explore(try Rig.provisioned(.networkFirst), cuts: 0)
        #expect(explorer.failures.contains { $0.contains("the world is as it was") })
    }

    @Test func worldsAreToldApartByAllButTheOrderedSequenceNumbers() throws {
        let world = try Rig.provisioned()
        var keys = WorldKeys(recordOffset: Rig.factory.recordOffset)
        let key = keys.key(world)
        var later = world
        let record = try #require(PlainStorage(FaultyDisk(world.disk)).load().record)
        let disk = FaultyDisk(world.disk)
        for _ in 0..<2 { try PlainStorage(disk).store(record) }
        later.disk = disk.durable
        #expect(later.disk.digest != world.disk.digest)
        let twice = keys.key(later)
        for _ in 0..<2 { try PlainStorage(disk).store(record) }
        later.disk = disk.durable
        #expect(keys.key(later) == twice)
        try PlainStorage(disk).store(record)
        later.disk = disk.durable
        #expect(keys.key(later) != twice, "the newer copy is the other one")
        var other = world
        other.disk.write([1], at: 50 << 20)
        #expect(keys.key(other) != key)
        other = world
        other.firmware.order = []
        #expect(keys.key(other) != key)
    }
}
