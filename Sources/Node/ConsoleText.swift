public import Contract

/// How steps read on a console: one line each, in plain characters, so that a serial log stays readable.
public struct ConsoleText: Sendable {
    private var lastStep = ""
    private var lastTenth = -1
    private var lastMilliseconds: Int64 = 0

    /// Starts with nothing shown.
    public init() {}

    /// The line for a report; nil where it would say nothing new.
    ///
    /// Progress is shown at each tenth, and at least every ten seconds while something moves.
    public mutating func line(for report: StepReport) -> String? {
        // Every early boot is one sequence, whatever becomes of it, so that its name would say nothing.
        let name = report.step
        switch report.state {
        case .started:
            lastStep = name
            lastTenth = -1
            lastMilliseconds = 0
            return "\(name) ..."
        case .finished:
            let detail = report.detail.isEmpty ? "" : ": \(report.detail)"
            return "\(name) done in \(ConsoleText.seconds(report.milliseconds))\(detail)"
        case .skipped:
            return "\(name) not needed" + (report.detail.isEmpty ? "" : ": \(report.detail)")
        case .failed:
            // The runner logs the failure in a sentence of its own.
            return nil
        case .progress:
            return progressLine(report, name: name)
        }
    }

    private mutating func progressLine(_ report: StepReport, name: String) -> String? {
        guard let done = report.done, let total = report.total, total > 0 else {
            return nil
        }
        let fraction = Double(min(done, total)) / Double(total)
        let tenth = Int(fraction * 10)
        guard tenth != lastTenth || report.milliseconds - lastMilliseconds >= 10_000 || name != lastStep else {
            return nil
        }
        lastStep = name
        lastTenth = tenth
        lastMilliseconds = report.milliseconds
        let amount =
            report.unit == "bytes" ? "\(done >> 20) of \(total >> 20) MiB" : "\(done) of \(total) \(report.unit ?? "")"
        return "\(name) \(Int(fraction * 100)) % (\(amount))"
    }

    /// Milliseconds as `12.3 s`.
    public static func seconds(_ milliseconds: Int64) -> String {
        let tenths = max(0, milliseconds) / 100
        return "\(tenths / 10).\(tenths % 10) s"
    }

    /// The challenge code, large, with what to do about it.
    public static func challenge(_ code: String, reason: String) -> [String] {
        let rule = String(repeating: "=", count: 72)
        var lines = ["", rule, "This machine waits for approval. Its code is", ""]
        lines += BigText.render(code).map { "    " + $0 }
        lines += ["", "    \(code)", "", "Compare it with the server's and approve: apus node approve NODE \(code)"]
        if !reason.isEmpty { lines.append("The server says: \(printable(reason))") }
        return lines + [rule, ""]
    }

    /// What failed and what happens next.
    public static func failure(_ what: String, next: String) -> [String] {
        let rule = String(repeating: "!", count: 72)
        return ["", rule, "FAILED: \(printable(what))", "Next: \(printable(next))", rule, ""]
    }

    /// Text from elsewhere without characters that could steer a terminal.
    public static func printable(_ text: String) -> String {
        String(
            decoding: text.utf8.prefix(4096).map { $0 == 9 || $0 == 10 || ($0 >= 0x20 && $0 != 0x7f) ? $0 : 0x3f },
            as: UTF8.self)
    }
}
