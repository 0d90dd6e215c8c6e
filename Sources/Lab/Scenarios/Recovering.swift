import Contract
import FoundationEssentials
import Operator

/// Damage to the disk and to the firmware's memory, and the ways out of it.
enum Recovering {
    static let scenarios = [
        Scenario("recover", "damaged slots are provisioned again; wiped NVRAM is restored", needsInstalledNode: true) {
            try recoverSlots($0)
            try restoreEntries($0)
        },
        Scenario(
            "firmware-ignores-bootnext", "deleted entries and an ignored BootNext blame no version",
            needsInstalledNode: true, releases: [.second]
        ) { try survivePoorFirmware($0) },
    ]

    private static func recoverSlots(_ lab: Rehearsal) throws {
        try lab.installedMachine()
        let before = try lab.node()
        try lab.step("damage both slots") {
            try lab.switchOffNode()
            let disk = try lab.openDisk()
            for label in ["apus-boot-a", "apus-boot-b"] { try disk.damage(label) }
            try disk.close()
        }
        try lab.step("the recovery entry provisions again, with state and identity kept") {
            try lab.machine.start()
            _ = try lab.wait(for: "the node to be provisioned again", within: 400) {
                try lab.node().state == .provisioning ? true : nil
            }
            let after = try lab.waitForState(.online, within: 900)
            try lab.expect(after.id == before.id, "the node has kept its id")
            try lab.expect(after.status?.bootID != before.status?.bootID, "this is another start")
        }
    }

    private static func restoreEntries(_ lab: Rehearsal) throws {
        let before = try lab.node().status
        try lab.step("wipe the firmware's memory") {
            try lab.switchOffNode()
            try Files.copy(try lab.paths.firmware().variables, to: lab.machine.spec.nvramPath)
        }
        try lab.step("with the network down, the fallback path finds the slots") {
            try lab.machine.start()
            try lab.machine.cutNetwork()
            lab.machine.console.skipToEnd()
            try lab.waitForConsole("Reached target multi-user.target", within: 600)
            let entries = try lab.nvram().bootEntries.map(\.description)
            for name in ["Apus A", "Apus B", "Apus Recovery"] {
                try lab.expect(entries.count { $0 == name } == 1, "there is one entry '\(name)' again: \(entries)")
            }
        }
        try lab.step("with the network up again, the node reports") {
            try lab.machine.restoreNetwork()
            try lab.waitForStatus("a report of this start", within: 300) { $0.bootID != before?.bootID }
            try lab.waitForState(.online, within: 60)
        }
    }

    private static func survivePoorFirmware(_ lab: Rehearsal) throws {
        try lab.installedMachine()
        try lab.step("the firmware forgets our entries between two starts") {
            try lab.switchOffNode()
            try lab.editNVRAM { $0.removeBootEntries { $0.description.hasPrefix("Apus") } }
            let last = try lab.node().status?.bootID
            try lab.machine.start()
            try lab.waitForStatus("the node, without its entries", within: 600) {
                $0.bootID != last && $0.phase == .steady
            }
            try expectEntries(lab)
        }
        let release = try lab.step("BootNext is set, and the firmware ignores it") {
            let release = try lab.upgrade(to: .second)
            try ignoreBootNext(lab)
            return release
        }
        try lab.step("the node notices, blames no version, and still upgrades") {
            let outcome = try lab.wait(for: "the upgrade's end", within: 900) { () -> UpgradeOutcome? in
                guard let status = try lab.nodeIfKnown()?.status else { return nil }
                try lab.expect(!status.quarantined.contains { $0.release == release }, "the version is not blamed")
                return status.lastUpgrade?.release == release ? status.lastUpgrade : nil
            }
            try lab.expect(outcome.result == .committed, "the upgrade is committed: \(outcome.reason)")
            try lab.waitForEvent("firmware", containing: "ignored BootNext", within: 60)
        }
    }

    /// Cuts the power once `BootNext` is set, and starts the machine with a firmware that leaves it there.
    ///
    /// OVMF takes no notice of a `BootNext` that is not two bytes long, and leaves it; the node reads the number in its
    /// first two. So a longer one is what a firmware leaves behind that does not know the variable.
    private static func ignoreBootNext(_ lab: Rehearsal) throws {
        let trial = try lab.wait(for: "BootNext in the firmware's memory", within: 900) { try lab.nvram().bootNext }
        lab.machine.powerCut()
        try lab.editNVRAM { $0.set("BootNext", to: trial.littleEndianBytes + [0, 0]) }
        lab.machine.console.skipToEnd()
        try lab.machine.start()
        try lab.waitForConsole("the firmware ignored BootNext", within: 300)
    }

    private static func expectEntries(_ lab: Rehearsal) throws {
        _ = try lab.wait(for: "one boot entry for each slot and for recovery", within: 120) { () -> Bool? in
            let names = try lab.nvram().bootEntries.map(\.description)
            return ["Apus A", "Apus B", "Apus Recovery"].allSatisfy { name in names.count { $0 == name } == 1 }
                ? true : nil
        }
    }
}
