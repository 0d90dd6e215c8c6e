import ArgumentParser
import Contract
import Foundation
import Operator
import Workloads

/// `apus workload …`
struct WorkloadCommands: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "workload", abstract: "Applies, shows, stops and rolls back workloads; logs and commands inside.",
        subcommands: [
            WorkloadApply.self, WorkloadListing.self, WorkloadShow.self, WorkloadLogs.self, WorkloadExec.self,
            WorkloadAttach.self, WorkloadStop.self, WorkloadStart.self, WorkloadRestart.self, WorkloadDelete.self,
            WorkloadRevisions.self, WorkloadRollback.self, WorkloadPolicyCommand.self,
        ])
}

/// What every command about one workload takes: which one, which server, and how to show the result.
struct WorkloadOptions: ParsableArguments {
    @Argument(help: "The workload's name.", transform: parseName)
    var name: WorkloadName

    @OptionGroup var connection: Connection
    @OptionGroup var output: OutputOptions

    /// Does something with the workload and shows what came of it; what fails is told in one sentence.
    func act<Value: Encodable>(_ work: (OperatorClient) throws -> Value, text: (Value) -> String) throws {
        try reporting {
            let value = try work(try connection.open())
            try output.show(value) { text(value) }
        }
    }
}

/// Reads the name of a workload or a secret.
func parseName(_ text: String) throws -> WorkloadName {
    guard let name = WorkloadName(text) else { throw ValidationError("a name has \(WorkloadName.allowed)") }
    return name
}

struct WorkloadListing: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "Lists all workloads.")
    @Option(help: "Only those of a node: its name, its id, or the first four or more characters of it.")
    var node: String?
    @OptionGroup var connection: Connection
    @OptionGroup var output: OutputOptions

    func run() throws {
        try reporting {
            let api = try connection.open()
            var workloads = try api.workloads()
            if let node {
                let id = try findNodeByName(node, api).id
                workloads = workloads.filter { $0.nodes.contains { $0.node == id } }
            }
            try output.show(WorkloadList(workloads: workloads)) {
                table(
                    ["NAME", "KIND", "STATE", "NODES", "REVISION", "CHANGED", "IMAGE", "REASON"], workloads.map(row),
                    none: node == nil ? "no workloads yet: apply one with 'apus workload apply -f FILE'" : "none there")
            }
        }
    }

    private func row(_ view: WorkloadView) -> [String] {
        [
            view.name.rawValue, view.kind.rawValue, standing(of: view), "\(view.nodes.count { $0.isPlaced })",
            short(view.revision), time(view.changedSeconds), shortImage(view.image),
            shortened(mainReason(view), to: 60),
        ]
    }
}

struct WorkloadShow: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Shows a workload: its state on each node, and its document.")
    @OptionGroup var options: WorkloadOptions
    @Flag(help: "Print only the document as JSON, every default written out, fit to be changed and applied again.")
    var document = false

    func run() throws {
        guard document else {
            return try options.act({ try $0.workload(options.name) }, text: describe)
        }
        try reporting {
            var output = options.output
            output.json = true
            try output.show(try options.connection.open().workload(options.name).document) { "" }
        }
    }
}

struct WorkloadStop: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stop", abstract: "Stops a workload on all its nodes, until it is started again.")
    @OptionGroup var options: WorkloadOptions

    func run() throws {
        try options.act({ try $0.act(.stop, on: options.name) }, text: { _ in "'\(options.name)' will stop" })
    }
}

struct WorkloadStart: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "start", abstract: "Starts a workload that was stopped.")
    @OptionGroup var options: WorkloadOptions

    func run() throws {
        try options.act({ try $0.act(.start, on: options.name) }, text: { _ in "'\(options.name)' will start" })
    }
}

struct WorkloadRestart: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restart", abstract: "Restarts a workload on all its nodes, also where it was given up.")
    @OptionGroup var options: WorkloadOptions

    func run() throws {
        try options.act({ try $0.act(.restart, on: options.name) }, text: { _ in "'\(options.name)' will restart" })
    }
}

struct WorkloadDelete: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete", abstract: "Stops a workload on all its nodes and forgets it, with its revisions.",
        discussion: "Its volumes stay on the nodes.")
    @OptionGroup var options: WorkloadOptions
    @Flag(help: "Do it; without this only what would happen is said.")
    var yes = false

    func run() throws {
        try options.act(
            { api in
                guard yes else {
                    let view = try api.workload(options.name).workload
                    throw Failure(
                        "this stops '\(options.name)' on \(counted(view.nodes.count, "node")) and forgets its "
                            + "revisions: add --yes to do it")
                }
                return try api.deleteWorkload(options.name)
            }, text: { $0.message })
    }
}

struct WorkloadRevisions: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "revisions", abstract: "Lists the revisions of a workload that are kept, newest first.")
    @OptionGroup var options: WorkloadOptions

    func run() throws {
        try options.act({ WorkloadRevisionList(revisions: try $0.revisions(options.name)) }) { list in
            table(
                ["REVISION", "APPLIED", "IMAGE", ""],
                list.revisions.map {
                    [short($0.revision), time($0.appliedSeconds), shortImage($0.image), $0.isCurrent ? "current" : ""]
                }, none: "no revisions")
        }
    }
}

struct WorkloadRollback: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rollback", abstract: "Goes back to an earlier revision of a workload.")
    @OptionGroup var options: WorkloadOptions
    @Option(help: "The revision: the first eight or more digits of its name; the one before without it.")
    var to: String?

    func validate() throws {
        if let to, to.count < 8 || !to.allSatisfy(\.isHexDigit) {
            throw ValidationError("'\(to)' is no revision: give the first eight or more digits of its name")
        }
    }

    func run() throws {
        try options.act({ try $0.rollBack(options.name, to: to?.lowercased()) }) { after in
            "'\(options.name)' goes back to revision \(short(after.workload.revision)); follow it with 'apus workload "
                + "show \(options.name)'"
        }
    }
}
