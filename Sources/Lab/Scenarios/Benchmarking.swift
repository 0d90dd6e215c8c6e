import Contract
import FoundationEssentials
import Operator
import Release
import Workloads

/// The footprint of a node and of what it starts: measured on a released OS, printed as a table. `docs/benchmarks.md` says
/// what each figure counts.
enum Benchmarking {
    static let scenario = Scenario(
        "bench", "memory, disk, processes and times, each against its bar; not part of 'all'", needsInstalledNode: true,
        releases: [.handedOver]
    ) { try run($0) }

    /// How often each kind of start is timed, the first one left out; how often cold calls are.
    private static let rounds = (starts: 16, calls: 10)
    /// How long a machine has run before it is taken for idle, in seconds.
    private static let settledSeconds = 150

    private static func run(_ lab: Rehearsal) throws {
        try lab.installedMachine()
        let registry = Registry(directory: lab.directory + "/registry", paths: lab.paths, network: lab.network.kind)
        defer { registry.stop() }
        let slot = try lab.step("the machine starts a release that does what the lab says") {
            let release = try lab.upgrade(to: .handedOver)
            _ = try lab.waitForOutcome(.committed, of: release, within: 900)
            return try contents(of: lab.site.build(.handedOver, say: lab.timeline.say))
        }
        try lab.step("it starts again, and has nothing to do") { try startAgain(lab) }
        // Not before: a connection of an earlier start would be taken for the machine's.
        let hands = try LabHands(network: lab.network.kind)
        var readings = BenchReadings()
        var raw = ""
        func run(_ script: String, within seconds: Double) throws -> String {
            let said = try hands.run(script, within: seconds) { try lab.pump() }
            raw += said
            try Files.write(raw, to: lab.directory + "/readings.txt")
            readings.add(said)
            return said
        }
        let versions = try run(BenchScript.versions, within: 120)
        try lab.step("sizes of an idle node") {
            _ = try run(BenchScript.sizes("idle", uptimeSeconds: settledSeconds), within: 400)
        }
        try lab.step("a registry with an image") {
            try registry.start()
            try registry.pushBenchImage(program: lab.paths.out + "/lab/apus-bench")
            try lab.apus("registry", "set", Registry.name, "--mirror", Registry.mirror)
        }
        let names = (1...BenchFigures.containers).map { "sleeper-\($0)" }
        try lab.step("sizes with \(names.count) containers") {
            try lab.apply(BenchDocuments.containers(names))
            for name in names { try lab.waitUntilRunning(name, within: 600) }
            // What it takes to start them is over by then.
            _ = try run("sleep 30", within: 120)
            _ = try run(BenchScript.sizes("full", uptimeSeconds: 0), within: 400)
            for name in names { try lab.apus("workload", "delete", name, "--yes") }
            try expectEmpty(lab, try run(BenchScript.untilEmpty, within: 400))
        }
        try lab.step("starts of a container, by turns") {
            try lab.apply(BenchDocuments.container("bench"))
            let seen = try lab.waitUntilRunning("bench", within: 300)
            let order = try order(lab, seen)
            // Half a minute a round is far more than it takes.
            _ = try run(
                BenchScript.starts(order: order, rounds: rounds.starts), within: 30 * Double(rounds.starts))
            try lab.apus("workload", "delete", "bench", "--yes")
            try expectEmpty(lab, try run(BenchScript.untilEmpty, within: 400))
        }
        try lab.step("calls of functions") {
            for (name, idle) in [("bench-cold", "1s"), ("bench-warm", "10m")] {
                try lab.apply(BenchDocuments.function(name, idle: idle))
                try lab.waitUntilRunning(name, within: 300)
            }
            _ = try run(BenchScript.calls(rounds: rounds.calls), within: 60 * Double(rounds.calls))
        }
        try conclude(lab, BenchFigures(readings: readings, slot: slot), versions: versions)
    }

    private static func startAgain(_ lab: Rehearsal) throws {
        let last = try lab.node().status?.bootID
        try lab.switchOffNode()
        try lab.machine.start()
        try lab.waitForStatus("the system after a cold start", within: 400) {
            $0.bootID != last && $0.phase == .steady
        }
    }

    private static func expectEmpty(_ lab: Rehearsal, _ said: String) throws {
        try lab.expect(said.contains("empty"), "nothing of the workloads is left on the node")
    }

    /// The agent's order for the workload `bench`.
    private static func order(_ lab: Rehearsal, _ seen: Rehearsal.WorkloadSeen) throws -> [String] {
        let document = try lab.apus("workload", "show", "bench", "--document")
        guard let revision = seen.revision.flatMap({ Digest256(hex: $0) }) else {
            throw LabError("the node names no revision of 'bench'")
        }
        return try BenchDocuments.order(Workload(parsing: Array(document.utf8)), revision: revision)
    }

    private static func contents(of release: BuiltRelease) throws -> BenchFigures.SlotContents {
        let envelope = try SignedEnvelope(parsing: Array(try Files.read(release.directory + "/manifest.json").utf8))
        let manifest = try Manifest(validating: envelope.signed)
        return BenchFigures.SlotContents(
            rootBytes: manifest.root.blocks * 4096, treeBytes: manifest.root.treeBytes,
            kernelBytes: manifest.uki.bytes)
    }

    /// Prints and keeps the table. A bar that is missed is marked and fails nothing: emulated processors and busy machines
    /// stretch times. What could not be measured does.
    private static func conclude(_ lab: Rehearsal, _ figures: BenchFigures, versions: String) throws {
        let all = figures.all
        let spec = lab.machine.spec
        let machine =
            "one machine with \(spec.memoryMiB) MiB and \(spec.processors) processor(s), "
            + (spec.accelerator.hasPrefix("kvm") ? "KVM" : "emulated")
        let lines =
            [machine + "; " + versions.split(whereSeparator: \.isNewline).joined(separator: " "), ""]
            + BenchTable.lines(all)
        try Files.write(lines.joined(separator: "\n") + "\n", to: lab.directory + "/table.txt")
        lab.closing = lines
        let unknown = BenchFigures.unknown(all)
        guard unknown.isEmpty else { throw LabError("could not be measured: \(unknown.joined(separator: ", "))") }
    }
}
