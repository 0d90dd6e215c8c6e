import Contract
import FoundationEssentials
import Operator

/// Releases that must be refused before anything becomes bootable.
enum Refusing {
    static let scenarios = [
        Scenario(
            "upgrade-corrupt", "damaged, forged and foreign releases are refused", needsInstalledNode: true,
            releases: [.damaged(1), .damaged(2), .damaged(3), .damaged(4), .foreign]
        ) {
            try refuseCorruptReleases($0)
        }
    ]

    private static func refuseCorruptReleases(_ lab: Rehearsal) throws {
        try lab.installedMachine()
        try lab.step("a flipped byte in a frame") {
            // The pack starts with the hash tree, which every release brings anew; most of the rest is not fetched.
            try refuse(lab, .damaged(1)) { try edit($0 + "/pack") { bytes in bytes[100] ^= 1 } }
        }
        try lab.step("a truncated download") {
            // What is left ends within the hash tree or the kernel image behind it, which no upgrade does without.
            try refuse(lab, .damaged(2)) { try edit($0 + "/pack") { bytes in bytes.removeLast(bytes.count - 200_000) } }
        }
        try lab.step("a wrong signature") {
            try refuse(lab, .damaged(3)) { try edit($0 + "/manifest.json", flipSignature) }
        }
        try lab.step("a frame table that does not match") {
            try refuse(lab, .damaged(4)) { try edit($0 + "/frames") { bytes in bytes[bytes.count - 1] ^= 1 } }
        }
        try lab.step("a release for another architecture") { try refuseForeign(lab) }
        try lab.step("the node works on, and is asked for nothing more") {
            let asked = try lab.node().lastSeenSeconds
            _ = try lab.wait(for: "a later report", within: 120) { () -> Bool? in
                let node = try lab.node()
                return node.state == .online && node.lastSeenSeconds > asked ? true : nil
            }
            try lab.expect(try lab.node().status?.health.allSatisfy(\.passed) == true, "it is healthy")
        }
    }

    /// Publishes a release, damages it at the server behind its back, and sees the node refuse it.
    private static func refuse(_ lab: Rehearsal, _ release: LabRelease, damage: (String) throws -> Void) throws {
        let built = try lab.publish(release)
        try damage(try storedFolder(lab, of: built))
        let resets = lab.machine.resets
        let node = try lab.node()
        try lab.server.api().upgrade(node.id, to: built.name, probation: .lab)
        let outcome = try lab.waitForOutcome(.refused, of: built.name, within: 600)
        try lab.expect(!outcome.reason.isEmpty, "the node says why")
        try expectUntouched(lab, resets: resets)
        lab.timeline.say("  refused: \(outcome.reason)")
    }

    private static func refuseForeign(_ lab: Rehearsal) throws {
        let resets = lab.machine.resets
        let built = try lab.site.build(.foreign, say: lab.timeline.say)
        do {
            try lab.server.api().publish(directory: built.directory, name: built.name)
            try lab.server.api().upgrade(try lab.node().id, to: built.name, probation: .lab)
        } catch {
            // The server may be the first to see it; then the node is never told.
            try lab.expect("\(error)".contains("arm64"), "the server's refusal names the architecture: \(error)")
            lab.timeline.say("  refused by the server: \(error)")
            return try expectUntouched(lab, resets: resets)
        }
        let outcome = try lab.waitForOutcome(.refused, of: built.name, within: 600)
        try lab.expect(outcome.reason.contains("arm64"), "the reason names the architecture: \(outcome.reason)")
        try expectUntouched(lab, resets: resets)
    }

    private static func expectUntouched(_ lab: Rehearsal, resets: Int) throws {
        try lab.waitForStatus("the node to work on", within: 120) { $0.phase == .steady && $0.runningSlot == .a }
        try lab.expect(lab.machine.resets == resets, "the machine was not restarted")
        let variables = try lab.nvram()
        try lab.expect(variables.bootNext == nil, "BootNext is not set")
        let entry = variables.bootEntries.first { $0.description == "Apus A" }
        try lab.expect(variables.bootOrder.first == entry?.number, "slot A is first in BootOrder")
    }

    /// Where the server keeps a release's files.
    private static func storedFolder(_ lab: Rehearsal, of release: BuiltRelease) throws -> String {
        let folder = lab.server.dataDirectory + "/releases/\(release.name)"
        try lab.expect(Files.exists(folder + "/pack"), "the server keeps the release in '\(folder)'")
        return folder
    }

    private static func edit(_ path: String, _ change: (inout [UInt8]) throws -> Void) throws {
        guard let data = FileManager.default.contents(atPath: path) else { throw LabError("cannot read '\(path)'") }
        var bytes = Array(data)
        try change(&bytes)
        try Data(bytes).write(to: URL(fileURLWithPath: path))
    }

    /// Changes the first digit of the first signature, which stays well formed.
    private static func flipSignature(_ bytes: inout [UInt8]) throws {
        let marker = Array("\"sig\":\"".utf8)
        let starts = bytes.indices.dropLast(marker.count + 1)
        guard let start = starts.first(where: { bytes[$0..<$0 + marker.count].elementsEqual(marker) }) else {
            throw LabError("the manifest has no signature to damage")
        }
        let digit = start + marker.count
        bytes[digit] = bytes[digit] == UInt8(ascii: "0") ? UInt8(ascii: "1") : UInt8(ascii: "0")
    }
}
