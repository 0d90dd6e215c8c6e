import Contract
import FoundationEssentials
import Operator

/// Sites that are not as they should be: each a clear error on the console, and nothing lost.
enum BadInput {
    static let scenarios = [
        Scenario("no-lease", "no DHCP server gives a lease, and then one does", needsInstalledNode: false) {
            try waitForLease($0)
        },
        Scenario("disk-too-small", "the only disk is too small", needsInstalledNode: false) {
            try refuseSmallDisk($0)
        },
        Scenario("nvram-read-only", "the firmware's memory cannot be written", needsInstalledNode: false) {
            try provisionWithReadOnlyNVRAM($0)
        },
    ]

    private static func waitForLease(_ lab: Rehearsal) throws {
        let stick = lab.directory + "/stick.img"
        try lab.blankMachine { $0.stickPath = stick }
        try lab.site.buildStick(trust: { $0.endpoint = Server.endpoint }, to: stick)
        try lab.changeOffer { $0.givesLeases = false }
        try lab.step("the machine says that it gets no address") {
            try lab.machine.start()
            try lab.waitForConsole("DHCP", within: 300)
        }
        try lab.step("the DHCP server comes up, and the machine goes on by itself") {
            try lab.changeOffer {
                $0.givesLeases = true
                $0.bootFile = nil
            }
            try lab.waitForState(.online, within: 900)
        }
    }

    private static func refuseSmallDisk(_ lab: Rehearsal) throws {
        try lab.blankMachine(diskBytes: 2 << 30)
        try lab.step("the machine says which disk does not fit, and so does the server") {
            try lab.machine.start()
            let event = try lab.wait(for: "a failed step at the server", within: 400) {
                lab.events.first { $0.step?.state == .failed }
            }
            let detail = event.step?.detail ?? event.message
            try lab.expect(detail.contains("disk"), "the reason speaks of the disk: \(detail)")
            try lab.expect(try lab.diskBytesWritten() < 4 << 20, "nothing was written to the disk")
        }
    }

    private static func provisionWithReadOnlyNVRAM(_ lab: Rehearsal) throws {
        try lab.blankMachine { $0.isNVRAMReadOnly = true }
        try lab.step("the installed system runs all the same, by the fallback path") {
            try lab.machine.start()
            try expectStartByFallback(lab, after: nil)
        }
        try lab.step("the server says what is wrong with the firmware") {
            try lab.waitForEvent("firmware", containing: "ignored BootNext", within: 120)
            let node = try lab.node()
            try lab.expect(node.reason.contains("firmware"), "the state's reason names it: \(node.reason)")
        }
        try lab.step("and so it does after another start") {
            let last = try lab.node().status?.bootID
            try lab.server.api().command(try lab.node().id, .reboot)
            try expectStartByFallback(lab, after: last)
        }
    }

    private static func expectStartByFallback(_ lab: Rehearsal, after bootID: String?) throws {
        try lab.waitForStatus("slot A, started by kexec", within: 900) {
            $0.bootID != bootID && $0.runningSlot == .a && $0.committedSlot == .a && !$0.startedByFirmware
                && $0.phase == .steady
        }
    }
}
