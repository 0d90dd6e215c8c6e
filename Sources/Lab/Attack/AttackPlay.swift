import Contract
import FoundationEssentials
import Glibc
import Operator

/// The stage of the battery: the attacker's image in a registry, workloads by the operator's own program, the victim's
/// log, and the agent, which must not be restarted.
final class AttackPlay {
    let lab: Rehearsal
    let registry: Registry
    /// How long an exhaustion row goes on, so that the victim has its samples.
    static let pressureSeconds = 12
    /// How long the baseline before it takes, and how much of its end is left out: there the row's own command is on its
    /// way, which would make the baseline worse than it is.
    private static let baselineSeconds = 14.0
    private static let approachSeconds = 2.0
    private var agentProcess: String?

    init(_ lab: Rehearsal) {
        self.lab = lab
        registry = Registry(directory: lab.directory + "/registry", paths: lab.paths, network: lab.network.kind)
    }

    // MARK: Setting the stage

    /// Starts the registry with the image, and notes which process the agent is.
    func prepare() throws {
        try lab.step("a registry with the attacker's image") {
            try registry.start()
            try registry.pushAttackImage(program: lab.paths.out + "/lab/apus-attack")
            try apus("registry", "set", Registry.name, "--mirror", Registry.mirror)
        }
        agentProcess = try findAgent()
    }

    /// Applies documents and waits until their workloads run.
    func deploy(_ documents: [(name: String, text: String)]) throws {
        for (name, text) in documents { try apply(name, text) }
        for (name, _) in documents { try waitUntilRunning(name, within: 300) }
    }

    func apply(_ name: String, _ text: String) throws {
        let path = "\(lab.directory)/\(name).json"
        try Files.write(text, to: path)
        try apus("workload", "apply", "-f", path)
    }

    // MARK: The operator's program

    /// Runs it against this scenario's server; its output.
    @discardableResult
    func apus(_ words: String...) throws -> String { try ChildProcess.check([lab.directory + "/apus"] + words) }

    /// Runs a command in a workload; what it wrote until it, or the workload, ended.
    func exec(_ workload: String, _ words: [String]) throws -> String {
        try ChildProcess.run([lab.directory + "/apus", "workload", "exec", workload, "--"] + words).output
    }

    func log(of workload: String, tail: Int = 20_000) throws -> String {
        try apus("workload", "logs", workload, "--tail", "\(tail)")
    }

    /// What the node says of a workload.
    func state(of workload: String) throws -> (phase: String?, reason: String) {
        struct Detail: Decodable {
            struct Node: Decodable {
                var phase: String?
                var reason: String
            }
            struct View: Decodable { var nodes: [Node] }
            var workload: View
        }
        let text = try apus("workload", "show", workload, "--json")
        let node = try Wire.decode(Detail.self, from: Array(text.utf8)).workload.nodes.first
        return (node?.phase, node?.reason ?? "")
    }

    func waitUntilRunning(_ workload: String, within seconds: Double) throws {
        _ = try lab.wait(for: "'\(workload)' to run", within: seconds) { () -> Bool? in
            let state = try state(of: workload)
            guard state.phase != "failed" else { throw LabError("'\(workload)' failed: \(state.reason)") }
            return state.phase == "running" ? true : nil
        }
    }

    /// Why the node refuses a workload.
    func waitForRefusal(_ workload: String, within seconds: Double) throws -> String {
        try lab.wait(for: "'\(workload)' to be refused", within: seconds) {
            let state = try state(of: workload)
            guard state.phase != "running" else { throw LabError("'\(workload)' runs, and must not") }
            return state.phase == "failed" ? state.reason : nil
        }
    }

    // MARK: Rows

    /// Plays rows in a workload by one command.
    func play(_ rows: [AttackRow], in workload: String, seconds: Int = 1) throws -> [AttackReport] {
        let words = [AttackDocuments.program, "row", "--seconds", "\(seconds)"] + rows.map(\.name)
        let reports = AttackReport.parse(try exec(workload, words))
        return rows.map { row in reports.last { $0.row == row.name } ?? AttackReport(row: row.name) }
    }

    /// A row under which the victim is watched: a baseline, the row, and what the row did to the 99th percentile.
    ///
    /// One measurement of a percentile on a busy machine may be off by more than what is judged, in both directions: a row
    /// that is over is measured twice more, and the middle one of three counts.
    func judge(_ row: AttackRow, _ attack: () throws -> AttackReport) throws -> AttackTable.Finding {
        var finding = try measure(row, attack)
        guard let first = finding.latency, first.during / first.before > 1 + VictimLatency.allowedPercent / 100 else {
            return finding
        }
        var faults = finding.faults
        var all = [first]
        for _ in 0..<2 {
            let again = try measure(row, attack)
            faults += again.faults
            if let latency = again.latency { all.append(latency) }
        }
        let middle = all.sorted { $0.during / $0.before < $1.during / $1.before }[all.count / 2]
        finding.latency = middle
        let percent = (middle.during / middle.before - 1) * 100
        if percent > VictimLatency.allowedPercent {
            faults.append(
                "\(row.name): the victim's 99th percentile is \(Int(percent)) % worse, in the middle of three")
        }
        finding.faults = faults
        return finding
    }

    private func measure(_ row: AttackRow, _ attack: () throws -> AttackReport) throws -> AttackTable.Finding {
        let pause = LabClock.seconds + Self.baselineSeconds
        _ = try lab.wait(for: "the baseline", within: 60) { LabClock.seconds > pause ? true : nil }
        let report = try attack()
        var faults = report.faults(guarded: row)
        guard let begin = report.beginMicroseconds else {
            return AttackTable.Finding(row: row, report: report, latency: nil, faults: faults + ["it never began"])
        }
        // Where it was killed, nobody said when: the victim is judged over the whole time.
        let end = report.endMicroseconds ?? begin + Int64(Self.pressureSeconds) * 1_000_000
        // The last window is printed when it is full, a second later at most.
        let rest = LabClock.seconds + 2
        _ = try lab.wait(for: "the victim's last window", within: 30) { LabClock.seconds > rest ? true : nil }
        let windows = VictimLatency.parse(try log(of: "victim", tail: 180))
        let before = VictimLatency.merged(
            windows, from: begin - Int64(Self.baselineSeconds * 1_000_000),
            to: begin - Int64(Self.approachSeconds * 1_000_000))
        let during = VictimLatency.merged(windows, from: begin, to: end + 1_000_000)
        guard let low = before.p99Microseconds, let high = during.p99Microseconds,
            during.percentWorse(than: before) != nil
        else {
            faults.append(
                "\(row.name): the victim has \(before.samples) and \(during.samples) samples, too few to judge")
            return AttackTable.Finding(row: row, report: report, latency: nil, faults: faults)
        }
        return AttackTable.Finding(row: row, report: report, latency: (low, high), faults: faults)
    }

    /// Plays a row again and again for as long as the victim is watched; it may end the workload each time. The first
    /// report with a fault is the one that counts, else the last.
    func press(_ row: AttackRow, in workload: String) throws -> AttackReport {
        let end = LabClock.seconds + Double(Self.pressureSeconds)
        let seconds = max(3, Self.pressureSeconds / row.attempts.count)
        var kept = AttackReport(row: row.name)
        var begin: Int64?
        var count = 0
        repeat {
            let report = try play([row], in: workload, seconds: seconds)[0]
            begin = begin ?? report.beginMicroseconds
            kept = report
            count += 1
            guard report.faults(guarded: row).isEmpty else { break }
            if row.stage == .alone { try waitUntilRunning(workload, within: 60) }
        } while LabClock.seconds < end && count < 1000
        kept.beginMicroseconds = begin
        return kept
    }

    // MARK: The agent

    /// The agent's process, from the newest lines of the node's journal.
    func findAgent() throws -> String {
        let id = try lab.node().id
        let last = try lab.server.api().logs(id, source: "journal").last?.sequence ?? 0
        try lab.server.api().command(id, .sendLogs)
        return try lab.wait(for: "the node's journal", within: 120) {
            let text = try lab.server.api().logs(id, after: last, source: "journal").map(\.text).joined()
            let lines = text.split(separator: "\n").filter { $0.contains(" apus-agent[") }
            return lines.last.flatMap { line in
                line.split(separator: "[", maxSplits: 1).dropFirst().first?.split(separator: "]").first.map(String.init)
            }
        }
    }

    /// Fails where the agent is another process than at the beginning, or no longer reports.
    func expectSameAgent() throws {
        let before = try lab.node().lastSeenSeconds
        _ = try lab.wait(for: "the agent's next report", within: 120) {
            try lab.node().lastSeenSeconds > before ? true : nil
        }
        let now = try findAgent()
        try lab.expect(
            now == agentProcess, "the agent is the same process as before: \(agentProcess ?? "?") and \(now)")
    }

    /// Prints a table as the last lines, keeps it, and fails where something in it did.
    func conclude(_ findings: [AttackTable.Finding], in file: String) throws {
        let lines = AttackTable.lines(findings)
        try Files.write(lines.joined(separator: "\n") + "\n", to: "\(lab.directory)/\(file)")
        lab.closing = lines
        let failed = findings.filter { !$0.faults.isEmpty }.map(\.row.name)
        guard failed.isEmpty else { throw LabError("rows failed: \(failed.joined(separator: ", "))") }
    }
}
