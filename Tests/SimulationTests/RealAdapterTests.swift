import Contract
import Decisions
import Foundation
import Linux
import Sequences
import Slots
import TestSupport
import Testing

@testable import Simulation

/// The same cuts through the adapters that ship, over a file: partition table, boot record, FAT volumes, slot writer
/// and verifier.
@Suite(.ownThreads) struct PowerCutsOfRealAdapters {
    @Test(arguments: [512, 4096]) func everySequenceSurvivesTwoCutsAnywhere(sectorSizeBytes: Int) async throws {
        let bench = try Bench(
            releases: [try await RealRelease.make(1), try await RealRelease.make(2)], sectorSizeBytes: sectorSizeBytes)
        let provisioned = try bench.provision()
        try bench.upgrade(provisioned)
        try bench.rollBack(provisioned)
        try bench.recover(provisioned)
    }
}

/// The simulation itself: in the adapters that ship, it finds every flush that is left out.
@Suite(.ownThreads) struct MissingFlushes {
    @Test func aFlushThatIsLeftOutIsFound() async throws {
        let bench = try Bench(
            releases: [try await RealRelease.make(1), try await RealRelease.make(2)], sectorSizeBytes: 512)
        let ofProvisioning =
            [.rootA, .treeB, .bootB, .recovery, .record].map { MissingFlush(device: $0) } + [MissingFlush()]
        for mistake in ofProvisioning {
            let isFound = bench.finds(mistake, bench.factory, from: bench.blank)
            #expect(isFound, "provisioning: \(mistake)")
        }
        let (field, provisioned) = try bench.beforeUpgrade()
        // Of the new volume of B: that of all that comes before the boot sector, and that of the boot sector itself.
        let some = [5...6, 7...7].map { MissingFlush(device: .bootB, numbers: $0) }
        let ofUpgrade = [.rootB, .treeB, .bootB, .recovery, .record].map { MissingFlush(device: $0) } + some
        for mistake in ofUpgrade {
            let isFound = bench.finds(mistake, field, from: provisioned)
            #expect(isFound, "upgrade: \(mistake)")
        }
        print("simulation: \(ofProvisioning.count + ofUpgrade.count) kinds of flushes left out in turn, to be found")
    }

    /// A program that was ended between a write and its flush leaves the bytes to be seen, and not durable.
    @Test func aWriteThatGoesOnMakesDurableWhatItFinds() async throws {
        let release = try await RealRelease.make(1)
        let disk = FaultyDisk(DiskImage(sizeBytes: 4 << 20))
        func write(flushes: Bool) throws {
            func open(_ offset: UInt64) throws -> any BlockDevice {
                let device = try disk.partition(at: offset, sizeBytes: 1 << 20)
                return flushes ? device : ForgetfulDevice(device) { false }
            }
            let slot = SlotPartitions(name: "slot A", root: try open(0), tree: try open(1 << 20))
            let source = MemoryPackSource(release.pack)
            _ = try SlotWriter(manifest: release.manifest, table: release.table, source: source).write(into: [slot])
        }
        try write(flushes: false)
        #expect(Set(disk.pending.map(\.device)).count == 2)
        try write(flushes: true)
        #expect(disk.pending.isEmpty)
    }
}

/// A machine of the real adapters, whose disk is a file.
private struct Bench {
    let first: SimulatedRelease
    let second: SimulatedRelease
    let factory: SimulatedSite
    private let knowledge: RealStorage.Knowledge
    private let file: DiskFile
    private let diskBytes: UInt64

    init(releases: [RealRelease], sectorSizeBytes: Int) throws {
        first = SimulatedRelease(releases[0].facts)
        second = SimulatedRelease(releases[1].facts)
        knowledge = RealStorage.Knowledge(releases)
        var factory = SimulatedSite(releases: [first], planned: first)
        factory.sectorSizeBytes = sectorSizeBytes
        if sectorSizeBytes > 512 { factory.layout = SimulatedSite.largeLayout }
        self.factory = factory
        diskBytes = sectorSizeBytes > 512 ? SimulatedSite.largeDiskBytes : SimulatedSite.smallDiskBytes
        // Where files are kept in memory thousands of flushes take no time.
        let shared = "/dev/shm"
        let folder = access(shared, W_OK) == 0 ? shared : FileManager.default.temporaryDirectory.path
        let path = "\(folder)/apus-simulation-\(UUID())"
        file = try DiskFile(path: path, sizeBytes: diskBytes, sectorSizeBytes: sectorSizeBytes)
        unlink(path)
    }

    private func explore(
        _ name: String, _ site: SimulatedSite, from world: World, stride: Int, atLeast least: Int,
        isRight: @escaping Explorer.Goal
    ) -> World {
        let explorer = Explorer(
            site: site, thoroughness: Explorer.Thoroughness(first: .each, second: .newest, stride: stride), file: file,
            makeStorage: { [knowledge] in RealStorage($0, knowledge) }, isRight: isRight)
        let end = explorer.explore(world, cuts: 2)
        Rig.check(explorer, "\(name), real adapters, sectors of \(site.sectorSizeBytes) bytes", atLeast: least)
        return end
    }

    var blank: World { World(diskBytes: diskBytes) }

    /// Whether one cut anywhere shows a mistake.
    func finds(_ mistake: MissingFlush, _ site: SimulatedSite, from world: World) -> Bool {
        let explorer = Explorer(
            site: site, file: file,
            makeStorage: { [knowledge] in RealStorage($0, knowledge, mistake: mistake) }, isRight: { _, _ in nil })
        explorer.stopsAtFailure = true
        explorer.explore(world, cuts: 1)
        return !explorer.failures.isEmpty
    }

    /// A node as provisioning leaves it, in a field where the server wants the other release.
    func beforeUpgrade() throws -> (site: SimulatedSite, world: World) {
        let machine = SimulatedMachine(blank, site: factory, file: file) { [knowledge] in RealStorage($0, knowledge) }
        #expect(machine.run() == .steady(.a), "\(machine.history)")
        try machine.disk.sync()
        return (field(second), machine.world)
    }

    func provision() throws -> World {
        explore("provisioning", factory, from: blank, stride: 12, atLeast: 5000) { _, end in
            end == .steady(.a) ? nil : "ended \(end)"
        }
    }

    /// No network helps, and the server wants the other release.
    private func field(_ second: SimulatedRelease) -> SimulatedSite {
        var field = factory
        field.releases = [first, second]
        field.desired = second
        field.bootsFromNetwork = false
        return field
    }

    func upgrade(_ provisioned: World) throws {
        _ = explore("upgrade and commit", field(second), from: provisioned, stride: 1, atLeast: 2000) {
            [second] machine, end in
            guard case .steady(let slot) = end, let record = Rig.record(machine) else { return "ended \(end)" }
            guard machine.keysMade == 1 else { return "it became a second node" }
            if record.quarantineReason(of: second.name) != nil { return slot == .a ? nil : "the wrong slot" }
            return record.committedRelease?.release == second.name ? nil : "not upgraded"
        }
    }

    func rollBack(_ provisioned: World) throws {
        let bad = SimulatedRelease(second.facts, .unhealthy)
        _ = explore("rollback", field(bad), from: provisioned, stride: 1, atLeast: 2000) { machine, end in
            guard end == .steady(.a), let record = Rig.record(machine) else { return "ended \(end)" }
            return record.quarantineReason(of: bad.name) == nil ? "the bad version is not quarantined" : nil
        }
    }

    /// Both slots are damaged, and nothing but the recovery partition helps.
    func recover(_ provisioned: World) throws {
        var damaged = provisioned
        let storage = RealStorage(FaultyDisk(provisioned.disk, sectorSizeBytes: factory.sectorSizeBytes), knowledge)
        for part in try storage.partitions(of: "sda") where part.label.hasPrefix("apus-boot-") {
            damaged.disk.write([UInt8](repeating: 0, count: 512), at: part.startBytes)
        }
        var alone = field(second)
        alone.desired = nil
        _ = explore("recovery", alone, from: damaged, stride: 1, atLeast: 1000) { machine, end in
            guard end == .steady(.a) else { return "ended \(end)" }
            return machine.keysMade == 1 ? nil : "it became a second node"
        }
    }
}
