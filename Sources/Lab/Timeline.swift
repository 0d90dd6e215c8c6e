import Contract
import FoundationEssentials

/// What a scenario did, as it does it: printed line by line, kept for the table of where the time went.
final class Timeline {
    /// A step of the scenario.
    struct Step {
        /// What it is, as a sentence without a full stop.
        var title: String
        /// How long it took.
        var seconds: Double
        /// Whether it ended well.
        var succeeded: Bool
    }

    /// The steps so far.
    private(set) var steps: [Step] = []
    /// The step under way.
    private(set) var current: String?
    /// Steps that the node reported as finished: sequence, name, milliseconds.
    private(set) var nodeSteps: [StepReport] = []
    private let name: String
    private let begun = LabClock.seconds

    /// A timeline whose lines begin with `name`.
    init(name: String) { self.name = name }

    /// How long the scenario has run.
    var seconds: Double { LabClock.seconds - begun }

    /// Prints a line.
    func say(_ text: String) {
        print("\(name)  \(Timeline.format(seconds))  \(text)")
        flushOutput()
    }

    /// Runs a step and notes how long it took.
    func step<Value>(_ title: String, _ body: () throws -> Value) throws -> Value {
        let start = LabClock.seconds
        current = title
        say(title)
        do {
            let value = try body()
            steps.append(Step(title: title, seconds: LabClock.seconds - start, succeeded: true))
            current = nil
            return value
        } catch {
            steps.append(Step(title: title, seconds: LabClock.seconds - start, succeeded: false))
            throw error
        }
    }

    /// Notes an event of the server.
    func note(_ event: Event) {
        if let step = event.step, step.state == .finished || step.state == .failed { nodeSteps.append(step) }
    }

    /// The table of where the time went.
    func table() -> [String] {
        var lines = ["Where the time went in \(name):"]
        lines += steps.map { row($0.seconds, $0.title + ($0.succeeded ? "" : "  (failed)")) }
        let slow = nodeSteps.filter { $0.milliseconds >= 1000 }
        if !slow.isEmpty {
            lines.append("  of which the node's own steps of a second or more:")
            lines += slow.map { row(Double($0.milliseconds) / 1000, "\($0.sequence): \($0.step)") }
        }
        return lines + [row(seconds, "in all")]
    }

    private func row(_ seconds: Double, _ text: String) -> String { "  \(Timeline.format(seconds))  \(text)" }

    /// Seconds with one decimal, right-aligned.
    static func format(_ seconds: Double) -> String {
        let tenths = Int((seconds * 10).rounded())
        let text = "\(tenths / 10).\(tenths % 10) s"
        return String(repeating: " ", count: max(0, 8 - text.count)) + text
    }
}
