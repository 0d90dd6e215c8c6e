import FoundationEssentials

/// What the program `apus-attack` said of one row, read from its lines. The program is hostile by profession: a line that
/// is none is left out, and no number is believed that cannot be.
public struct AttackReport: Sendable, Equatable {
    /// The row.
    public var row: String
    /// What the kernel said to each attempt, in order.
    public var answers: [Answer] = []
    /// When it began, in microseconds of the machine's boot.
    public var beginMicroseconds: Int64?
    /// When it was through; nil where something ended it before.
    public var endMicroseconds: Int64?

    /// What the kernel said to one attempt.
    public struct Answer: Sendable, Equatable {
        /// The attempt.
        public var attempt: String
        /// One word, such as `EPERM` or `succeeded`.
        public var word: String
        /// Evidence, for people.
        public var detail: String
    }

    init(row: String) { self.row = row }

    /// The longest line that is read, in bytes.
    static let lineLimit = 65_536

    private struct Line: Decodable {
        var row: String?
        var attempt: String?
        var said: String?
        var detail: String?
        var begin: Int64?
        var end: Int64?
    }

    /// Reads all rows of an output; what stands between their lines is ignored.
    public static func parse(_ text: String) -> [AttackReport] {
        var reports: [AttackReport] = []
        let decoder = JSONDecoder()
        for raw in text.split(whereSeparator: \.isNewline) {
            // A log puts its own words before what was said.
            guard raw.utf8.count <= lineLimit, let start = raw.firstIndex(of: "{"),
                let line = try? decoder.decode(Line.self, from: Data(raw[start...].utf8)), let row = line.row
            else { continue }
            if line.begin != nil || reports.last?.row != row { reports.append(AttackReport(row: row)) }
            let last = reports.count - 1
            if let begin = line.begin { reports[last].beginMicroseconds = begin }
            if let end = line.end { reports[last].endMicroseconds = end }
            if let attempt = line.attempt, let word = line.said, reports[last].answers.count < 256 {
                reports[last].answers.append(Answer(attempt: attempt, word: word, detail: line.detail ?? ""))
            }
        }
        return reports
    }

    /// The answer to an attempt. One that was under way when all processes ended was `killed`; those after it were `not
    /// tried`.
    func word(_ name: String, of row: AttackRow) -> String {
        if let answer = answers.last(where: { $0.attempt == name }) { return answer.word }
        guard endMicroseconds == nil, let index = row.attempts.firstIndex(where: { $0.name == name }),
            row.attempts[..<index].allSatisfy({ attempt in answers.contains { $0.attempt == attempt.name } })
        else { return "not tried" }
        return "killed"
    }

    private func detail(_ name: String) -> String {
        let text = answers.last { $0.attempt == name }?.detail ?? ""
        return text.isEmpty ? "" : " (\(text))"
    }

    /// What is wrong with the row in full posture, as sentences; nothing where every attempt was refused as expected.
    public func faults(guarded row: AttackRow) -> [String] {
        row.attempts.compactMap { attempt in
            let word = word(attempt.name, of: row)
            guard !attempt.accepted.contains(word) else { return nil }
            return "\(row.name): '\(attempt.name)' was answered '\(word)'\(detail(attempt.name)), and accepted is "
                + attempt.accepted.sorted().joined(separator: ", ")
        }
    }

    /// What is wrong with the row without its guards: an attempt that still fails proves nothing in full posture.
    public func faults(unguarded row: AttackRow) -> [String] {
        var faults: [String] = []
        var successes = 0
        for attempt in row.attempts {
            let word = word(attempt.name, of: row)
            if word == "succeeded" {
                successes += 1
            } else if !attempt.missing.contains(word) {
                faults.append(
                    "\(row.name): '\(attempt.name)' fails without guards too: '\(word)'\(detail(attempt.name))")
            }
        }
        if successes == 0, faults.isEmpty {
            faults.append("\(row.name): this machine has nothing that the row could attack")
        }
        return faults
    }
}
