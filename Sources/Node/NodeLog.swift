public import Contract
internal import Linux
public import Sequences
import Synchronization

/// Where a program's lines and steps go: the consoles, the kernel's log, and the queue for the server.
///
/// A thread of its own writes to the consoles, so that one that was stopped with Ctrl-S or has no reader cannot hold up
/// the work.
public final class NodeLog: ReportEffect, Sendable {
    /// The name of the process's standard error among the consoles.
    public static let standardError = "/dev/stderr"
    /// What waits to be sent to the server.
    public let queue = ReportQueue()
    private let lines: Mailbox<String>
    private let text = Mutex(ConsoleText())
    private let posted = Atomic<Int>(0)
    private let written = Atomic<Int>(0)
    private let sender = Mutex<ReportSender?>(nil)
    private let name: String

    /// Starts writing to the given terminals and to the kernel's log.
    /// - Parameters:
    ///   - name: the program's name in the kernel's log.
    ///   - consoles: paths of terminals; those that cannot be opened are left out.
    ///   - kernelLog: where the kernel's log is written, from which the installed system's journal takes it; nil: not.
    /// - Throws: `SystemError` where no thread can be started.
    public init(name: String, consoles: [String], kernelLog: String? = "/dev/kmsg") throws {
        self.name = name
        let lines = try Mailbox<String>(limit: 1024)
        self.lines = lines
        let sinks =
            consoles.compactMap { LineSink(path: $0, prefix: "", ending: $0 == Self.standardError ? "\n" : "\r\n") }
            // Level 7, debug, is kept in the log and not shown: the consoles have it already.
            + [kernelLog.flatMap { LineSink(path: $0, prefix: "<7>\(name): ", ending: "\n") }].compactMap { $0 }
        try WorkerThread { [weak self] in
            while true {
                for line in lines.take(waitingMilliseconds: 60_000) {
                    for sink in sinks { sink.write(line) }
                    guard let self else { return }
                    self.written.add(1, ordering: .releasing)
                }
            }
        }.detach()
    }

    /// Shows a line, and keeps it for the server.
    public func log(_ line: String) {
        let line = ConsoleText.printable(line)
        queue.add(line: line)
        let uptime = Clock.monotonicMilliseconds()
        show("[\(NodeLog.padded(uptime / 1000)).\(uptime / 100 % 10)] \(line)")
    }

    /// Shows lines as they are, without the time; the server gets them too.
    public func show(block lines: [String]) {
        for line in lines {
            queue.add(line: line)
            show(line)
        }
    }

    /// Shows a step's state where it is news, and keeps it for the server.
    public func step(_ report: StepReport) {
        queue.add(report)
        guard let line = text.withLock({ $0.line(for: report) }) else { return }
        log(line)
    }

    /// From now on this sender empties the queue, and `flush` waits for it.
    public func attach(_ sender: ReportSender) { self.sender.withLock { $0 = sender } }

    /// Waits, at most two seconds, until the consoles have shown what was logged, and at most five for the server.
    public func flush() {
        if let sender = sender.withLock({ $0 }) { sender.flush(milliseconds: 5000) }
        let deadline = Clock.monotonicMilliseconds() + 2000
        while written.load(ordering: .acquiring) < posted.load(ordering: .acquiring),
            Clock.monotonicMilliseconds() < deadline
        {
            NodeClock.pause(milliseconds: 10)
        }
    }

    private func show(_ line: String) {
        if lines.post(line) { posted.add(1, ordering: .releasing) }
    }

    private static func padded(_ seconds: Int64) -> String {
        let text = "\(seconds)"
        return String(repeating: " ", count: max(0, 5 - text.utf8.count)) + text
    }
}

/// One place that lines are written to.
private final class LineSink: Sendable {
    private let file: OwnedDescriptor
    private let prefix: String
    private let ending: String

    init?(path: String, prefix: String, ending: String) {
        // A service's standard error is a socket to the journal, which cannot be opened by name (open(2), ENXIO).
        guard
            let file = path == NodeLog.standardError
                ? OwnedDescriptor(adopting: 2, path: path) : try? OwnedDescriptor(opening: path, .write)
        else { return nil }
        self.file = file
        self.prefix = prefix
        self.ending = ending
    }

    func write(_ line: String) {
        // Nothing can be done about a console that refuses: ignoring.
        try? file.write(Array((prefix + line + ending).utf8))
    }
}
