import Contract
import Foundation
import Testing
import Workloads

@testable import Lab

/// Guards are taken away one by one: each from its place, and nothing else with it.
@Suite struct UnguardedSandboxes {
    static func plan() throws -> SandboxPlan {
        let digest = String(repeating: "ab", count: 32)
        let document = AttackDocuments.attacker(image: "registry.example/attack@sha256:\(digest)")
        let workload = try Workload(parsing: Array(document.utf8))
        return try Sandbox.plan(
            SandboxInput(
                workload: workload, revision: try #require(Digest256(hex: digest)), policy: NodePolicy(),
                ids: try #require(IDRange(first: IDRangePlanner.firstRange))))
    }

    static func changed(_ gone: AttackGuard) throws -> (config: Bool, unit: Bool) {
        let plan = try plan()
        let result = Unguarded(plan, without: [gone], capabilities: ["CAP_SYS_ADMIN"])
        return (result.config != plan.runtimeConfig.value, result.properties != plan.unit.properties)
    }

    @Test func withNothingTakenAwayItIsTheAgentsOwnPlan() throws {
        let plan = try Self.plan()
        let same = Unguarded(plan, without: [], capabilities: [])
        #expect(same.config == plan.runtimeConfig.value && same.properties == plan.unit.properties)
    }

    @Test(arguments: AttackGuard.allCases) func eachGuardHasAPlace(_ gone: AttackGuard) throws {
        let changed = try Self.changed(gone)
        #expect((changed.config || changed.unit) == Unguarded.removable.contains(gone))
    }

    @Test func whatIsTakenAwayIsGone() throws {
        let plan = try Self.plan()
        let all = Unguarded(plan, without: Set(AttackGuard.allCases), capabilities: ["CAP_SYS_ADMIN"])
        let linux = try #require(all.config["linux"])
        #expect(linux["seccomp"] == nil && linux["uidMappings"] == nil && linux["maskedPaths"] == .array([]))
        #expect(all.config["process"]?["noNewPrivileges"] == .bool(false))
        #expect(all.config["process"]?["capabilities"]?["effective"] == .array([.string("CAP_SYS_ADMIN")]))
        #expect(all.config["root"]?["readonly"] == .bool(false))
        for name in ["MemoryMax", "CPUQuota", "DevicePolicy", "DeviceAllow", "IOWriteBandwidthMax"] {
            #expect(!all.properties.contains { $0.name == name })
        }
        #expect(all.properties.filter { $0.name == "TasksMax" }.map(\.value) == ["infinity"])
        let text = String(decoding: all.config.json, as: UTF8.self)
        for word in ["nosuid", "nodev", "size=8388608"] { #expect(!text.contains(word)) }
    }

    /// Whatever the lab can take away, the product cannot: only the lab's module names guards.
    @Test func noProgramOfTheNodeKnowsHow() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("Sources")
        let files = try #require(FileManager.default.enumerator(atPath: root.path)).compactMap { $0 as? String }
        let knowing = files.filter { $0.hasSuffix(".swift") && !$0.hasPrefix("Lab/") }.filter { file in
            let text = (try? String(contentsOf: root.appendingPathComponent(file), encoding: .utf8)) ?? ""
            return text.contains("AttackGuard") || text.contains("Unguarded")
                || text.contains("import CAttack")
                    && !file.hasPrefix("apus-attack/")
        }
        #expect(knowing == [])
    }

    /// What a machine is told to do is at least what its shell understands.
    @Test func scriptsForTheMachineAreShell() throws {
        let digest = String(repeating: "ab", count: 32)
        let document = AttackDocuments.attacker(image: "registry.example/attack@sha256:\(digest)")
        let script = UnguardedScript(
            workload: try Workload(parsing: Array(document.utf8)), capabilities: LinuxCapability.names,
            devices: Unguarded.Device.fixed)
        var texts = [UnguardedScript.preparation, UnguardedScript.openWires, UnguardedScript.carelessUnpacking]
        for row in AttackRow.all {
            texts += [
                try script.run([row], seconds: 3), try script.flood(row, seconds: 3),
                try script.enter(row, tasks: ["mask-null", "mask-console"], seconds: 3), try script.leave(row),
            ]
        }
        // As one text: a shell's start is what takes time here.
        let path = NSTemporaryDirectory() + "/script-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: path) }
        try Data(texts.joined(separator: "\n").utf8).write(to: URL(fileURLWithPath: path))
        let checked = try ChildProcess.run(["bash", "-n", path])
        #expect(checked.exitCode == 0, "\(checked.output)")
        let unpacked = try ChildProcess.run(["bash", "-c", UnguardedScript.carelessUnpacking]).output
        for row in AttackRow.all where row.stage == .image {
            for attempt in row.attempts { #expect(unpacked.contains("LAYER \(attempt.name) succeeded")) }
        }
    }

    @Test func theLabsHandsRunAScriptWhereTheyAreAskedTo() throws {
        let hands = try LabHands(network: .user)
        let machine = try ChildProcess(
            .init(command: ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/\(LabHands.port); exec bash <&3 >&3 2>&1"]))
        defer { machine.killNow() }
        let said = try hands.run("echo one; echo two >&2\nexit 3", within: 30) {}
        #expect(said == "one\ntwo\n")
        struct GivenUp: Error {}
        #expect(throws: GivenUp.self) { try hands.run("true", within: 30) { throw GivenUp() } }
    }
}
