import Contract
import Decisions
import Linux
import Sequences
import TestSupport
import Testing

@testable import Simulation

/// The rules themselves: what breaks one is noticed.
@Suite(.ownThreads) struct RulesOfTheSimulation {
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

    /// A flush makes durable what was written through its own device; the others' bytes stay in their page caches.
    @Test func aFlushOfOneDeviceLeavesTheOthersDirty() throws {
        let disk = FaultyDisk(DiskImage(sizeBytes: 3 << 20))
        let first = try disk.partition(at: 1 << 20, sizeBytes: 1 << 20)
        let second = try disk.partition(at: 2 << 20, sizeBytes: 1 << 20)
        func write(_ byte: UInt8, to device: any BlockDevice, at offset: UInt64 = 0) throws {
            try [UInt8](repeating: byte, count: 512).withUnsafeBytes { try device.write($0, at: offset) }
        }
        func durable() -> [UInt8] { (0..<3).map { disk.durable.bytes(at: $0 << 20, count: 1)[0] } }
        try write(1, to: disk)
        try write(2, to: first)
        try write(3, to: second)
        #expect(disk.imagesAfterCut().count == 8)
        try first.flush()
        #expect(durable() == [0, 2, 0])
        #expect(disk.imagesAfterCut().count == 4)
        #expect(disk.imagesAfterCut(.newest).count == 4, "none, both, and the newest of two alone or missing")
        try first.flush()
        try disk.flush()
        #expect(durable() == [1, 2, 0])
        try disk.partition(at: 2 << 20, sizeBytes: 1 << 20).flush()
        #expect(durable() == [1, 2, 3] && disk.pending.isEmpty)
        try write(4, to: first)
        try write(5, to: second)
        try disk.sync()
        #expect(durable() == [1, 4, 5] && disk.pending.isEmpty)
    }

    @Test func whatAnotherDeviceHasNotFlushedIsNotReliedOn() throws {
        let disk = FaultyDisk(DiskImage(sizeBytes: 3 << 20))
        let part = try disk.partition(at: 1 << 20, sizeBytes: 1 << 20)
        var conflicts: [String] = []
        disk.onConflict = { conflicts.append($0) }
        let bytes = [UInt8](repeating: 7, count: 1024)
        try bytes.withUnsafeBytes { try disk.write($0, at: 1 << 20) }
        _ = try part.bytes(at: 1024, count: 512)
        _ = try disk.bytes(at: 1 << 20, count: 512)
        #expect(conflicts == [])
        _ = try part.bytes(at: 512, count: 512)
        #expect(conflicts == ["512 bytes at 1049088 are read that another device has not flushed"])
        try bytes.withUnsafeBytes { try part.write($0, at: 0) }
        #expect(conflicts.last == "1024 bytes at 1048576 are written that another device has not flushed")
        try disk.sync()
        _ = try disk.bytes(at: 1 << 20, count: 512)
        #expect(conflicts.count == 2)
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
