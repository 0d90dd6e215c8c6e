import ArgumentParser
import Contract
import Foundation
import Operator
import Workloads

/// On which node a command about one running workload looks for it.
struct PlaceOptions: ParsableArguments {
    @Option(
        help: "The node: its name, its id, or the first four or more characters of it; needed where several run it.")
    var node: String?

    /// The node that is meant, among those that run the workload.
    func find(_ workload: WorkloadDetail) throws -> NodeID {
        let view = workload.workload
        let places = view.nodes.filter { place in
            guard let node else { return true }
            return place.nodeName == node || (node.count >= 4 && place.node.rawValue.hasPrefix(node.lowercased()))
        }
        let names = view.nodes.map(nodeName).joined(separator: ", ")
        guard let place = places.first else {
            throw Failure(
                view.nodes.isEmpty
                    ? "'\(view.name)' runs on no node" : "'\(view.name)' is not on '\(node ?? "")' but on: \(names)")
        }
        guard places.count == 1 else {
            throw Failure("'\(view.name)' is on several nodes; name one with --node: \(names)")
        }
        return place.node
    }
}

struct WorkloadLogs: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logs", abstract: "Prints what a workload has written, as far as its node has kept it.",
        discussion: """
            On a terminal nothing is printed that could steer it; elsewhere every byte is as it was written. What the \
            workload wrote to its standard error goes to standard error. With --json it is one document a line.
            """)
    @OptionGroup var options: WorkloadOptions
    @OptionGroup var place: PlaceOptions
    @Flag(name: .shortAndLong, help: "Go on printing as lines are written.")
    var follow = false
    @Option(help: "Only the newest lines, this many.")
    var tail: Int?

    func validate() throws {
        if let tail, !(0...StreamLimit.tailLines).contains(tail) {
            throw ValidationError("--tail is 0 to \(StreamLimit.tailLines) lines")
        }
    }

    func run() throws {
        try reporting {
            let api = try options.connection.open()
            let node = try place.find(try api.workload(options.name))
            let order = StreamOrder(kind: .logs, follow: follow, tail: tail)
            let stream = try api.openStream(order, with: options.name, on: node)
            let printer = LinePrinter(output: options.output)
            defer { try? printer.end() }
            let status = try Conversation(stream: stream).listen(endsSilently: true) { try printer.take($0) }
            if status != 0 { throw Failure("the node cannot give the log: its reader ended with \(status)") }
        }
    }
}

struct WorkloadExec: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "exec", abstract: "Runs a command inside a workload, under the workload's own limits.",
        discussion: """
            The exit code is the command's. Everything is handed through as it is, on a terminal also what steers it.

            apus workload exec web -- cat /etc/hostname
            apus workload exec web -t -- sh
            """)
    @OptionGroup var options: WorkloadOptions
    @OptionGroup var place: PlaceOptions
    @Flag(name: .shortAndLong, help: "Give the command a terminal, and standard input.")
    var tty = false
    @Flag(name: [.customShort("i"), .long], help: "Give the command standard input.")
    var stdin = false
    @Argument(parsing: .postTerminator, help: "After --: the program and its arguments.")
    var command: [String] = []

    func validate() throws {
        guard !command.isEmpty else { throw ValidationError("say after -- what is to be run, such as: -- sh") }
        guard command.count <= StreamLimit.commandWords,
            command.reduce(0, { $0 + $1.utf8.count }) <= StreamLimit.command
        else { throw ValidationError("a command has at most \(StreamLimit.commandWords) words") }
        if options.output.json {
            throw ValidationError("what a command prints is its own: --json does not go with exec")
        }
        if tty, isatty(0) != 1 { throw ValidationError("-t needs a terminal; -i gives standard input without one") }
    }

    func run() throws {
        try reporting {
            let api = try options.connection.open()
            let node = try place.find(try api.workload(options.name))
            let order = StreamOrder(kind: .exec, command: command, tty: tty)
            let conversation = Conversation(stream: try api.openStream(order, with: options.name, on: node))
            throw ExitCode(try conversation.hold(input: stdin || tty, terminal: tty))
        }
    }
}

struct WorkloadAttach: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "attach", abstract: "Joins a workload's own input and output, until it ends or Ctrl-] is pressed.",
        discussion: "Everything is handed through as it is, also what steers a terminal.")
    @OptionGroup var options: WorkloadOptions
    @OptionGroup var place: PlaceOptions
    @Flag(help: "Only listen: nothing that is typed goes to the workload.")
    var listen = false

    func validate() throws {
        if options.output.json { throw ValidationError("what a workload prints is its own: use 'logs --json'") }
    }

    func run() throws {
        try reporting {
            let api = try options.connection.open()
            let workload = try api.workload(options.name)
            let hasTerminal = workload.document["tty"] == .bool(true) || workload.workload.kind == .vm
            let isTerminal = !listen && hasTerminal && isatty(0) == 1
            let stream = try api.openStream(
                StreamOrder(kind: .attach, tty: isTerminal), with: options.name, on: try place.find(workload))
            if isTerminal { note("Ctrl-] leaves '\(options.name)' to itself again") }
            throw ExitCode(try Conversation(stream: stream).hold(input: !listen, terminal: isTerminal))
        }
    }
}

/// Prints what arrives by lines where a terminal or JSON wants that, else as it is.
final class LinePrinter {
    /// A line with `--json`.
    private struct Line: Encodable {
        var stream: String
        var text: String
    }

    private let output: OutputOptions
    private var pending: [StreamFrame.Kind: [UInt8]] = [:]
    /// A line that never ends is shown in pieces of this many bytes.
    private static let longest = 64 << 10

    init(output: OutputOptions) { self.output = output }

    func take(_ frame: StreamFrame) throws {
        guard output.json || isatty(frame.kind == .error ? 2 : 1) == 1 else {
            return try standard(frame.kind).write(contentsOf: Data(frame.bytes))
        }
        var bytes = (pending[frame.kind] ?? []) + frame.bytes
        while let end = bytes.firstIndex(of: 0x0A) {
            try show(bytes[..<end], frame.kind)
            bytes.removeSubrange(...end)
        }
        if bytes.count > Self.longest {
            try show(bytes[...], frame.kind)
            bytes = []
        }
        pending[frame.kind] = bytes
    }

    /// Shows lines that were not ended.
    func end() throws {
        for kind in [StreamFrame.Kind.output, .error] {
            if let bytes = pending.removeValue(forKey: kind), !bytes.isEmpty { try show(bytes[...], kind) }
        }
    }

    private func show(_ bytes: ArraySlice<UInt8>, _ kind: StreamFrame.Kind) throws {
        let text = String(decoding: bytes, as: UTF8.self)
        if output.json {
            try output.stream(Line(stream: kind == .error ? "stderr" : "stdout", text: text)) { "" }
        } else {
            let shown = text.split(separator: "\t", omittingEmptySubsequences: false).map { printable(String($0)) }
            try standard(kind).write(contentsOf: Data((shown.joined(separator: "\t") + "\n").utf8))
        }
    }

    private func standard(_ kind: StreamFrame.Kind) -> FileHandle { kind == .error ? .standardError : .standardOutput }
}
