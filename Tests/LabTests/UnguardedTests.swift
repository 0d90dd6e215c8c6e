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
}
