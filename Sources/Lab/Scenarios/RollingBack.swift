import Contract
import Operator

/// Releases that fail, and the way back from them.
enum RollingBack {
    static let scenarios = [
        Scenario(
            "rollback-unhealthy", "a release fails an operator's check", needsInstalledNode: true,
            releases: [.unhealthy]
        ) {
            try rollBackUnhealthy($0)
        },
        Scenario("rollback-panic", "a release's kernel panics", needsInstalledNode: true, releases: [.panics]) {
            try rollBack($0, from: .panics, reasonMentions: nil)
        },
        Scenario(
            "rollback-hang-init", "a release hangs in apus-init, after arming", needsInstalledNode: true,
            releases: [.hangsInInit]
        ) {
            try rollBackHangInInit($0)
        },
        Scenario(
            "rollback-hang-systemd", "a release hangs in systemd, before the agent", needsInstalledNode: true,
            releases: [.hangsInSystemd]
        ) {
            try rollBack($0, from: .hangsInSystemd, reasonMentions: nil)
        },
        Scenario(
            "rollback-hang-agent", "a release's agent does nothing, while PID 1 works", needsInstalledNode: true,
            releases: [.hangsInAgent]
        ) {
            try rollBack($0, from: .hangsInAgent, reasonMentions: nil)
        },
        Scenario(
            "committed-slot-fails", "a committed release panics three times", needsInstalledNode: true,
            releases: [.panicsLater]
        ) {
            try giveWayToOtherSlot($0)
        },
    ]

    private static func rollBackUnhealthy(_ lab: Rehearsal) throws {
        try lab.installedMachine()
        let rule = ProbationRule(holdSeconds: 10, deadlineSeconds: Int(120 * lab.patience), attempts: 1)
        let release = try lab.step("the unhealthy release is installed and started on trial") {
            let release = try lab.upgrade(to: .unhealthy, probation: rule)
            // Not its report: a busy machine may be given up before it comes to report.
            try lab.waitForReset(moreThan: lab.machine.resets, within: 900)
            return release
        }
        try lab.step("the node goes back, and says why") {
            let outcome = try lab.waitForOutcome(.rolledBack, of: release, within: 600)
            try lab.expect(outcome.reason.contains("lab-always-fails"), "the reason names the check: \(outcome.reason)")
            try expectBackOnSlotA(lab, quarantined: release)
        }
        try lab.step("the version is not tried again when it is asked for") {
            let resets = lab.machine.resets
            let newest = lab.newestEvent
            try lab.server.api().upgrade(lab.node().id, to: release, probation: rule)
            try lab.waitForEvent("upgrade", containing: "not tried again", after: newest, within: 120)
            let asked = try lab.node()
            _ = try lab.wait(for: "a later report", within: 180) { () -> Bool? in
                let node = try lab.node()
                return node.lastSeenSeconds > asked.lastSeenSeconds && node.status?.phase == .steady ? true : nil
            }
            try lab.expect(lab.machine.resets == resets, "the machine was not restarted")
            try expectBackOnSlotA(lab, quarantined: release)
        }
    }

    static func expectBackOnSlotA(_ lab: Rehearsal, quarantined release: Digest256) throws {
        let status = try lab.waitForStatus("slot A, committed", within: 300) {
            $0.runningSlot == .a && $0.committedSlot == .a && $0.phase == .steady
        }
        try lab.expect(status.quarantined.contains { $0.release == release }, "the version is quarantined")
        try lab.waitForState(.online, within: 60)
    }

    private static func rollBack(_ lab: Rehearsal, from release: LabRelease, reasonMentions text: String?) throws {
        try lab.installedMachine()
        try fail(lab, with: release, reasonMentions: text)
    }

    /// Upgrades to a release that does not live until it can report, and sees the node come back without it.
    private static func fail(_ lab: Rehearsal, with release: LabRelease, reasonMentions text: String?) throws {
        let name = try lab.step("install release \(release.version): \(release.summary)") {
            let name = try lab.upgrade(to: release, probation: .labOnce)
            let resets = lab.machine.resets
            try lab.waitForReset(moreThan: resets, within: 600)
            return name
        }
        try lab.step("the machine resets itself, and the old slot comes back") {
            let outcome = try lab.waitForOutcome(.rolledBack, of: name, within: 900)
            try lab.expect(!outcome.reason.isEmpty, "the agent says why")
            if let text { try lab.expect(outcome.reason.contains(text), "the reason has '\(text)': \(outcome.reason)") }
            try expectBackOnSlotA(lab, quarantined: name)
        }
    }

    private static func rollBackHangInInit(_ lab: Rehearsal) throws {
        try lab.installedMachine()
        let bites = lab.machine.watchdogResets
        try fail(lab, with: .hangsInInit, reasonMentions: nil)
        try lab.expect(lab.machine.watchdogResets > bites, "the watchdog ended the hang")
    }

    private static func giveWayToOtherSlot(_ lab: Rehearsal) throws {
        try lab.installedMachine()
        let release = try lab.step("a release that fails later is installed and committed") {
            let release = try lab.upgrade(to: .panicsLater)
            _ = try lab.waitForOutcome(.committed, of: release, within: 900)
            return release
        }
        try lab.step("it panics at three starts, and slot A takes over") {
            try lab.switchOffNode()
            lab.machine.spec.assetTag = "panic"
            lab.machine.console.skipToEnd()
            let panics = lab.machine.console.count(of: "Kernel panic")
            let last = try lab.node().status?.bootID
            try lab.machine.start()
            let status = try lab.waitForStatus("slot A", within: 900) { $0.runningSlot == .a && $0.bootID != last }
            let seen = lab.machine.console.count(of: "Kernel panic") - panics
            try lab.expect(seen == 3, "slot B was given three starts, not \(seen)")
            try lab.expect(status.startedByFirmware || status.bootEntry == nil, "the report says how it was started")
        }
        try lab.step("the node says so") {
            try lab.waitForState(.online, within: 120)
            let status = try lab.waitForStatus("slot A committed", within: 120) { $0.committedSlot == .a }
            try lab.expect(status.quarantined.contains { $0.release == release }, "the release is quarantined")
        }
    }
}
