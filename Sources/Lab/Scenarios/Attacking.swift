import Contract
import FoundationEssentials
import Operator

/// The attack battery: a hostile program runs as root in a container, beside a victim.
enum Attacking {
    static let scenarios = [
        Scenario(
            "attack-battery", "every attack is refused, the victim keeps its pace, and the agent is not restarted",
            needsInstalledNode: true
        ) { try battery($0) },
        Scenario(
            "attack-quick", "the rows of the battery that need seconds: every attack is refused",
            needsInstalledNode: true
        ) { try quick($0) },
        Scenario(
            "noisy-neighbour", "two workloads at all their limits, and a victim that keeps its pace",
            needsInstalledNode: true
        ) { try noisyNeighbour($0) },
    ]

    // MARK: The battery

    private static func battery(_ lab: Rehearsal) throws {
        try lab.installedMachine()
        let play = AttackPlay(lab)
        defer { play.registry.stop() }
        try play.prepare()
        var findings: [AttackTable.Finding] = []
        try lab.step("attacker and victim run") {
            try play.deploy([
                ("victim", AttackDocuments.victim), ("attacker", AttackDocuments.attacker()),
                ("wired", AttackDocuments.wired),
            ])
        }
        do {
            try lab.step("rows that are refused at once") { findings += try quickRows(play) }
            try lab.step("rows about images and runtimes") { findings += try specialRows(play) }
            for row in AttackRow.all where row.isExhaustion {
                try lab.step("exhaustion: \(row.name)") { findings.append(try exhaust(row, play)) }
            }
            try lab.step("the attacker stops in time, whatever it did") {
                let begun = LabClock.seconds
                try play.apus("workload", "stop", "attacker")
                _ = try lab.wait(for: "the attacker to be stopped", within: 60) {
                    try play.state(of: "attacker").phase == "stopped" ? true : nil
                }
                let seconds = LabClock.seconds - begun
                // The agent looks every few seconds; the workload itself has ten.
                try lab.expect(seconds < 20 * Deadline.patience, "it stopped after \(Int(seconds)) s")
            }
            try lab.step("the agent is the same process, and reports") { try play.expectSameAgent() }
        } catch {
            lab.closing = AttackTable.lines(findings)
            throw error
        }
        try play.conclude(findings, in: "attack-table.txt")
    }

    /// What of the battery is over in a minute, for every change of the project: no row that exhausts anything, races, or
    /// needs images of its own.
    private static func quick(_ lab: Rehearsal) throws {
        try lab.installedMachine()
        let play = AttackPlay(lab)
        defer { play.registry.stop() }
        try play.prepare()
        try lab.step("attacker, neighbour and a workload with a wire run") {
            try play.deploy([
                ("victim", AttackDocuments.victim), ("attacker", AttackDocuments.attacker()),
                ("wired", AttackDocuments.wired),
            ])
        }
        var findings: [AttackTable.Finding] = []
        do {
            try lab.step("rows that are refused at once") { findings += try quickRows(play) }
            try lab.step("two workloads share no inode") {
                for row in AttackRow.all where row.stage == .pair { findings.append(try compare(row, play)) }
            }
            try lab.step("the agent is the same process, and reports") { try play.expectSameAgent() }
        } catch {
            lab.closing = AttackTable.lines(findings)
            throw error
        }
        try play.conclude(findings, in: "attack-table.txt")
    }

    private static func quickRows(_ play: AttackPlay) throws -> [AttackTable.Finding] {
        var findings: [AttackTable.Finding] = []
        for (stage, workload) in [(AttackRow.Stage.container, "attacker"), (.wired, "wired")] {
            let rows = AttackRow.all.filter { $0.stage == stage && !$0.isExhaustion }
            for (row, report) in zip(rows, try play.play(rows, in: workload)) {
                findings.append(finding(row, report))
            }
        }
        return findings
    }

    static func finding(_ row: AttackRow, _ report: AttackReport) -> AttackTable.Finding {
        AttackTable.Finding(row: row, report: report, latency: nil, faults: report.faults(guarded: row))
    }

    // MARK: Exhaustion

    private static func exhaust(_ row: AttackRow, _ play: AttackPlay) throws -> AttackTable.Finding {
        try play.judge(row) {
            switch row.stage {
            case .workload: try floodLog(row, play)
            case .wired: try play.press(row, in: "wired")
            default: try play.press(row, in: "attacker")
            }
        }
    }

    /// Lines of a kilobyte that the node keeps of a gigabyte, when it is asked for more than it may keep.
    static let keptLines = 8192

    /// The attacker's own output is what floods: it is a workload of its own, and its log is counted.
    private static func floodLog(_ row: AttackRow, _ play: AttackPlay) throws -> AttackReport {
        try play.apply(row.name, AttackDocuments.alone(row.name, seconds: AttackPlay.pressureSeconds / 4))
        let begin = try play.lab.wait(for: "the flood to begin", within: 300) { () -> Int64? in
            guard try ["running", "restarting", "completed"].contains(play.state(of: row.name).phase ?? "") else {
                return nil
            }
            return AttackReport.parse(try play.log(of: row.name, tail: 100_000)).compactMap(\.beginMicroseconds).first
        }
        let end = LabClock.seconds + Double(AttackPlay.pressureSeconds)
        _ = try play.lab.wait(for: "the flood to go on", within: 60) { LabClock.seconds > end ? true : nil }
        let kept = try play.log(of: row.name, tail: 100_000).split(separator: "\n").count { $0.contains("flood flood") }
        try play.apus("workload", "delete", row.name, "--yes")
        var report = AttackReport(row: row.name)
        report.beginMicroseconds = begin
        report.endMicroseconds = begin + Int64(AttackPlay.pressureSeconds) * 1_000_000
        report.answers = [
            AttackReport.Answer(
                attempt: "output", word: kept > keptLines ? "succeeded" : "bounded", detail: "\(kept) lines were kept")
        ]
        return report
    }

    // MARK: Rows with stages of their own

    private static func specialRows(_ play: AttackPlay) throws -> [AttackTable.Finding] {
        var findings: [AttackTable.Finding] = []
        for row in AttackRow.all where row.stage == .image { findings.append(try refusedImages(row, play)) }
        for row in AttackRow.all where row.stage == .pair { findings.append(try compare(row, play)) }
        if let row = AttackRow.named("working-directory") { findings.append(try leave(row, play)) }
        return findings + (try enter(play))
    }

    /// The attempt of each row about layers, and the image that makes it.
    private static let attempts = [
        "apply": "dev-is-a-link", "parent": "parent-path", "hard-link": "hard-link-up", "whiteout": "whiteout-name",
    ]

    private static func refusedImages(_ row: AttackRow, _ play: AttackPlay) throws -> AttackTable.Finding {
        var report = AttackReport(row: row.name)
        for attempt in row.attempts {
            guard let image = HostileImage.all.first(where: { $0.name == attempts[attempt.name] }) else { continue }
            try HostileImages.push(image, play)
            let reason = try HostileImages.refusal(of: image, play)
            report.answers.append(
                AttackReport.Answer(
                    attempt: attempt.name, word: reason.contains(image.reason) ? image.reason : "other",
                    detail: reason))
        }
        return finding(row, report)
    }

    /// Two workloads of one image name the file that they run by device and inode.
    private static func compare(_ row: AttackRow, _ play: AttackPlay) throws -> AttackTable.Finding {
        let one = try play.play([row], in: "attacker")[0].answers.first?.detail
        let other = try play.play([row], in: "victim")[0].answers.first?.detail
        var report = AttackReport(row: row.name)
        let word = one == nil || other == nil ? "unknown" : one == other ? "succeeded" : "different"
        report.answers = [
            AttackReport.Answer(attempt: "identity", word: word, detail: "\(one ?? "?") and \(other ?? "?")")
        ]
        return finding(row, report)
    }

    /// Each of the descriptors that runtimes have been seen to leave open.
    private static func leave(_ row: AttackRow, _ play: AttackPlay) throws -> AttackTable.Finding {
        var report = AttackReport(row: row.name)
        for descriptor in [3, 7, 8] {
            try play.apply(row.name, AttackDocuments.workingDirectory(descriptor))
            let reason = try play.waitForRefusal(row.name, within: 300)
            report.answers = [AttackReport.Answer(attempt: "above-the-root", word: "refused", detail: reason)]
        }
        try play.apus("workload", "delete", row.name, "--yes")
        return finding(row, report)
    }

    /// How often the races are tried.
    private static let tries = 1000

    /// The agent's health check enters the workload up to ten times a second while it races; the workload starts over
    /// until it was entered often enough.
    private static func enter(_ play: AttackPlay) throws -> [AttackTable.Finding] {
        let rows = AttackRow.all.filter { $0.stage == .entered }
        try play.apply("entered", AttackDocuments.entered(rows.map(\.name), seconds: 20))
        var reports: [AttackReport] = []
        var entered = 0
        do {
            _ = try play.lab.wait(for: "\(tries) tries", within: 1500) { () -> Bool? in
                // A workload that is just being started has no log to give.
                guard let log = try? play.log(of: "entered") else { return nil }
                reports = AttackReport.parse(log).filter { $0.endMicroseconds != nil }
                entered = reports.flatMap(\.answers).reduce(0) { $0 + $1.entered }
                let isEach = rows.allSatisfy { row in reports.contains { $0.row == row.name } }
                return entered >= tries && isEach ? true : nil
            }
        } catch is DeadlinePassed {
            // The rows that follow are judged nevertheless; these are not passed.
        }
        try play.apus("workload", "delete", "entered", "--yes")
        return rows.map { row in
            let all = reports.filter { $0.row == row.name }
            let broken = all.first { !$0.faults(guarded: row).isEmpty }
            var finding = finding(row, broken ?? all.last ?? AttackReport(row: row.name))
            if entered < tries { finding.faults.append("\(row.name): \(entered) tries were seen, of \(tries)") }
            return finding
        }
    }

    // MARK: Neighbours

    /// Two workloads that take all that they may, at once and for a minute.
    private static func noisyNeighbour(_ lab: Rehearsal) throws {
        try lab.installedMachine()
        let play = AttackPlay(lab)
        defer { play.registry.stop() }
        try play.prepare()
        try lab.step("the victim runs alone") {
            try play.deploy([("victim", AttackDocuments.victim)])
            let end = LabClock.seconds + 14
            _ = try lab.wait(for: "the baseline", within: 60) { LabClock.seconds > end ? true : nil }
        }
        let windows = VictimLatency.parse(try play.log(of: "victim", tail: 60)).suffix(11)
        let before = VictimLatency.merged(Array(windows), from: 0, to: .max)
        try lab.step("two neighbours take memory, processors, disk and processes up to their limits") {
            try play.deploy([
                ("noisy-1", AttackDocuments.noisy("noisy-1", ["cpu-spin", "page-cache"])),
                ("noisy-2", AttackDocuments.noisy("noisy-2", ["tmpfs-fill", "fork-bomb", "io-flood", "disk-fill"])),
            ])
        }
        let during = try lab.step("the victim is watched for half a minute") {
            let end = LabClock.seconds + 32
            _ = try lab.wait(for: "the samples", within: 120) { LabClock.seconds > end ? true : nil }
            return VictimLatency.merged(
                Array(VictimLatency.parse(try play.log(of: "victim", tail: 60)).suffix(30)), from: 0, to: .max)
        }
        try lab.step("the agent is the same process, and reports") { try play.expectSameAgent() }
        guard let percent = during.percentWorse(than: before), let low = before.p99Microseconds,
            let high = during.p99Microseconds
        else { throw LabError("the victim has \(before.samples) and \(during.samples) samples, too few to judge") }
        lab.closing = ["the victim's 99th percentile: \(Int(low)) us alone, \(Int(high)) us beside both"]
        try lab.expect(
            percent < VictimLatency.allowedPercent, "it is \(Int(percent)) % worse, and 20 at most are allowed")
    }
}

extension AttackReport.Answer {
    /// How often somebody entered the container meanwhile, as the program counted.
    fileprivate var entered: Int {
        let words = detail.split(separator: " ")
        guard words.last == "entered", words.count > 1 else { return 0 }
        return min(100_000, max(0, Int(words[words.count - 2]) ?? 0))
    }
}
