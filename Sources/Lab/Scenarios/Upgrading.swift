import Contract
import Operator

/// Upgrades that end well.
enum Upgrading {
    static let scenarios = [
        Scenario(
            "upgrade-commit", "a good release is installed, proven and committed", needsInstalledNode: true,
            releases: [.second]
        ) {
            try upgradeAndCommit($0)
        },
        Scenario(
            "server-outage", "the server is away during a probation", needsInstalledNode: true, releases: [.second]
        ) {
            try upgradeThroughOutage($0)
        },
    ]

    private static func upgradeAndCommit(_ lab: Rehearsal) throws {
        try lab.installedMachine()
        let before = try lab.node().status
        let release = try lab.step("slot A runs on while slot B is written") {
            let release = try lab.upgrade(to: .second)
            try lab.waitForStatus("the installation", within: 300) {
                $0.phase == .installing || $0.phase == .restarting
            }
            try lab.expect(try lab.node().status?.bootID == before?.bootID, "the machine was not restarted for it")
            return release
        }
        try lab.step("BootNext starts slot B on probation") {
            let status = try lab.waitForStatus("slot B on probation or committed", within: 600) {
                $0.runningSlot == .b && $0.bootID != before?.bootID
            }
            if status.phase == .probation {
                try lab.expect(status.committedSlot == .a, "slot A is still the committed one")
            }
        }
        try lab.step("BootOrder is committed") {
            _ = try lab.waitForOutcome(.committed, of: release, within: 300)
            try lab.waitForStatus("slot B committed", within: 60) { $0.committedSlot == .b && $0.phase == .steady }
            try lab.waitForState(.online, within: 60)
        }
        try lab.step("the firmware agrees, and starts slot B by itself") {
            try lab.switchOffNode()
            let variables = try lab.nvram()
            let entry = variables.bootEntries.first { $0.description == "Apus B" }
            try lab.expect(entry != nil && variables.bootOrder.first == entry?.number, "slot B is first in BootOrder")
            try lab.expect(variables.bootNext == nil, "BootNext is used up")
            try lab.expectDiskIsSound()
            let last = try lab.node().status?.bootID
            try lab.machine.start()
            try lab.waitForStatus("slot B after a cold start", within: 300) {
                $0.bootID != last && $0.runningSlot == .b && $0.startedByFirmware
            }
        }
    }

    private static func upgradeThroughOutage(_ lab: Rehearsal) throws {
        try lab.installedMachine()
        let rule = ProbationRule(holdSeconds: 20, deadlineSeconds: Int(150 * lab.patience), attempts: 1)
        let release = try lab.step("install the new release, and lose the server as it starts") {
            let release = try lab.upgrade(to: .second, probation: rule)
            let resets = lab.machine.resets
            try lab.waitForReset(moreThan: resets, within: 600)
            lab.stopServer()
            return release
        }
        try lab.step("the probation outlasts its deadline without a server") {
            try lab.waitForConsole("Reached target multi-user.target", within: 300)
            let resets = lab.machine.resets
            let end = LabClock.seconds + Double(rule.deadlineSeconds) + 30
            _ = try lab.wait(for: "the deadline to pass", within: 260) {
                try lab.expect(lab.machine.resets == resets, "the node does not give the release up for the outage")
                return LabClock.seconds > end ? true : nil
            }
        }
        try lab.step("the server comes back, and the upgrade commits") {
            try lab.startServer()
            _ = try lab.waitForOutcome(.committed, of: release, within: 300)
            try lab.waitForState(.online, within: 60)
        }
    }
}
