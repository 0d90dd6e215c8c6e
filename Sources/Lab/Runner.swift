import FoundationEssentials
import Glibc

/// Runs scenarios: each in a process and a network of its own, two at a time where memory allows.
public enum LabRunner {
    /// The variable that tells a process that it is the inner one, and which network it has.
    private static let networkVariable = "APUS_LAB_NETWORK"

    /// Whether this process was started by `run` to play one scenario.
    public static var isInside: Bool { ProcessInfo.processInfo.environment[networkVariable] != nil }

    /// Plays scenarios and prints a `RESULT` line for each; returns the exit status.
    public static func run(_ names: [String], paths: LabPaths) throws -> Int32 {
        let scenarios = try select(names)
        try paths.check()
        Interruption.install()
        try Files.makeFolder(paths.base)
        let way = Isolation.choose()
        if let remark = way.remark { print(remark) }
        let accelerator = Accelerator.choose(scratch: paths.base)
        print("virtual machines run on \(accelerator == Accelerator.software ? "emulated processors" : "KVM")")
        flushOutput()
        var crew = Crew(paths: paths, way: way, accelerator: accelerator)
        return try crew.play(scenarios)
    }

    private static func select(_ names: [String]) throws(LabError) -> [Scenario] {
        if names.contains("all") { return Scenario.all }
        var chosen: [Scenario] = []
        for name in names.flatMap({ Scenario.groups[$0] ?? [$0] }) {
            guard let scenario = Scenario.named(name) else {
                let known = (Scenario.known.map(\.name) + Scenario.groups.keys.sorted()).joined(separator: ", ")
                throw LabError("there is no scenario '\(name)'; there are: \(known), all")
            }
            if !chosen.contains(where: { $0.name == name }) { chosen.append(scenario) }
        }
        guard !chosen.isEmpty else { throw LabError("name a scenario, or 'all'") }
        return chosen
    }

    /// How an inner process is started.
    static func command(_ way: Isolation.Way, _ paths: LabPaths, _ arguments: [String], accelerator: String)
        -> ChildProcess.Setup
    {
        var environment = [networkVariable: way.network.rawValue, "APUS_LAB_ACCELERATOR": accelerator]
        if way.prefix.contains("--user") { environment["APUS_LAB_USERNS"] = "1" }
        // A slow machine is known by the node that it installed; whoever set the variable knows better.
        if getenv(Deadline.patienceVariable) == nil, let seconds = InstalledNode(paths: paths).startSeconds {
            environment[Deadline.patienceVariable] = "\(Deadline.patience(startSeconds: seconds))"
        }
        return ChildProcess.Setup(
            command: way.prefix + [paths.apus] + arguments, environment: environment, inheritsOutput: true)
    }

    /// Sets the stage in the inner process, lets `body` play on it, and puts everything away; returns the exit status.
    static func playInside(_ name: String, paths: LabPaths, _ body: (Rehearsal) throws -> Void) -> Int32 {
        Interruption.install()
        let environment = ProcessInfo.processInfo.environment
        let kind = Network.Kind(rawValue: environment[networkVariable] ?? "") ?? .user
        let accelerator = environment["APUS_LAB_ACCELERATOR"] ?? Accelerator.software
        let rehearsal: Rehearsal
        do {
            rehearsal = try Rehearsal(name: name, paths: paths, network: kind, accelerator: accelerator)
        } catch {
            print("\(name): \(error)")
            return 1
        }
        defer { rehearsal.end() }
        do {
            try body(rehearsal)
            print((rehearsal.timeline.table() + rehearsal.closing).joined(separator: "\n"))
            flushOutput()
            return 0
        } catch {
            let lines = Diagnosis.lines(of: rehearsal, error: error)
            try? Files.write(lines.joined(separator: "\n") + "\n", to: rehearsal.directory + "/diagnosis.txt")
            print((lines + rehearsal.timeline.table() + rehearsal.closing).joined(separator: "\n"))
            flushOutput()
            return 1
        }
    }

    /// Builds the releases of scenarios beforehand, once the site is made, in a process of its own.
    public static func prepare(_ names: [String], paths: LabPaths) throws {
        Interruption.install()
        let site = Site(paths: paths, networkKind: .user)
        while try !site.isCurrent() {
            guard Waiting.rest(milliseconds: 2000) else { return }
        }
        for release in names.compactMap(Scenario.named).flatMap(\.releases) where !Interruption.isRequested {
            _ = try site.build(release) { _ in }
        }
    }

    /// Has `sfdisk`, `veritysetup` and others look at the disk and the boot entries that a scenario left behind.
    public static func inspect(_ name: String, sectorSizeBytes: Int, paths: LabPaths) throws {
        let directory = paths.scenario(name)
        let disk = try DiskInspection(
            qcowPath: directory + "/disk.qcow2", rawPath: directory + "/inspected.raw", sectorSizeBytes: sectorSizeBytes
        )
        defer { try? disk.discard() }
        try Soundness.check(disk, try NVRAM(path: directory + "/nvram.fd"))
    }

    /// Plays one scenario in the inner process; returns the exit status.
    public static func inside(_ name: String, paths: LabPaths) throws -> Int32 {
        guard let scenario = Scenario.named(name) else { throw LabError("there is no scenario '\(name)'") }
        return playInside(name, paths: paths, scenario.run)
    }
}

/// The scenarios under way and what became of the others.
private struct Crew {
    struct Running {
        var scenario: Scenario
        var process: ChildProcess
        var begun: Double
    }

    let paths: LabPaths
    let way: Isolation.Way
    let accelerator: String
    private var running: [Running] = []
    private var results: [(name: String, succeeded: Bool, seconds: Int)] = []
    private var isStopping = false

    init(paths: LabPaths, way: Isolation.Way, accelerator: String) {
        self.paths = paths
        self.way = way
        self.accelerator = accelerator
    }

    mutating func play(_ scenarios: [Scenario]) throws -> Int32 {
        var waiting = scenarios
        let builder = try builder(for: scenarios)
        defer { builder?.stop() }
        try provisionFirst(&waiting)
        while !waiting.isEmpty || !running.isEmpty {
            while running.count < width, !waiting.isEmpty, !isStopping { try start(waiting.removeFirst()) }
            if isStopping { waiting.removeAll() }
            collect()
        }
        finishGroups()
        if results.count > 1 { printSummary() }
        return results.allSatisfy(\.succeeded) && !isStopping ? 0 : 1
    }

    /// Plays `provision-pxe` before all that start from what it leaves, where that is missing or out of date.
    private mutating func provisionFirst(_ waiting: inout [Scenario]) throws {
        let site = Site(paths: paths, networkKind: way.network)
        let fingerprint = try site.fingerprint()
        let installed = InstalledNode(paths: paths)
        let isCurrent = installed.isCurrent(fingerprint, accelerator: accelerator)
        let isNeeded = waiting.contains(where: \.needsInstalledNode) && !isCurrent
        guard let first = Scenario.named("provision-pxe"),
            isNeeded || waiting.contains(where: { $0.name == first.name })
        else { return }
        waiting.removeAll { $0.name == first.name }
        try installed.forget()
        try start(first)
        // It keeps the node half-way; from there on the others can play beside it.
        var isReady = false
        while !running.isEmpty, !isReady {
            collect()
            isReady =
                try installed.isKept && installed.isCurrent(site.fingerprint(), accelerator: accelerator)
        }
        if !isReady {
            for scenario in waiting where scenario.needsInstalledNode { finish(scenario, succeeded: false, seconds: 0) }
            waiting.removeAll(where: \.needsInstalledNode)
        }
    }

    /// How many scenarios run at a time, where they have networks of their own: one for each processor, and one more,
    /// since each of them waits for watchdogs and deadlines at some time; as long as 3 GB of memory are free.
    private var width: Int {
        guard way.network == .namespace else { return 1 }
        let processors = min(sysconf(Int32(_SC_NPROCESSORS_ONLN)), 8)
        let meminfo = (try? Files.read("/proc/meminfo")) ?? ""
        let line = meminfo.split(separator: "\n").first { $0.hasPrefix("MemAvailable:") }
        let kibibytes = line?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        // What runs already has its share of the memory and is no longer counted as available.
        return running.isEmpty || kibibytes > 3 << 20 ? processors + 1 : running.count
    }

    /// Builds the releases that scenarios need while these play, out of their way.
    private func builder(for scenarios: [Scenario]) throws -> ChildProcess? {
        let names = scenarios.filter { !$0.releases.isEmpty }.map(\.name)
        guard !names.isEmpty else { return nil }
        let command = [
            "nice", paths.apus, "lab", "--project", paths.project, "--prepare", names.joined(separator: ","),
        ]
        return try ChildProcess(.init(command: command, logPath: paths.base + "/builder.log"))
    }

    private mutating func start(_ scenario: Scenario) throws {
        let setup = LabRunner.command(
            way, paths, ["lab", "--project", paths.project, "--inside", scenario.name], accelerator: accelerator)
        running.append(
            Running(scenario: scenario, process: try ChildProcess(setup), begun: LabClock.seconds))
    }

    private mutating func collect() {
        if !Waiting.rest(milliseconds: 100), !isStopping {
            isStopping = true
            for item in running { item.process.signal(SIGTERM) }
        }
        for item in running where !item.process.isRunning {
            finish(
                item.scenario, succeeded: item.process.exitCode == 0, seconds: Int(LabClock.seconds - item.begun))
        }
        running.removeAll { !$0.process.isRunning }
    }

    private mutating func finish(_ scenario: Scenario, succeeded: Bool, seconds: Int) {
        results.append((scenario.name, succeeded, seconds))
        print("RESULT \(scenario.name) \(succeeded ? "ok" : "failed") \(seconds)")
        flushOutput()
    }

    /// A group's result: all of its scenarios were played and passed.
    private func finishGroups() {
        for (group, members) in Scenario.groups.sorted(by: { $0.key < $1.key }) {
            let played = results.filter { members.contains($0.name) }
            guard played.count == members.count else { continue }
            let seconds = played.reduce(0) { $0 + $1.seconds }
            print("RESULT \(group) \(played.allSatisfy(\.succeeded) ? "ok" : "failed") \(seconds)")
        }
    }

    private func printSummary() {
        let failed = results.filter { !$0.succeeded }.map(\.name)
        print("\(results.count - failed.count) of \(results.count) scenarios passed")
        if !failed.isEmpty { print("failed: \(failed.joined(separator: ", ")); see .lab/NAME/diagnosis.txt") }
        flushOutput()
    }
}
