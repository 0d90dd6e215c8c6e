import ArgumentParser
import Contract
import Fetch
import Foundation
import Operator

/// Where a piece of a node's log comes from.
enum LogSource: String, ExpressibleByArgument, CaseIterable {
    case `init`
    case agent
    case journal
}

struct NodeLogs: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logs", abstract: "Prints a node's log, as far as the server has it.",
        discussion: "The server keeps the newest 4 MiB of each node.")
    @OptionGroup var options: NodeOptions
    @Option(help: "Only this source: init, agent or journal.")
    var source: LogSource?
    @Flag(help: "Ask the node for the newest 2000 lines of its journal, and print those.")
    var fetch = false
    @Flag(name: .shortAndLong, help: "Go on printing as lines arrive.")
    var follow = false

    /// How long a node that is on may take to send its journal, in seconds.
    private static let fetchSeconds = 45

    func validate() throws {
        if fetch, source != nil, source != .journal {
            throw ValidationError("--fetch is about the journal: leave out --source, or give it 'journal'")
        }
    }

    func run() throws {
        try reporting {
            let api = try options.connection.open()
            let node = try findNode(options.node, api).id
            let last = try fetch ? printFetched(api, node) : printAll(api, node)
            if follow { try goOn(api, node, after: last) }
        }
    }

    /// Prints what the server has; returns the last piece's number.
    private func printAll(_ api: OperatorClient, _ node: NodeID) throws -> Int64 {
        let entries = try api.logs(node, source: source?.rawValue)
        try show(entries)
        return entries.last?.sequence ?? 0
    }

    /// Has the node send its journal and prints that; returns the last piece's number.
    private func printFetched(_ api: OperatorClient, _ node: NodeID) throws -> Int64 {
        var last = try api.logs(node).last?.sequence ?? 0
        try api.command(node, .sendLogs)
        var entries = try api.logs(
            node, after: last, source: LogSource.journal.rawValue, waitSeconds: Self.fetchSeconds)
        guard !entries.isEmpty else {
            throw Failure(
                "node \(node) has not sent its journal within \(Self.fetchSeconds) s; it does as soon as it hears of it: "
                    + "see then 'apus node logs \(node) --source journal'")
        }
        // A journal comes in pieces, one right after the other.
        while let newest = entries.last?.sequence {
            try show(entries)
            last = newest
            entries = try api.logs(node, after: last, source: LogSource.journal.rawValue, waitSeconds: 2)
        }
        return last
    }

    private func goOn(_ api: OperatorClient, _ node: NodeID, after: Int64) throws {
        var last = after
        try followThroughOutages {
            let entries = try api.logs(node, after: last, source: source?.rawValue, waitSeconds: 50)
            try show(entries)
            last = entries.last?.sequence ?? last
        }
    }

    private func show(_ entries: [LogEntry]) throws {
        for entry in entries {
            try options.output.stream(entry) {
                entry.text.split(separator: "\n").map { "\(entry.source): \(printable(String($0)))" }
                    .joined(separator: "\n")
            }
        }
    }
}

struct NodeEvents: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "events", abstract: "Prints what happened, of one node or of all.",
        discussion: "The server keeps the newest 200,000 events.")
    @Argument(help: "The node's id or the beginning of it; all nodes without it.")
    var node: String?
    @Flag(name: .shortAndLong, help: "Go on printing as things happen.")
    var follow = false
    @Flag(help: "Show the progress of steps as well.")
    var progress = false
    @OptionGroup var connection: Connection
    @OptionGroup var output: OutputOptions

    func run() throws {
        try reporting {
            let api = try connection.open()
            let node = try node.map { try findNode($0, api).id }
            var last: Int64 = 0
            var page: [Event] = []
            repeat {
                page = try api.events(after: last, node: node)
                try show(page)
                last = page.last?.sequence ?? last
            } while !page.isEmpty
            guard follow else { return }
            try followThroughOutages {
                let events = try api.events(after: last, node: node, waitSeconds: 50)
                try show(events)
                last = events.last?.sequence ?? last
            }
        }
    }

    private func show(_ events: [Event]) throws {
        for event in events where progress || event.step?.state != .progress {
            try output.stream(event) { describe(event, ofOneNode: node != nil) }
        }
    }
}

/// Repeats a long poll for ever; a server that restarts meanwhile is waited for.
private func followThroughOutages(_ poll: () throws -> Void) throws {
    var isAway = false
    while true {
        do {
            try poll()
            isAway = false
        } catch let error as FetchError where error.isTransient {
            if !isAway { note("\(sentence(for: error)); trying again until it answers") }
            isAway = true
            try HTTPClient.pause(milliseconds: 2000, cancellation: nil)
        }
    }
}
