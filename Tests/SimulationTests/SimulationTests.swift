import Contract
import Decisions
import Sequences
import TestSupport
import Testing

@testable import Simulation

/// Every instant of the sequences is cut, and once more while the machine recovers.
@Suite(.ownThreads) struct PowerCuts {
    @Test func provisioningSurvivesTwoCutsAnywhere() {
        let explorer = Explorer(site: Rig.factory) { machine, end in
            guard end == .steady(.a) else { return "ended \(end)" }
            return Rig.record(machine)?.committedRelease?.release == Rig.first.name ? nil : "another release"
        }
        explorer.explore(World(), cuts: 2)
        Rig.check(explorer, "provisioning", atLeast: 1000)
    }

    @Test(arguments: [HandOver.kexec, .powerOff])
    func provisioningSurvivesTwoCutsHoweverItHandsOver(handOver: HandOver) {
        var site = Rig.factory
        site.handOver = handOver
        let explorer = Explorer(site: site) { _, end in end == .steady(.a) ? nil : "ended \(end)" }
        explorer.explore(World(), cuts: 2)
        Rig.check(explorer, "provisioning, \(handOver.rawValue)", atLeast: 150)
    }

    @Test func anUpgradeCommitsOrLeavesTheOldVersion() throws {
        let second = SimulatedRelease(2)
        let explorer = Explorer(site: Rig.field(second)) { machine, end in
            guard case .steady(let slot) = end, let record = Rig.record(machine) else { return "ended \(end)" }
            guard machine.keysMade == 1 else { return "it became a second node" }
            // Power cuts during each of its attempts cannot be told from hangs.
            if record.quarantineReason(of: second.name) != nil { return slot == .a ? nil : "the wrong slot" }
            guard record.recovery != nil else { return "recovery is gone" }
            return record.committedRelease?.release == second.name ? nil : "not upgraded"
        }
        explorer.explore(try Rig.provisioned(), cuts: 2)
        Rig.check(explorer, "upgrade and commit", atLeast: 1000)
    }

    /// Whatever is wrong with it, a bad version leads back to the old one, is not tried again, and says why.
    @Test(arguments: [SimulatedRelease.Behaviour.unhealthy, .dies, .diesEarly])
    func aBadVersionIsRolledBackAndQuarantined(behaviour: SimulatedRelease.Behaviour) throws {
        let second = SimulatedRelease(2, behaviour)
        let explorer = Explorer(site: Rig.field(second), mostBoots: 24) { machine, end in
            guard end == .steady(.a), let record = Rig.record(machine) else { return "ended \(end)" }
            guard record.committedRelease?.release == Rig.first.name else { return "the bad version is committed" }
            guard record.trial == nil else { return "the trial goes on" }
            return record.quarantineReason(of: second.name) == nil ? "the bad version is not quarantined" : nil
        }
        explorer.explore(try Rig.provisioned(), cuts: 2)
        Rig.check(explorer, "rollback, \(behaviour)", atLeast: 50)
    }

    @Test func afterTheCommitAFailureGoesBackOnce() throws {
        let second = SimulatedRelease(2)
        let upgraded = try Rig.settled(Rig.provisioned(), Rig.field(second), .steady(.b))
        let explorer = Explorer(site: Rig.field(SimulatedRelease(2, .unhealthy))) { machine, end in
            guard end == .steady(.a), let record = Rig.record(machine) else { return "ended \(end)" }
            guard record.previous == nil else { return "it could go back again" }
            return record.quarantineReason(of: second.name) == nil ? "no reason is kept" : nil
        }
        explorer.explore(upgraded, cuts: 2)
        Rig.check(explorer, "failure after the commit", atLeast: 40)
    }

    @Test(arguments: [SimulatedRelease.Behaviour.dies])
    func aCommittedSlotThatFailsThreeTimesGivesWay(behaviour: SimulatedRelease.Behaviour) throws {
        let second = SimulatedRelease(2)
        let upgraded = try Rig.settled(Rig.provisioned(), Rig.field(second), .steady(.b))
        let explorer = Explorer(site: Rig.field(SimulatedRelease(2, behaviour))) { machine, end in
            guard end == .steady(.a), let record = Rig.record(machine) else { return "ended \(end)" }
            return record.quarantineReason(of: second.name) == nil ? "no reason is kept" : nil
        }
        explorer.explore(upgraded, cuts: 2)
        Rig.check(explorer, "committed slot fails", atLeast: 40)
    }

    /// Both slots are damaged and no network boot is set up: recovery provisions again, as the same node.
    @Test func damagedSlotsAreProvisionedAgainAsTheSameNode() throws {
        var world = try Rig.provisioned()
        try Rig.damage(&world, [.slot(.a), .slot(.b)])
        let explorer = Explorer(site: Rig.field()) { machine, end in
            guard end == .steady(.a) else { return "ended \(end)" }
            return machine.keysMade == 1 ? nil : "it became a second node"
        }
        explorer.explore(world, cuts: 2)
        Rig.check(explorer, "recovery", atLeast: 300)
    }

    /// Verity finds one slot damaged: the other takes over. Both damaged: recovery provisions again.
    @Test(arguments: [[SlotName.a], [.a, .b]])
    func damagedRootsGiveWayAndThenRecover(slots: [SlotName]) throws {
        var world = try Rig.provisioned()
        try Rig.damage(&world, roots: slots)
        let explorer = Explorer(site: Rig.field()) { machine, end in
            guard end == .steady(slots.count == 1 ? .b : .a) else { return "ended \(end)" }
            return machine.keysMade == 1 ? nil : "it became a second node"
        }
        explorer.explore(world, cuts: 2)
        Rig.check(explorer, "\(slots.count) damaged roots", atLeast: 10)
    }

    /// An installation of another site, with other sizes: taken over where the plan says so, and as a new node.
    @Test func anotherSitesInstallationIsReplaced() throws {
        let world = try Rig.provisioned(.networkFirst)
        var site = Rig.factory
        site.authority = SimulatedRelease.digest(9, 10)
        site.overwritesForeignData = true
        site.layout.rootBytes += 1 << 20
        let explorer = Explorer(site: site) { machine, end in
            guard end == .steady(.a), let record = Rig.record(machine) else { return "ended \(end)" }
            return record.site == site.authority ? nil : "it still belongs to the other site"
        }
        explorer.explore(world, cuts: 2)
        Rig.check(explorer, "another site's disk, other sizes", atLeast: 1000)
        site.overwritesForeignData = false
        let refused = SimulatedMachine(world, site: site)
        #expect(refused.run(limit: 3) == .restless)
        #expect(refused.world.disk.digest == world.disk.digest, "nothing was touched")
    }

    @Test func aWipeMakesNewStateAndSurvivesCuts() throws {
        var world = try Rig.provisioned()
        try Rig.damage(&world, [.slot(.a), .slot(.b)])
        var site = Rig.field()
        site.wipesState = true
        let explorer = Explorer(site: site) { _, end in end == .steady(.a) ? nil : "ended \(end)" }
        explorer.explore(world, cuts: 2)
        Rig.check(explorer, "recovery with a wipe", atLeast: 50)
    }

    @Test func anOperatorsRequestProvisionsAgainOnce() throws {
        var site = Rig.field(SimulatedRelease(2))
        site.planned = SimulatedRelease(2)
        site.asksToReprovision = true
        let explorer = Explorer(site: site) { machine, end in
            guard case .steady = end, let record = Rig.record(machine) else { return "ended \(end)" }
            guard machine.keysMade == 1 else { return "it became a second node" }
            guard !record.reprovisionRequested else { return "the request was not carried out" }
            // A cut between the server's word and the record loses the request, which the server then repeats.
            let asked = record.planGeneration > 1
            return asked || record.committedRelease?.release == Rig.second.name ? nil : "nothing was done"
        }
        explorer.explore(try Rig.provisioned(), cuts: 2)
        Rig.check(explorer, "provisioning again on request", atLeast: 100)
    }

    /// Firmware of every habit, and an empty variable store: no server and no network are needed to come back.
    @Test(arguments: SimulatedFirmware.Habit.allCases)
    func aWipedVariableStoreIsRepairedWithoutANetwork(habit: SimulatedFirmware.Habit) throws {
        var world = try Rig.provisioned(habit)
        world.firmware.wipe()
        var site = Rig.field()
        site.isReachable = false
        // Two power cuts in the moment of a kexec cannot be told from a kernel that does not come up: then B takes over.
        let explorer = Explorer(site: site) { _, end in
            if case .steady = end { nil } else { "ended \(end)" }
        }
        explorer.explore(world, cuts: 2)
        Rig.check(explorer, "variables wiped, firmware \(habit)", atLeast: 3)
    }

    @Test(arguments: SimulatedFirmware.Habit.allCases)
    func anUpgradeSurvivesFirmwareOfEveryHabit(habit: SimulatedFirmware.Habit) throws {
        let second = SimulatedRelease(2)
        let explorer = Explorer(site: Rig.field(second)) { machine, end in
            guard case .steady = end, let record = Rig.record(machine) else { return "ended \(end)" }
            if record.quarantineReason(of: second.name) != nil { return nil }
            return record.committedRelease?.release == second.name ? nil : "not upgraded"
        }
        let world = try Rig.provisioned(habit)
        explorer.explore(world, cuts: 2)
        Rig.check(explorer, "upgrade, firmware \(habit)", atLeast: 60)
        // Without a cut no firmware's habit is ever blamed on a version.
        let machine = SimulatedMachine(world, site: Rig.field(second))
        #expect(machine.run() == .steady(.b), "\(machine.history)")
        #expect(Rig.record(machine)?.quarantine == [])
    }
}

/// What the scenarios share.
enum Rig {
    static let first = SimulatedRelease(1)
    static let second = SimulatedRelease(2)

    /// A bench with a network to boot from.
    static var factory: SimulatedSite { SimulatedSite(releases: [first], planned: first) }

    /// In the field nothing but the server is there: no network boot helps.
    static func field(_ wanted: SimulatedRelease? = nil) -> SimulatedSite {
        var site = SimulatedSite(releases: [first] + (wanted.map { [$0] } ?? []), planned: first, desired: wanted)
        site.bootsFromNetwork = false
        return site
    }

    /// A node as provisioning leaves it.
    static func provisioned(_ habit: SimulatedFirmware.Habit = .honest) throws -> World {
        try settled(World(habit: habit), factory, .steady(.a))
    }

    /// A world after a run without cuts.
    static func settled(_ world: World, _ site: SimulatedSite, _ expected: SimulatedEnd) throws -> World {
        let machine = SimulatedMachine(world, site: site)
        #expect(machine.run() == expected, "\(machine.history)")
        try machine.disk.sync()
        return machine.world
    }

    static func record(_ machine: SimulatedMachine) -> BootRecord? { machine.storage.load().record }

    /// Flips bytes in the middle of each target's file.
    static func damage(_ world: inout World, _ targets: [StartTarget]) throws {
        let storage = PlainStorage(FaultyDisk(world.disk))
        for target in targets {
            let partition = try #require(
                storage.partitions(of: "sda").first { $0.label == PartitionRole.boot(target).label })
            world.disk.write([0xde, 0xad], at: partition.startBytes + 4096 + 100)
        }
    }

    /// Flips bytes in the middle of each slot's root.
    static func damage(_ world: inout World, roots: [SlotName]) throws {
        let storage = PlainStorage(FaultyDisk(world.disk))
        for slot in roots {
            let partition = try #require(
                storage.partitions(of: "sda").first { $0.label == PartitionRole.root(slot).label })
            world.disk.write([0xde, 0xad], at: partition.startBytes + 700)
        }
    }

    static func check(_ explorer: Explorer, _ name: String, atLeast least: Int) {
        for failure in explorer.failures { Issue.record("\(failure)") }
        #expect(explorer.cutPoints >= least)
        print("simulation: \(name): \(explorer.summary)")
    }
}
