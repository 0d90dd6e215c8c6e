import Contract
import FoundationEssentials
import Operator
import Workloads

/// The battery's counter-proof: each row with all its guards taken away, where the attack must succeed. It takes a machine
/// that runs what the lab says, and that nobody uses afterwards.
enum AttackingUnguarded {
    static let scenarios = [
        Scenario(
            "attack-battery-unguarded", "without its guards every attack succeeds, so that a broken guard is seen",
            needsInstalledNode: true, releases: [.handedOver]
        ) { try battery($0) }
    ]

    private static func battery(_ lab: Rehearsal) throws {
        try lab.installedMachine()
        let play = AttackPlay(lab)
        defer { play.registry.stop() }
        let hands = try LabHands(network: lab.network.kind)
        func run(_ script: String, within seconds: Double = 180) throws -> String {
            try hands.run(script, within: seconds) { try lab.pump() }
        }
        try lab.step("the machine starts a release that does what the lab says") {
            let release = try lab.upgrade(to: .handedOver)
            _ = try lab.waitForOutcome(.committed, of: release, within: 900)
        }
        try lab.step("it starts again, with a USB stick in it") {
            let stick = lab.directory + "/stick.img"
            try ChildProcess.check(["truncate", "-s", "16M", stick])
            let last = try lab.node().status?.bootID
            try lab.switchOffNode()
            lab.machine.spec.stickPath = stick
            try lab.machine.start()
            try lab.waitForStatus("the system after a cold start", within: 400) { $0.bootID != last }
            lab.timeline.say(try run("uname -r"))
        }
        try play.prepare()
        try lab.step("attacker and victim run") {
            try play.deploy([
                ("victim", AttackDocuments.victim), ("attacker", AttackDocuments.attacker()),
                ("wired", AttackDocuments.wired),
            ])
            let said = try run(UnguardedScript.preparation)
            try lab.expect(said.contains("prepared"), "the machine is prepared: \(said.suffix(300))")
        }
        let script = UnguardedScript(
            workload: try workload(play), capabilities: try capabilities { try run($0) },
            devices: try devices { try run($0) })
        var findings: [AttackTable.Finding] = []
        for row in AttackRow.all {
            try lab.step("without \(row.guards.map(\.rawValue).joined(separator: ", ")): \(row.name)") {
                let report = try perform(row, script, play) { try run($0) }
                findings.append(
                    AttackTable.Finding(
                        row: row, report: report, latency: nil, faults: report.faults(unguarded: row)))
            }
            lab.closing = AttackTable.lines(findings)
        }
        try play.conclude(findings, in: "attack-table-unguarded.txt")
    }

    private static func perform(
        _ row: AttackRow, _ script: UnguardedScript, _ play: AttackPlay, _ run: (String) throws -> String
    ) throws -> AttackReport {
        func report(_ text: String) -> AttackReport {
            AttackReport.parse(text).last { $0.row == row.name } ?? AttackReport(row: row.name)
        }
        func answers(_ pairs: [(String, String)]) -> AttackReport {
            var report = AttackReport(row: row.name)
            report.answers = pairs.map { AttackReport.Answer(attempt: $0.0, word: $0.1, detail: "") }
            return report
        }
        switch row.stage {
        case .container, .alone: return report(try run(script.run([row], seconds: 3)))
        case .workload where row.name == "log-flood":
            let lines = Int(try run(script.flood(row, seconds: 3)).split(separator: "\n").last ?? "") ?? 0
            return answers([("output", lines > Attacking.keptLines ? "succeeded" : "\(lines) lines")])
        case .workload: return report(try run(script.leave(row)))
        case .entered:
            let tasks = row.name == "device-races" ? ["mask-null", "mask-console"] : ["linger"]
            return report(try run(script.enter(row, tasks: tasks, seconds: 20)))
        case .wired:
            if play.lab.network.kind == .namespace {
                // Somebody has to answer at the metadata address.
                _ = try ChildProcess.run(["ip", "addr", "replace", "169.254.169.254/32", "dev", "labbr"])
            }
            _ = try run(UnguardedScript.openWires)
            return try play.play([row], in: "wired", seconds: 3)[0]
        case .image:
            let lines = try run(UnguardedScript.carelessUnpacking).split(separator: "\n").map {
                $0.split(separator: " ")
            }
            return answers(
                row.attempts.map { attempt in
                    let word = lines.last { $0.count == 3 && $0[0] == "LAYER" && $0[1] == attempt.name }?[2]
                    return (attempt.name, word.map(String.init) ?? "not tried")
                })
        case .pair:
            let runs = try (0..<2).map { _ in report(try run(script.run([row], seconds: 1))).answers.first?.detail }
            return answers([("identity", runs[0] != nil && runs[0] == runs[1] ? "succeeded" : "different")])
        }
    }

    private static func workload(_ play: AttackPlay) throws -> Workload {
        try Workload(parsing: Array(try play.apus("workload", "show", "attacker", "--document").utf8))
    }

    /// The names that the machine's own runtime knows, up to the kernel's last capability.
    private static func capabilities(_ run: (String) throws -> String) throws -> [String] {
        let text = try run("cat /proc/sys/kernel/cap_last_cap").filter(\.isNumber)
        guard let last = Int(text), (30..<64).contains(last) else { throw LabError("no last capability: \(text)") }
        return LinuxCapability.names.enumerated().filter { $0.offset <= last }.map(\.element)
    }

    /// Devices with numbers of the machine's own.
    private static func devices(_ run: (String) throws -> String) throws -> [Unguarded.Device] {
        let words = try run("stat -c '%t %T' /dev/vda").split(whereSeparator: \.isWhitespace)
        guard words.count == 2, let major = Int64(words[0], radix: 16), let minor = Int64(words[1], radix: 16) else {
            return Unguarded.Device.fixed
        }
        return Unguarded.Device.fixed + [Unguarded.Device("/dev/vda", isBlock: true, major, minor)]
    }
}
