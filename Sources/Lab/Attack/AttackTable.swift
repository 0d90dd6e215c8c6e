/// The battery as a table for people: `docs/sandbox.md` holds what `documented` returns, and a test compares both.
public enum AttackTable {
    /// The columns that do not depend on a run: what is tried, what is accepted, what it relies on.
    public static var documented: [String] {
        var lines = [
            "| Row | What is tried | Accepted outcomes | Guards |", "|---|---|---|---|",
        ]
        for row in AttackRow.all {
            let name = row.isExhaustion ? "`\(row.name)` ⏱" : "`\(row.name)`"
            let guards = row.guards.map(\.rawValue).joined(separator: ", ")
            lines.append("| \(name) | \(row.summary) | \(outcomes(row)) | \(guards) |")
        }
        return lines
    }

    /// Attempts with the same accepted outcomes stand together.
    private static func outcomes(_ row: AttackRow) -> String {
        var groups: [(names: [String], accepted: Set<String>)] = []
        for attempt in row.attempts {
            if let index = groups.firstIndex(where: { $0.accepted == attempt.accepted }) {
                groups[index].names.append(attempt.name)
            } else {
                groups.append(([attempt.name], attempt.accepted))
            }
        }
        return groups.map { group in
            let words = group.accepted.sorted().map { "`\($0)`" }.joined(separator: " ")
            return groups.count == 1 ? words : "\(group.names.joined(separator: ", ")): \(words)"
        }.joined(separator: "; ")
    }

    /// What a run found out about a row.
    public struct Finding: Sendable {
        /// The row.
        public var row: AttackRow
        /// What was answered.
        public var report: AttackReport
        /// The victim's 99th percentile before and during the row, in microseconds; nil where it was not judged.
        public var latency: (before: Double, during: Double)?
        /// What is wrong, as sentences.
        public var faults: [String]
    }

    /// The table of a run, for a terminal.
    static func lines(_ findings: [Finding]) -> [String] {
        let width = (findings.map(\.row.name.count).max() ?? 0) + 2
        var lines: [String] = []
        for finding in findings {
            let name = finding.row.name + String(repeating: " ", count: width - finding.row.name.count)
            let words = finding.row.attempts.map { finding.report.word($0.name, of: finding.row) }
            var seen: [String] = []
            for word in words where !seen.contains(word) { seen.append(word) }
            var line = "\(finding.faults.isEmpty ? "ok     " : "FAILED ") \(name)\(seen.joined(separator: ", "))"
            if let latency = finding.latency {
                let percent = Int(((latency.during / latency.before - 1) * 100).rounded())
                let sign = percent < 0 ? "" : "+"
                line += "   p99 \(Int(latency.before)) to \(Int(latency.during)) us (\(sign)\(percent) %)"
            }
            lines.append(line)
            lines += finding.faults.map { "         \($0)" }
        }
        return lines
    }
}
