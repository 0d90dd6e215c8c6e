import ArgumentParser
import Contract
import Foundation
import Operator

/// `apus node …`
struct NodeCommands: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "node", abstract: "Lists, admits, upgrades and retires nodes.",
        subcommands: [
            NodeList.self, NodeShow.self, NodeApprove.self, NodeLabel.self, NodeRetire.self, NodeReprovision.self,
            NodeUpgrade.self, NodeLogs.self, NodeReboot.self, NodePowerOff.self, NodeMaintenance.self,
            NodeForgive.self, NodeEvents.self,
        ])
}

struct NodeList: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "Lists all nodes.")
    @Option(help: "Only nodes in this state, such as PENDING.")
    var state: NodeState?
    @OptionGroup var connection: Connection
    @OptionGroup var output: OutputOptions

    func run() throws {
        try reporting {
            let all = try connection.open().nodes()
            let nodes = all.filter { state == nil || $0.state == state }
            let length = idLength(all)
            try output.show(Contract.NodeList(nodes: nodes)) {
                table(
                    ["ID", "STATE", "VERSION", "SLOT", "LAST SEEN", "LABELS", "MACHINE"],
                    nodes.map { row($0, idLength: length) },
                    none: state.map { "no node is \($0.rawValue)" }
                        ?? "no nodes yet: switch one on where it can reach the boot artifact")
            }
        }
    }

    private func row(_ node: NodeView, idLength: Int) -> [String] {
        let slot = node.status?.runningSlot
        let version = slot.flatMap { node.status?.slots[$0]?.version } ?? "-"
        return [
            String(node.id.rawValue.prefix(idLength)), node.state.rawValue, version, slot?.letter ?? "-",
            time(node.lastSeenSeconds), labels(node.labels), machine(node.inventory.smbios),
        ]
    }
}

struct NodeShow: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "show", abstract: "Shows all about one node.")
    @OptionGroup var options: NodeOptions

    func run() throws {
        try options.act { _, node in
            node
        } text: { node, _ in
            describe(node)
        }
    }
}

struct NodeApprove: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "approve", abstract: "Admits a pending node by the code on its screen.")
    @OptionGroup var options: NodeOptions
    @Argument(help: "The code on the node's screen, such as 4T9K-0ZQM.")
    var code: String

    func run() throws {
        try options.act(saying: "is approved") { try $0.approve($1.id, code: code.uppercased()) }
    }
}

struct NodeLabel: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "label", abstract: "Sets labels (key=value) or removes them (key-).")
    @OptionGroup var options: NodeOptions
    @Argument(help: "Labels to set as key=value, or to remove as key-.")
    var labels: [String]

    func validate() throws { _ = try parseLabels(labels, allowsRemoval: true) }

    func run() throws {
        try options.act { api, node in
            try api.label(node.id, try parseLabels(labels, allowsRemoval: true))
        } text: { node, after in
            after.labels.isEmpty
                ? "node \(node.id) has no labels" : "node \(node.id) has the labels: \(apus.labels(after.labels))"
        }
    }
}

struct NodeRetire: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "retire", abstract: "Retires a node for good: it will not be admitted again.")
    @OptionGroup var options: NodeOptions
    @Flag(help: "Do it; without this only what would happen is said.")
    var yes = false

    func run() throws {
        try options.act(saying: "is retired") { api, node in
            guard yes else { throw Failure("this retires node \(node.id) for good: add --yes to do it") }
            return try api.retire(node.id)
        }
    }
}

struct NodeReprovision: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reprovision", abstract: "Has a node start the boot artifact and write its disk again.")
    @OptionGroup var options: NodeOptions
    @Flag(help: "Erase its state partition and its key as well.")
    var wipeState = false

    func run() throws {
        try options.act(saying: "will be provisioned again\(wipeState ? ", its state erased" : "")") {
            try $0.reprovision($1.id, wipeState: wipeState)
        }
    }
}

struct NodeUpgrade: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "upgrade", abstract: "Sets the release that a node should run.")
    @OptionGroup var options: NodeOptions
    @Argument(help: "The release: its version, or the first four or more digits of its name.")
    var release: String
    @Option(help: "How long every health check must hold without a break, in seconds; 60 without it.")
    var hold: Int?
    @Option(help: "How long the release may take to prove itself, in seconds; 600 without it.")
    var deadline: Int?
    @Option(help: "How often it may be started on trial; 2 times without it.")
    var attempts: Int?

    func run() throws {
        var version = release
        try options.act { api, node in
            let all = try api.releases()
            // One version may be there for several architectures; where none suits, the server says so.
            let suitable = all.filter { $0.architecture == node.inventory.architecture }
            let release = try (try? findRelease(release, in: suitable)) ?? findRelease(release, in: all)
            version = release.version
            return try api.upgrade(node.id, to: release.name, probation: probation)
        } text: { node, _ in
            "node \(node.id) will run \(version); follow it with 'apus node events \(node.id) --follow'"
        }
    }

    private var probation: ProbationRule? {
        guard hold != nil || deadline != nil || attempts != nil else { return nil }
        let usual = ProbationRule()
        return ProbationRule(
            holdSeconds: hold ?? usual.holdSeconds, deadlineSeconds: deadline ?? usual.deadlineSeconds,
            attempts: attempts ?? usual.attempts)
    }
}

struct NodeReboot: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "reboot", abstract: "Restarts a node.")
    @OptionGroup var options: NodeOptions

    func run() throws { try options.act(saying: "will restart") { try $0.command($1.id, .reboot) } }
}

struct NodePowerOff: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "poweroff", abstract: "Switches a node off.")
    @OptionGroup var options: NodeOptions

    func run() throws { try options.act(saying: "will switch itself off") { try $0.command($1.id, .powerOff) } }
}

struct NodeForgive: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "clear-quarantine", abstract: "Lets a node try versions again that failed on it.")
    @OptionGroup var options: NodeOptions

    func run() throws {
        try options.act(saying: "will forget its quarantine") { try $0.command($1.id, .clearQuarantine) }
    }
}

extension NodeOptions {
    /// Does something to the node and says in a sentence of which it is the subject what comes of it.
    fileprivate func act<Value: Encodable>(
        saying words: String, _ work: (OperatorClient, NodeView) throws -> Value
    ) throws {
        try act(work) { node, _ in "node \(node.id) \(words)" }
    }
}

struct NodeMaintenance: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "maintenance", abstract: "Takes a node out of service, or with --end back into it.")
    @OptionGroup var options: NodeOptions
    @Flag(help: "Take it back into service.")
    var end = false
    @Option(help: "Why, for other operators.")
    var reason: String?

    func validate() throws {
        if end, reason != nil { throw ValidationError("--reason says why a node leaves service: --end takes none") }
    }

    func run() throws {
        try options.act(saying: end ? "is back in service" : "is out of service") {
            try $0.maintenance($1.id, enabled: !end, reason: reason)
        }
    }
}
