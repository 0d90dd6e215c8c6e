import ArgumentParser
import Contract
import Foundation
import Operator

struct NodeReboot: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "reboot", abstract: "Restarts a node.")
    @OptionGroup var argument: NodeArgument
    @OptionGroup var connection: Connection
    @OptionGroup var output: OutputOptions

    func run() throws { try ask(argument, connection, output, .reboot, "will restart") }
}

struct NodePowerOff: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "poweroff", abstract: "Switches a node off.")
    @OptionGroup var argument: NodeArgument
    @OptionGroup var connection: Connection
    @OptionGroup var output: OutputOptions

    func run() throws { try ask(argument, connection, output, .powerOff, "will switch itself off") }
}

struct NodeForgive: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "clear-quarantine", abstract: "Lets a node try versions again that failed on it.")
    @OptionGroup var argument: NodeArgument
    @OptionGroup var connection: Connection
    @OptionGroup var output: OutputOptions

    func run() throws { try ask(argument, connection, output, .clearQuarantine, "will forget its quarantine") }
}

private func ask(
    _ argument: NodeArgument, _ connection: Connection, _ output: OutputOptions, _ kind: NodeCommand.Kind,
    _ what: String
) throws {
    try reporting {
        let api = try connection.open()
        let node = try argument.find(api)
        try api.command(node.id, kind)
        try output.show(Done(done: kind.rawValue)) { "node \(node.id) \(what)" }
    }
}

struct NodeMaintenance: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "maintenance", abstract: "Takes a node out of service, or with --end back into it.")
    @OptionGroup var argument: NodeArgument
    @Flag(help: "Take it back into service.")
    var end = false
    @Option(help: "Why, for other operators.")
    var reason: String?
    @OptionGroup var connection: Connection
    @OptionGroup var output: OutputOptions

    func run() throws {
        try reporting {
            let api = try connection.open()
            let node = try argument.find(api)
            try api.maintenance(node.id, enabled: !end, reason: reason)
            try output.show(Done(done: "maintenance")) {
                "node \(node.id) is \(end ? "back in service" : "out of service")"
            }
        }
    }
}

struct NodeLogs: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logs", abstract: "Prints a node's log, as far as the server has it.")
    @OptionGroup var argument: NodeArgument
    @Option(help: "Only this source: init, agent or journal.")
    var source: String?
    @Flag(help: "Ask the node for the newest lines of its journal first.")
    var fetch = false
    @Flag(name: .shortAndLong, help: "Go on printing as lines arrive.")
    var follow = false
    @OptionGroup var connection: Connection
    @OptionGroup var output: OutputOptions

    func run() throws {
        try reporting {
            let api = try connection.open()
            let node = try argument.find(api)
            if fetch { try api.command(node.id, .sendLogs) }
            var last: Int64 = 0
            repeat {
                let entries = try api.logs(node.id, after: last, source: source, waitSeconds: last > 0 ? 50 : 0)
                for entry in entries {
                    try output.stream(entry) {
                        entry.text.split(separator: "\n").map { "\(entry.source): \(printable(String($0)))" }
                            .joined(separator: "\n")
                    }
                }
                last = entries.last?.sequence ?? max(last, 1)
            } while follow
        }
    }
}

struct NodeEvents: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "events", abstract: "Prints what happened, of one node or of all.")
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
            let id = try node.map { try findNode($0, in: try api.nodes()).id }
            var last: Int64 = 0
            repeat {
                let isWaiting = follow && last > 0
                let events = try api.events(after: last, node: id, waitSeconds: isWaiting ? 50 : 0)
                for event in events where progress || event.step?.state != .progress {
                    try output.stream(event) { describe(event) }
                }
                // A page that is not empty may be followed by another.
                last = events.last?.sequence ?? max(last, 1)
                if events.isEmpty, !follow { return }
            } while true
        }
    }
}

/// An event as a line for people.
func describe(_ event: Event) -> String {
    let node = event.node.map { " " + String($0.rawValue.prefix(10)) } ?? ""
    guard let step = event.step else {
        return "\(time(event.timeSeconds))\(node)  \(event.kind)  \(printable(event.message))"
    }
    var text = "\(step.sequence)/\(step.step) \(step.state.rawValue)"
    if let done = step.done, let total = step.total, total > 0 { text += " \(min(100, done * 100 / total)) %" }
    if step.state == .finished || step.state == .failed { text += " after \(step.milliseconds) ms" }
    if !step.detail.isEmpty { text += ": \(step.detail)" }
    return "\(time(event.timeSeconds))\(node)  step  \(printable(text))"
}
