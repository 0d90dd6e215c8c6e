import ArgumentParser
import Foundation
import Lab

/// Where the lab's parts are.
struct LabOptions: ParsableArguments {
    @Option(
        help: "The project's folder, with .out and .lab; found from the current one without it.", completion: .directory
    )
    var project: String?

    func paths() throws -> LabPaths {
        let program = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        return LabPaths(project: try folder(), apus: program)
    }

    private func folder() throws -> String {
        if let project { return URL(fileURLWithPath: project).standardizedFileURL.path }
        var current = URL(fileURLWithPath: FileManager.default.currentDirectoryPath)
        while current.path != "/" {
            if FileManager.default.fileExists(atPath: current.path + "/Package.swift") { return current.path }
            current.deleteLastPathComponent()
        }
        throw Failure("this is not the project's folder: go there, or give --project")
    }
}

/// `apus lab …`
struct LabCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lab", abstract: "Rehearses scenarios on virtual machines with real firmware.",
        discussion: "Everything is kept under .lab/NAME. APUS_LAB_PATIENCE stretches all deadlines on slow machines.")

    @Argument(help: "Scenarios by name, or 'all'.", completion: .list(Scenario.known.map(\.name) + ["all"]))
    var scenarios: [String] = []

    @Flag(help: "List the scenarios; with --json as JSON.")
    var list = false

    @Option(help: "Look at the disk and the boot entries that a finished scenario left behind.")
    var inspect: String?

    @Option(help: "With --inspect: the disk's sector size in bytes.")
    var sectorSize = 512

    @Option(help: .hidden)
    var inside: String?

    @Option(help: .hidden)
    var prepare: String?

    @OptionGroup var options: LabOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        if output.json, !scenarios.isEmpty || inspect != nil {
            throw ValidationError("--json goes with --list; a scenario's last line is 'RESULT NAME ok|failed SECONDS'")
        }
    }

    func run() throws {
        if list || (scenarios.isEmpty && inside == nil && inspect == nil && prepare == nil) {
            return try output.show(Scenario.known.map { ["name": $0.name, "summary": $0.summary] }) {
                table(["SCENARIO", "WHAT IT SHOWS"], Scenario.known.map { [$0.name, $0.summary] }, none: "")
            }
        }
        let status = try reporting { () -> Int32 in
            let paths = try options.paths()
            if let inspect {
                try LabRunner.inspect(inspect, sectorSizeBytes: sectorSize, paths: paths)
                print("partition table, hash trees, kernel images and boot entries of '\(inspect)' are as designed")
                return 0
            }
            if let prepare {
                try LabRunner.prepare(prepare.split(separator: ",").map(String.init), paths: paths)
                return 0
            }
            if let inside { return try LabRunner.inside(inside, paths: paths) }
            return try LabRunner.run(scenarios, paths: paths)
        }
        if status != 0 { throw ExitCode(status) }
    }
}

/// `apus demo`
struct DemoCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo", abstract: "Takes a blank virtual machine from nothing to a rolled-back upgrade.")

    @Flag(help: "End at once when the story is told, in place of keeping server and machine running.")
    var noWait = false

    @Flag(help: .hidden)
    var inside = false

    @OptionGroup var options: LabOptions

    func run() throws {
        let status = try reporting { () -> Int32 in
            let paths = try options.paths()
            return inside ? try Demo.inside(paths: paths, waits: !noWait) : try Demo.run(paths: paths, waits: !noWait)
        }
        if status != 0 { throw ExitCode(status) }
    }
}
