import Contract
import Operator

/// From blank hardware to `ONLINE`, by each way in.
enum Provisioning {
    static let scenarios = [
        Scenario("provision-pxe", "a blank machine provisions itself by UEFI PXE", needsInstalledNode: false) {
            try provisionByPXE($0)
        },
        Scenario("provision-http", "a blank machine provisions itself by UEFI HTTP boot", needsInstalledNode: false) {
            try provisionByHTTP($0)
        },
        Scenario("provision-usb", "a blank machine provisions itself from a USB stick", needsInstalledNode: false) {
            try provisionFromStick($0)
        },
        Scenario("approve-by-hand", "a machine without a token waits for a person", needsInstalledNode: false) {
            try approveByHand($0)
        },
        Scenario("small-memory", "a machine with 256 MB provisions itself", needsInstalledNode: false) {
            try provisionWithSmallMemory($0)
        },
        Scenario("sector-4k", "a disk with 4096-byte sectors is provisioned", needsInstalledNode: false) {
            try provisionWithLargeSectors($0)
        },
        Scenario("reprovision", "an operator has a node provisioned again", needsInstalledNode: true) {
            try reprovision($0)
        },
    ]

    private static func provisionByPXE(_ lab: Rehearsal) throws {
        try lab.blankMachine()
        try provision(lab)
        try lab.step("keep the node for other scenarios") { try InstalledNode(paths: lab.paths).keep(lab) }
        try lab.step("switch it off and look at its disk from outside") {
            try lab.switchOffNode()
            try lab.expectDiskIsSound()
        }
        try lab.step("start from the disk with the network cut") {
            let before = try lab.node().status?.bootID
            try lab.machine.start()
            try lab.machine.cutNetwork()
            try lab.waitForConsole("Reached target multi-user.target", within: 300)
            try lab.machine.restoreNetwork()
            try lab.waitForStatus("a report of this start once the network is back", within: 180) {
                $0.bootID != before && $0.startedByFirmware && $0.runningSlot == .a
            }
        }
    }

    /// From power-on to a report of the slot and boot entry that the firmware really started.
    static func provision(_ lab: Rehearsal, within seconds: Double = 900) throws {
        try lab.step("power on: the firmware loads the boot artifact") {
            try lab.machine.start()
            try lab.waitForConsole("mount-filesystems", within: 180)
        }
        try lab.step("register and be admitted") {
            _ = try lab.wait(for: "the node to be admitted", within: 180) {
                let state = try lab.nodeIfKnown()?.state
                return state == .provisioning || state == .admitted || state == .online ? true : nil
            }
        }
        try lab.step("write the disk, start from it and report healthy") {
            let node = try lab.waitForState(.online, within: seconds)
            lab.noteStart(seconds: LabClock.seconds - lab.machine.lastResetSeconds)
            let status = node.status
            try lab.expect(status?.startedByFirmware == true, "the firmware started the installed system")
            try lab.expect(status?.runningSlot == .a, "slot A runs")
            let entry = try lab.nvram().bootEntries.first { $0.description == "Apus A" }
            try lab.expect(entry != nil && status?.bootEntry == entry?.number, "the node names the entry of slot A")
            let agent = status?.memory?.agentBytes ?? .max
            let used =
                (status?.memory?.totalBytes ?? 0)
                - min(
                    status?.memory?.availableBytes ?? 0, status?.memory?.totalBytes ?? 0)
            lab.timeline.say(
                "  the node uses \(used / 1_000_000) MB of memory, the agent has \(agent / 1_000_000) MB resident")
            try lab.expect(agent < 25_000_000, "the agent has less than 25 MB resident")
        }
    }

    private static func provisionByHTTP(_ lab: Rehearsal) throws {
        try lab.blankMachine { $0.netBoot = .http }
        try lab.changeOffer {
            $0.bootFile = nil
            $0.httpURL = Server.bootEndpoint + "/boot/apus-boot.efi"
        }
        try provision(lab)
    }

    private static func provisionFromStick(_ lab: Rehearsal) throws {
        let stick = lab.directory + "/stick.img"
        try lab.blankMachine { $0.stickPath = stick }
        try lab.step("make the USB stick") {
            try lab.site.buildStick(trust: { $0.endpoint = Server.endpoint }, to: stick)
        }
        // Neither a boot file nor the endpoint comes from the network: the stick has to bring both.
        try lab.changeOffer {
            $0.bootFile = nil
            $0.endpoint = nil
        }
        try provision(lab)
    }

    private static func approveByHand(_ lab: Rehearsal) throws {
        try lab.blankMachine()
        try lab.serveBootArtifact(lab.site.bootArtifact(withToken: false))
        let code = try lab.step("the machine waits in PENDING and shows a code") {
            try lab.machine.start()
            let node = try lab.waitForState(.pending, within: 240)
            try lab.expect(!node.reason.isEmpty, "the server says why a person must act")
            return try lab.wait(for: "the challenge code on the console", within: 60) {
                lab.machine.console.lines.lazy.compactMap(challengeCode).first
            }
        }
        let node = try lab.node()
        try lab.step("a wrong code is refused, and the machine gets nothing") {
            let wrong = code == "0000-0000" ? "1111-1111" : "0000-0000"
            try lab.expectRefusal("a wrong code") { try lab.server.api().approve(node.id, code: wrong) }
            try lab.expect(try lab.node().state == .pending, "the node still waits")
            let written = try lab.diskBytesWritten()
            try lab.expect(written < 4 << 20, "nothing was written to the disk")
        }
        try lab.step("the right code admits it") {
            try lab.server.api().approve(node.id, code: code)
            try lab.waitForState(.online, within: 900)
        }
    }

    /// The code, where a line of the console has nothing else: eight characters as `XXXX-XXXX`.
    static func challengeCode(in line: String) -> String? {
        let alphabet = Set("0123456789ABCDEFGHJKMNPQRSTVWXYZ")
        let word = line.drop { $0 == " " }.prefix { $0 != " " }
        guard line.split(separator: " ").count == 1 else { return nil }
        let halves = word.split(separator: "-", omittingEmptySubsequences: false)
        return halves.count == 2 && halves.allSatisfy { $0.count == 4 && $0.allSatisfy(alphabet.contains) }
            ? String(word) : nil
    }

    private static func provisionWithSmallMemory(_ lab: Rehearsal) throws {
        try lab.blankMachine { $0.memoryMiB = 256 }
        try provision(lab, within: 1200)
    }

    private static func provisionWithLargeSectors(_ lab: Rehearsal) throws {
        try lab.blankMachine {
            $0.sectorSizeBytes = 4096
            // All other scenarios run on the plainest processor; this one has everything that can be emulated.
            $0.emulatedProcessor = "max"
        }
        try provision(lab)
        try lab.step("check the disk from outside") {
            try lab.switchOffNode()
            try lab.expectDiskIsSound()
        }
    }

    private static func reprovision(_ lab: Rehearsal) throws {
        try lab.installedMachine()
        let before = try lab.node()
        try lab.step("the operator asks for it") {
            try lab.server.api().reprovision(before.id, wipeState: false)
            _ = try lab.wait(for: "the node to be provisioned again", within: 400) {
                try lab.node().state == .provisioning ? true : nil
            }
        }
        try lab.step("it comes back as the same node") {
            let after = try lab.waitForState(.online, within: 900)
            try lab.expect(after.id == before.id, "the node has kept its id")
            try lab.expect(after.status?.bootID != before.status?.bootID, "the machine was started anew")
        }
        try lab.step("another start does not provision once more") {
            let status = try lab.node().status
            try lab.server.api().command(before.id, .reboot)
            try lab.waitForStatus("the next start", within: 300) {
                $0.bootID != status?.bootID && $0.phase == .steady && $0.startedByFirmware
            }
            try lab.expect(try lab.node().state == .online, "the node is ONLINE")
        }
    }
}
