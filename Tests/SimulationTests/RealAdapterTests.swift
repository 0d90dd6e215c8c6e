import Contract
import Decisions
import Sequences
import Testing

@testable import Simulation

/// The same cuts through the adapters that ship: partition table, boot record, FAT volumes, slot writer and verifier.
@Suite struct PowerCutsOfRealAdapters {
    @Test func provisioningAndUpgradeSurviveACutAnywhere() async throws {
        let releases = [try await RealRelease.make(1), try await RealRelease.make(2)]
        let first = SimulatedRelease(releases[0].facts)
        let second = SimulatedRelease(releases[1].facts)
        let make: (FaultyDisk) -> any SimulatedStorage = { RealStorage($0, releases: releases) }

        let factory = SimulatedSite(releases: [first], planned: first)
        let provisioning = Explorer(site: factory, isBrief: true, makeStorage: make) { _, end in
            end == .steady(.a) ? nil : "ended \(end)"
        }
        let provisioned = provisioning.explore(World(), cuts: 1)
        Rig.check(provisioning, "provisioning, real adapters", atLeast: 300)

        var field = SimulatedSite(releases: [first, second], planned: first, desired: second)
        field.bootsFromNetwork = false
        let upgrade = Explorer(site: field, isBrief: true, makeStorage: make) { machine, end in
            guard case .steady(let slot) = end, let record = Rig.record(machine) else { return "ended \(end)" }
            guard machine.keysMade == 1 else { return "it became a second node" }
            if record.quarantineReason(of: second.name) != nil { return slot == .a ? nil : "the wrong slot" }
            return record.committedRelease?.release == second.name ? nil : "not upgraded"
        }
        upgrade.explore(provisioned, cuts: 1)
        Rig.check(upgrade, "upgrade, real adapters", atLeast: 100)

        var bad = field
        bad.releases = [first, SimulatedRelease(releases[1].facts, .unhealthy)]
        let rollback = Explorer(site: bad, isBrief: true, makeStorage: make) { machine, end in
            guard end == .steady(.a), let record = Rig.record(machine) else { return "ended \(end)" }
            return record.quarantineReason(of: second.name) == nil ? "the bad version is not quarantined" : nil
        }
        rollback.explore(provisioned, cuts: 1)
        Rig.check(rollback, "rollback, real adapters", atLeast: 100)

        var damaged = provisioned
        let storage = RealStorage(FaultyDisk(provisioned.disk), releases: releases)
        for part in try storage.partitions(of: "sda") where part.label.hasPrefix("apus-boot-") {
            damaged.disk.write([UInt8](repeating: 0, count: 512), at: part.startBytes)
        }
        var alone = field
        alone.desired = nil
        let recovery = Explorer(site: alone, isBrief: true, makeStorage: make) { machine, end in
            guard end == .steady(.a) else { return "ended \(end)" }
            return machine.keysMade == 1 ? nil : "it became a second node"
        }
        recovery.explore(damaged, cuts: 1)
        Rig.check(recovery, "recovery, real adapters", atLeast: 50)
    }
}
