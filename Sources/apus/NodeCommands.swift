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

/// Names one node.
struct NodeArgument: ParsableArguments {
    @Argument(help: "The node's id, or the first four or more characters of it.")
    var node: String

    func find(_ api: OperatorClient) throws -> NodeView { try findNode(node, in: try api.nodes()) }
}

/// The one node whose id begins with `text`.
func findNode(_ text: String, in nodes: [NodeView]) throws -> NodeView {
    let wanted = text.lowercased()
    guard wanted.count >= 4 else { throw Failure("'\(text)' is too short: give at least 4 characters of the id") }
    let matches = nodes.filter { $0.id.rawValue.hasPrefix(wanted) }
    guard let match = matches.first else { throw Failure("there is no node '\(text)'; see 'apus node list'") }
    guard matches.count == 1 else { throw Failure("\(matches.count) nodes begin with '\(text)': give more of the id") }
    return match
}

struct NodeList: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "Lists all nodes.")
    @OptionGroup var connection: Connection
    @OptionGroup var output: OutputOptions
    @Option(help: "Only nodes in this state, such as PENDING.")
    var state: String?

    func run() throws {
        try reporting {
            var nodes = try connection.open().nodes()
            if let state {
                guard let wanted = NodeState(rawValue: state.uppercased()) else {
                    let known = NodeState.allCases.map(\.rawValue).joined(separator: ", ")
                    throw Failure("there is no state '\(state)'; there are: \(known)")
                }
                nodes = nodes.filter { $0.state == wanted }
            }
            try output.show(Contract.NodeList(nodes: nodes)) {
                table(
                    ["ID", "STATE", "VERSION", "SLOT", "LAST SEEN", "LABELS", "MACHINE"], nodes.map(Self.row),
                    none: "no nodes yet: switch one on where it can reach the boot artifact")
            }
        }
    }

    private static func row(_ node: NodeView) -> [String] {
        let slot = node.status?.runningSlot
        let version = slot.flatMap { node.status?.slots[$0]?.version } ?? "-"
        let machine = [node.inventory.smbios.manufacturer, node.inventory.smbios.product, node.inventory.smbios.serial]
        return [
            String(node.id.rawValue.prefix(10)), node.state.rawValue, version, slot?.letter ?? "-",
            time(node.lastSeenSeconds), labels(node.labels), machine.filter { !$0.isEmpty }.joined(separator: " "),
        ]
    }
}

struct NodeShow: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "show", abstract: "Shows all about one node.")
    @OptionGroup var argument: NodeArgument
    @OptionGroup var connection: Connection
    @OptionGroup var output: OutputOptions

    func run() throws {
        try reporting {
            let node = try argument.find(try connection.open())
            try output.show(node) { describe(node) }
        }
    }
}

/// A node as names and values, for people.
func describe(_ node: NodeView) -> String {
    let facts = node.inventory
    var pairs = [
        ("id", node.id.rawValue), ("state", node.state.rawValue), ("reason", node.reason),
        ("labels", labels(node.labels)), ("registered", time(node.registeredSeconds)),
        ("last seen", time(node.lastSeenSeconds)),
        ("wanted release", node.desiredVersion ?? node.desiredRelease?.description ?? "none"),
        ("machine", "\(facts.smbios.manufacturer) \(facts.smbios.product), serial \(facts.smbios.serial)"),
        ("processor", "\(facts.processorCount) × \(facts.processor), \(facts.architecture.rawValue)"),
        ("memory", size(facts.memoryBytes)),
        ("firmware", "\(facts.firmware.vendor) \(facts.firmware.version)"),
        ("TPM", facts.hasTPM ? "present" : "none"),
    ]
    pairs += facts.disks.map { ("disk \($0.name)", "\(size($0.sizeBytes)) \($0.transport) \($0.model) \($0.serial)") }
    pairs += facts.networkInterfaces.map { ("network \($0.name)", "\($0.address), \($0.hasLink ? "link" : "no link")") }
    if let status = node.status { pairs += describe(status) }
    return listing(pairs)
}

private func describe(_ status: NodeStatus) -> [(String, String)] {
    let entry = status.bootEntry.map { number in
        let digits = String(number, radix: 16, uppercase: true)
        return "Boot" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    }
    var pairs = [
        ("phase", status.phase.rawValue),
        ("runs", "slot \(status.runningSlot?.letter ?? "-"), started by \(entry ?? "an unknown entry")"),
        ("committed", "slot \(status.committedSlot?.letter ?? "-")"),
    ]
    for slot in SlotName.allCases {
        if let report = status.slots[slot] {
            pairs.append(("slot \(slot.letter)", "\(report.state) \(report.version ?? "")"))
        }
    }
    if let last = status.lastUpgrade {
        let reason = last.reason.isEmpty ? "" : ": \(last.reason)"
        pairs.append(("last upgrade", "\(last.version) \(last.result.rawValue)\(reason)"))
    }
    for entry in status.quarantined { pairs.append(("quarantined", "\(entry.release): \(entry.reason)")) }
    for check in status.health {
        pairs.append(("check \(check.name)", "\(check.passed ? "passes" : "FAILS"): \(check.detail)"))
    }
    pairs.append(("up", "\(status.uptimeSeconds) s, agent \(status.agentVersion)"))
    if let memory = status.memory {
        let used = memory.totalBytes - min(memory.availableBytes, memory.totalBytes)
        let parts = [used, memory.totalBytes, memory.agentBytes].map { "\($0 / 1_000_000) MB" }
        pairs.append(("memory", "\(parts[0]) of \(parts[1]) in use, the agent has \(parts[2])"))
    }
    return pairs
}

struct NodeApprove: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "approve", abstract: "Admits a pending node by the code on its screen.")
    @OptionGroup var argument: NodeArgument
    @Argument(help: "The code on the node's screen, such as 4T9K-0ZQM.")
    var code: String
    @OptionGroup var connection: Connection
    @OptionGroup var output: OutputOptions

    func run() throws {
        try reporting {
            let api = try connection.open()
            let node = try argument.find(api)
            try api.approve(node.id, code: code.uppercased())
            try output.show(Done(done: "approved")) { "node \(node.id) is approved" }
        }
    }
}

struct NodeLabel: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "label", abstract: "Sets labels (key=value) or removes them (key-).")
    @OptionGroup var argument: NodeArgument
    @Argument(help: "Labels to set as key=value, or to remove as key-.")
    var labels: [String]
    @OptionGroup var connection: Connection
    @OptionGroup var output: OutputOptions

    func run() throws {
        try reporting {
            let api = try connection.open()
            let node = try argument.find(api)
            try api.label(node.id, try parseLabels(labels, allowsRemoval: true))
            let after = try api.node(node.id)
            try output.show(after) { "node \(node.id) has the labels: \(apus.labels(after.labels))" }
        }
    }
}

struct NodeRetire: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "retire", abstract: "Retires a node for good: it will not be admitted again.")
    @OptionGroup var argument: NodeArgument
    @Flag(help: "Do it; without this only what would happen is said.")
    var yes = false
    @OptionGroup var connection: Connection
    @OptionGroup var output: OutputOptions

    func run() throws {
        try reporting {
            let api = try connection.open()
            let node = try argument.find(api)
            guard yes else { throw Failure("this retires node \(node.id) for good: add --yes to do it") }
            try api.retire(node.id)
            try output.show(Done(done: "retired")) { "node \(node.id) is retired" }
        }
    }
}

struct NodeReprovision: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reprovision", abstract: "Has a node start the boot artifact and write its disk again.")
    @OptionGroup var argument: NodeArgument
    @Flag(help: "Erase its state partition and its key as well.")
    var wipeState = false
    @OptionGroup var connection: Connection
    @OptionGroup var output: OutputOptions

    func run() throws {
        try reporting {
            let api = try connection.open()
            let node = try argument.find(api)
            try api.reprovision(node.id, wipeState: wipeState)
            try output.show(Done(done: "reprovision")) { "node \(node.id) will be provisioned again" }
        }
    }
}

struct NodeUpgrade: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "upgrade", abstract: "Sets the release that a node should run.")
    @OptionGroup var argument: NodeArgument
    @Argument(help: "The release: its version, or the first four or more digits of its name.")
    var release: String
    @Option(help: "How long every health check must hold, in seconds.")
    var hold: Int?
    @Option(help: "How long the release may take to prove itself, in seconds.")
    var deadline: Int?
    @Option(help: "How often it may be started on trial.")
    var attempts: Int?
    @OptionGroup var connection: Connection
    @OptionGroup var output: OutputOptions

    func run() throws {
        try reporting {
            let api = try connection.open()
            let node = try argument.find(api)
            let release = try findRelease(release, in: try api.releases())
            try api.upgrade(node.id, to: release.name, probation: probation)
            try output.show(Done(done: "upgrade")) {
                "node \(node.id) will run \(release.version); follow it with 'apus node events \(node.id) --follow'"
            }
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
