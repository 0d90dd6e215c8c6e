public import Contract
import Synchronization

/// Step reports and log lines on their way to the server: bounded, kept until the network is up, never blocking.
///
/// Whoever works puts reports in; one thread takes batches out and sends them. When the server is away for long the
/// oldest log lines are dropped and counted, and progress of one step collapses into its newest report.
public final class ReportQueue: Sendable {
    /// Bounds of what is kept.
    static let stepLimit = 512
    static let logLimitBytes = 512 << 10
    static let lineLimitBytes = 4096
    /// The server takes so many steps at a time.
    static let stepsPerBatch = 64

    private struct Content {
        var steps: [StepReport] = []
        var lines: [String] = []
        var lineBytes = 0
        var droppedLines = 0
    }

    private let content = Mutex(Content())

    /// Makes an empty queue.
    public init() {}

    /// What is sent at once.
    public struct Batch: Sendable, Equatable {
        /// Step reports, oldest first.
        public var steps: [StepReport]
        /// Log lines, joined; empty where there are none.
        public var log: String

        /// Whether there is nothing to send.
        public var isEmpty: Bool { steps.isEmpty && log.isEmpty }
    }

    /// Adds a report; progress replaces the progress of the same step that was not yet sent.
    public func add(_ report: StepReport) {
        content.withLock { content in
            if report.state == .progress, let last = content.steps.last, last.state == .progress,
                last.sequence == report.sequence, last.step == report.step
            {
                content.steps.removeLast()
            }
            content.steps.append(report)
            if content.steps.count > ReportQueue.stepLimit { content.steps.removeFirst() }
        }
    }

    /// Adds a line of the log, without its end.
    public func add(line: String) {
        let isLong = line.utf8.count > ReportQueue.lineLimitBytes
        let line = isLong ? String(decoding: line.utf8.prefix(ReportQueue.lineLimitBytes), as: UTF8.self) : line
        content.withLock { content in
            content.lines.append(line)
            content.lineBytes += line.utf8.count + 1
            while content.lineBytes > ReportQueue.logLimitBytes, !content.lines.isEmpty {
                content.lineBytes -= content.lines.removeFirst().utf8.count + 1
                content.droppedLines += 1
            }
        }
    }

    /// Takes the oldest reports and lines, at most what the server accepts in one message each.
    public func take() -> Batch {
        content.withLock { content in
            let steps = Array(content.steps.prefix(ReportQueue.stepsPerBatch))
            content.steps.removeFirst(steps.count)
            var log = ""
            if content.droppedLines > 0 {
                log = "(\(content.droppedLines) older lines were dropped)\n"
                content.droppedLines = 0
            }
            var taken = 0
            for line in content.lines {
                // JSON may need six bytes for one; half of the limit leaves room for ordinary text.
                guard log.utf8.count + line.utf8.count < WireLimit.logChunk / 2 else { break }
                log += line + "\n"
                content.lineBytes -= line.utf8.count + 1
                taken += 1
            }
            content.lines.removeFirst(taken)
            return Batch(steps: steps, log: log)
        }
    }

    /// Puts back what could not be sent, before everything newer.
    public func putBack(_ batch: Batch) {
        content.withLock { content in
            content.steps = Array((batch.steps + content.steps).suffix(ReportQueue.stepLimit))
            guard !batch.log.isEmpty else { return }
            var lines = batch.log.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
            if lines.last?.isEmpty == true { lines.removeLast() }
            content.lineBytes += batch.log.utf8.count
            content.lines = lines + content.lines
        }
    }

    /// Whether everything was taken.
    public var isEmpty: Bool { content.withLock { $0.steps.isEmpty && $0.lines.isEmpty } }
}
