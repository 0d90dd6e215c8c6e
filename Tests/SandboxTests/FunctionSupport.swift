import Contract
import Cryptography
import Foundation
import Linux
import Synchronization
import Testing
import Workloads

@testable import Images
@testable import Sandbox

/// Units as child processes in control groups of their own, in place of systemd, which does not run here: they are
/// frozen and killed as a whole, as on a node.
final class GroupUnits: UnitManager {
    private struct Running {
        var status: UnitStatus
        var process: Int32
    }

    private let running = Mutex<[String: Running]>([:])
    private let runtimeRoot: String
    private let groups: String
    private let logs: String

    init(_ scratch: MountScratch, runtimeRoot: String) throws {
        self.runtimeRoot = runtimeRoot
        logs = scratch.path + "/logs"
        let hierarchy = scratch.path + "/groups"
        for path in [logs, hierarchy] { try Files.makeDirectory(path) }
        try Mounts.mount("none", on: hierarchy, type: "cgroup2")
        groups = "\(hierarchy)/apus-test-\(UUID().uuidString.prefix(8))"
        try Files.makeDirectory(groups)
    }

    private static let wrapper = [
        "unshare", "--mount", "--propagation", "private", "sh", "-c",
        #"mount -t cgroup2 none /sys/fs/cgroup && exec "$@""#, "sh",
    ]

    func group(_ name: String) -> String { "\(groups)/\(name)" }

    /// What a file of a unit's control group says.
    func read(_ name: String, _ file: String) -> String { (try? Files.readText("\(group(name))/\(file)")) ?? "" }

    var names: [String] { running.withLock { Array($0.keys) } }

    func units() throws -> [UnitStatus] {
        try running.withLock { running in
            for (name, unit) in running where unit.process > 0 {
                guard let ending = try Processes.wait(for: unit.process, block: false) else { continue }
                running[name]?.process = 0
                running[name]?.status.mainProcess = 0
                switch ending {
                // systemd forgets a transient unit that ended well.
                case .exited(0): running[name] = nil
                case .exited(let status): fail(&running, name, "exit-code", status)
                case .signalled(let signal): fail(&running, name, "signal", signal)
                case .timedOut: fail(&running, name, "timeout", 0)
                }
            }
            return running.values.map(\.status)
        }
    }

    private func fail(_ running: inout [String: Running], _ name: String, _ result: String, _ status: Int32) {
        running[name]?.status.activeState = "failed"
        running[name]?.status.result = result
        running[name]?.status.mainStatus = status
    }

    func limitSlice(_ properties: [UnitProperty]) throws {}

    func start(_ unit: SystemdUnit) throws {
        let words = unit.command.map { $0 == SystemdUnit.runtimeRoot ? runtimeRoot : $0 }
        let log = try OwnedDescriptor(opening: "\(logs)/\(unit.name)", [.write, .create, .append], mode: 0o600)
        try Files.makeDirectory(group(unit.name))
        let enter = ["sh", "-c", #"echo $$ >"$0" && exec "$@""#, "\(group(unit.name))/cgroup.procs"]
        let process = try Processes.spawn(
            "/usr/bin/env", enter + Self.wrapper + words, output: log.rawValue, error: log.rawValue)
        running.withLock {
            $0[unit.name] = Running(
                status: UnitStatus(name: unit.name, activeState: "active", subState: "running", mainProcess: process),
                process: process)
        }
    }

    func stop(_ name: String, graceMilliseconds: Int64) throws { try kill(name) }

    func kill(_ name: String) throws { try Files.overwrite("\(group(name))/cgroup.kill", with: "1") }

    func setFrozen(_ name: String, _ isFrozen: Bool) throws {
        try Files.overwrite("\(group(name))/cgroup.freeze", with: isFrozen ? "1" : "0")
    }

    func forget(_ name: String) throws {
        let isOver = running.withLock { running in
            guard running[name]?.process ?? 0 == 0 else { return false }
            running[name] = nil
            return true
        }
        guard isOver, name.contains("_") else { return }
        let container = String(name.dropFirst("apus-workload-".count).dropLast(".service".count))
        Tool.run(Self.wrapper + ["crun", "--root", runtimeRoot, "delete", "--force", container])
        try? FileManager.default.removeItem(atPath: "\(logs)/\(name)")
        _ = Tool.run(["rmdir", group(name)])
    }

    func inside(_ unit: UnitStatus, _ words: [String]) -> [String] { Self.wrapper + words }

    func killAll() {
        for name in names {
            try? kill(name)
            for _ in 0..<500 where read(name, "cgroup.events").contains("populated 1") { Clock.pause(milliseconds: 10) }
            _ = try? units()
            try? forget(name)
        }
        Tool.run(["sh", "-c", "rmdir \(groups)/*/ \(groups)"])
    }

    func log(_ name: String) -> String { (try? Files.readText("\(logs)/\(name)")) ?? "" }
}

/// A node that serves functions.
final class FunctionNode {
    let scratch: MountScratch
    let places: NodePlaces
    let units: GroupUnits
    let keeper: WorkloadKeeper
    let reports: Mailbox<WorkloadReports>
    let network: String
    private let written: Lines
    private var generation = 0

    /// Lines that threads add to.
    final class Lines: Sendable {
        let lines = Mutex<[String]>([])
    }

    init(image: any ImageFetcher = RuntimeImage()) throws {
        scratch = try MountScratch()
        places = NodePlaces(
            state: scratch.path + "/state", images: scratch.path + "/images", run: scratch.path + "/run")
        units = try GroupUnits(scratch, runtimeRoot: places.run + "/crun")
        let reports = try Mailbox<WorkloadReports>(limit: 65_536)
        self.reports = reports
        let written = Lines()
        self.written = written
        network = "\(places.run)/node-net"
        try Files.makeDirectory(places.run)
        try Files.writeDurably([], to: network)
        let made = Tool.run(["unshare", "--net=\(network)", "true"])
        try #require(made.status == 0, "\(made.output)")
        var effects = KeeperEffects(
            places: places, units: units, fetcher: image, mounter: PlainImages(),
            networkPrefix: ["nsenter", "--net=\(network)"], runtimeRoot: places.run + "/crun", loadProfile: { nil },
            report: { reports.post($0) }, tell: { line in written.lines.withLock { $0.append("told: " + line) } })
        effects.functionPort = 0
        effects.functionLog = { _, line in written.lines.withLock { $0.append(line) } }
        keeper = try WorkloadKeeper(effects, bootID: "one")
        try keeper.start()
    }

    /// What the platform wrote into logs, and told.
    var lines: [String] { written.lines.withLock { $0 } }

    /// Has the node run these functions, and waits until all are served.
    func run(_ documents: [String: String]) throws {
        let workloads = try documents.sorted { $0.key < $1.key }.map { name, more in
            try Fixture.workload(name, #", "kind": "function", "mem_limit": "128m""# + more)
        }
        try run(workloads)
    }

    /// Hands these to the node.
    func assign(_ workloads: [Workload]) throws {
        generation += 1
        keeper.assign(
            WorkloadAssignment(generation: generation, workloads: try workloads.map { try Fixture.assigned($0) }))
    }

    /// Has the node run these functions, and waits until all are served.
    func run(_ workloads: [Workload]) throws {
        try assign(workloads)
        let wanted = Set(try workloads.map { try Fixture.revision($0) })
        let deadline = Clock.bootMilliseconds() + 120_000
        while Clock.bootMilliseconds() < deadline {
            for message in reports.take(waitingMilliseconds: 1000) {
                let running = message.reports.filter { $0.phase == .running }.compactMap(\.revision)
                if message.generation == generation, Set(running) == wanted, message.reports.count == wanted.count,
                    keeper.functionPort != nil
                {
                    return
                }
            }
        }
        throw SandboxError("the functions are not served: \(lines)")
    }

    /// The newest report that fits.
    func wait(until fits: ([WorkloadReport]) -> Bool) throws {
        let deadline = Clock.bootMilliseconds() + 120_000
        while Clock.bootMilliseconds() < deadline {
            for message in reports.take(waitingMilliseconds: 1000) where fits(message.reports) { return }
        }
        throw SandboxError("no report came that fits: \(lines)")
    }

    func url(_ path: String) -> String { "http://127.0.0.1:\(keeper.functionPort ?? 0)\(path)" }

    /// Calls a function by curl: the status, and the rest of what it says.
    func call(_ path: String, _ options: [String] = []) -> (status: Int, text: String, exit: Int32) {
        let outcome = Tool.run(
            ["curl", "-s", "-m", "100", "-w", "\n%{http_code}"] + options + [url(path)], seconds: 120)
        var lines = outcome.output.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        let status = lines.popLast().flatMap { Int($0) } ?? 0
        return (status, lines.joined(separator: "\n"), outcome.status)
    }

    /// Units of instances that are there.
    var instances: [String] { units.names.filter { $0.contains("_") }.sorted() }

    /// Waits for something that comes by itself.
    func settle(_ isSo: () -> Bool) -> Bool {
        for _ in 0..<1200 {
            if isSo() { return true }
            Clock.pause(milliseconds: 50)
        }
        return false
    }

    deinit {
        keeper.assign(WorkloadAssignment(generation: generation + 1))
        _ = settle { (try? Files.list(places.bundles)) ?? [] == [] }
        units.killAll()
        if Files.isNamespace(network) { try? Mounts.unmount(network, lazily: true) }
    }
}
