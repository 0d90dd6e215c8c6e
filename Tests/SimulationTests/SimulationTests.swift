import Contract
import Decisions
import Sequences
import Testing

@testable import Simulation

/// Every instant of the sequences is cut, and once more while the machine recovers.
@Suite struct PowerCuts {
    static let first = SimulatedRelease(1)
    static let second = SimulatedRelease(2)

    /// A site without anything but its server: no network boot helps once the node is installed.
    static func site(_ second: SimulatedRelease? = nil) -> SimulatedSite {
        var site = SimulatedSite(releases: [first] + (second.map { [$0] } ?? []), planned: first, desired: second)
        site.bootsFromNetwork = false
        return site
    }

    static var factorySite: SimulatedSite { SimulatedSite(releases: [first], planned: first) }

    /// A node as provisioning leaves it.
    static func provisioned(_ habit: SimulatedFirmware.Habit = .honest) throws -> World {
        let machine = SimulatedMachine(World(habit: habit), site: factorySite)
        let end = machine.run()
        #expect(end == .steady(.a), "\(machine.history)")
        try machine.disk.flush()
        return machine.world
    }

    static func record(_ machine: SimulatedMachine) -> BootRecord? { machine.storage.load().record }

    static func check(_ explorer: Explorer, _ name: String, atLeast least: Int) {
        for failure in explorer.failures { Issue.record("\(failure)") }
        #expect(explorer.cutPoints >= least)
        print(
            "simulation: \(name): \(explorer.cutPoints) cut points, \(explorer.worlds) different worlds, "
                + "at most \(explorer.longestBoots) restarts")
    }

    @Test func provisioningSurvivesTwoCutsAnywhere() {
        let explorer = Explorer(site: Self.factorySite) { machine, end in
            guard end == .steady(.a) else { return "ended \(end)" }
            return Self.record(machine)?.committedRelease?.release == Self.first.name ? nil : "another release"
        }
        explorer.explore(World(), cuts: 2)
        Self.check(explorer, "provisioning", atLeast: 1000)
    }

    @Test func anUpgradeCommitsOrLeavesTheOldVersion() throws {
        let explorer = Explorer(site: Self.site(Self.second)) { machine, end in
            guard case .steady(let slot) = end, let record = Self.record(machine) else { return "ended \(end)" }
            guard machine.keysMade == 1 else { return "it became a second node" }
            // Power cuts during each of its attempts cannot be told from hangs.
            if record.quarantineReason(of: Self.second.name) != nil { return slot == .a ? nil : "the wrong slot" }
            return record.committedRelease?.release == Self.second.name ? nil : "not upgraded"
        }
        explorer.explore(try Self.provisioned(), cuts: 2)
        Self.check(explorer, "upgrade and commit", atLeast: 1000)
    }
}
