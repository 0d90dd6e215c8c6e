import Contract
import Foundation
import Linux
import Synchronization
import TestSupport
import Testing
import Workloads

@testable import Sandbox

/// A node with a real runtime, real namespaces, rules and mounts; child processes stand in for systemd's units.
final class TestNode {
    let scratch: MountScratch
    let places: NodePlaces
    let units: ProcessUnits
    let reports: Mailbox<WorkloadReports>
    let told = Mutex<[String]>([])
    private(set) var keeper: WorkloadKeeper?
    private(set) var effects: KeeperEffects?
    let network: String
    /// Who the node asks for names.
    var serverFile: String { scratch.path + "/resolv.conf" }

    init(_ scratch: MountScratch, run: String = "run") throws {
        self.scratch = scratch
        places = NodePlaces(
            state: scratch.path + "/state", images: scratch.path + "/images", run: scratch.path + "/" + run)
        try Files.makeDirectory(scratch.path + "/logs")
        units = ProcessUnits(runtimeRoot: places.run + "/crun", logs: scratch.path + "/logs")
        reports = try Mailbox(limit: 4096)
        network = "\(places.run)/node-net"
        try Files.makeDirectory(places.run)
        try Files.writeDurably([], to: network)
        let made = Tool.run(["unshare", "--net=\(network)", "true"])
        try #require(made.status == 0, "\(made.output)")
    }

    func start(
        bootID: String, fetcher: any ImageFetcher = BusyboxFetcher(), machineHost: MachineHost? = nil
    ) throws -> WorkloadKeeper {
        let reports = reports
        var effects = KeeperEffects(
            places: places, units: units, fetcher: fetcher, mounter: PlainImages(),
            networkPrefix: ["nsenter", "--net=\(network)"], networkNamespace: network,
            runtimeRoot: places.run + "/crun", loadProfile: { nil },
            report: { reports.post($0) }, tell: { _ in })
        effects.serverFiles = [serverFile]
        if let machineHost { effects.machineHost = { machineHost } }
        self.effects = effects
        let keeper = try WorkloadKeeper(effects, bootID: bootID)
        try keeper.start()
        self.keeper = keeper
        return keeper
    }

    /// Waits for reports until one of them fits; the newest of the workload is given back.
    func wait(_ name: String, until fits: (WorkloadReport) -> Bool) throws -> WorkloadReport {
        let deadline = Clock.bootMilliseconds() + 120_000
        var last: WorkloadReport?
        while Clock.bootMilliseconds() < deadline {
            for message in reports.take(waitingMilliseconds: 1000) {
                guard let report = message.reports.first(where: { $0.name.rawValue == name }) else { continue }
                last = report
                if fits(report) { return report }
            }
        }
        throw SandboxError("'\(name)' did not get there; the last report is \(last.map { "\($0)" } ?? "none")")
    }

    /// Waits until the keeper reports no workload at all.
    func waitForNothing() throws {
        let deadline = Clock.bootMilliseconds() + 120_000
        while Clock.bootMilliseconds() < deadline {
            if reports.take(waitingMilliseconds: 1000).contains(where: { $0.reports.isEmpty }) { return }
            if Files.exists(places.bundles), (try? Files.list(places.bundles)) == [] { return }
        }
        throw SandboxError("workloads are still there")
    }

    /// What the workload's server answers the node; nothing where it does not.
    func get(_ address: String) -> String {
        let ask = "exec 3<>/dev/tcp/\(address)/8080; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3"
        return Tool.run(["timeout", "5", "nsenter", "--net=\(network)", "bash", "-c", ask]).output
    }

    deinit {
        keeper?.stopAll(withinSeconds: 20)
        units.killAll()
        if Files.isNamespace(network) { try? Mounts.unmount(network, lazily: true) }
    }
}

@Suite(
    .enabled(if: Tool.obstacle == nil, "no container can be run here: \(Tool.obstacle ?? "")"), .serialized, .ownThreads
)
struct Keeping {
    static let server = """
        , "command": ["/bin/busybox", "sh", "-c", "/bin/busybox httpd -p 8080 -h /www; \
        trap 'exit 0' TERM; echo up; while :; do /bin/busybox usleep 50000; done"]
        """
    static let check =
        #", "healthcheck": {"http": {"port": 8080, "path": "/"}, "interval": "200ms", "start_interval": "100ms"}"#
    static let rest = #", "ports": ["18080:8080"], "secrets": ["key"], "stop_grace_period": "5s""#

    static func assignment(_ generation: Int, _ workloads: [Workload]) throws -> WorkloadAssignment {
        WorkloadAssignment(
            generation: generation,
            workloads: try workloads.map { try Fixture.assigned($0, secrets: ["key": "hunter2"]) })
    }

    /// From an assignment to a healthy process, a revision that fails, a new start of the agent, and the end.
    @Test func aWorkloadRunsIsHealthySurvivesABadRevisionAndIsTakenAwayWhole() throws {
        let scratch = try MountScratch()
        let node = try TestNode(scratch)
        let keeper = try node.start(bootID: "one")
        let good = try Fixture.workload("web", Self.server + Self.check + Self.rest)
        let goodRevision = try Fixture.revision(good)
        keeper.assign(try Self.assignment(1, [good]))
        let report = try node.wait("web") { $0.phase == .running }
        #expect(report.revision == goodRevision)
        #expect(node.get("100.127.0.3").contains("hello"))
        let bundle = try #require(BundleRecord.all(in: node.places).values.first)
        #expect(bundle.holdsPorts && bundle.wire == 1)
        let secret = try #require(try Files.list(node.places.secretFiles).first)
        let file = "\(node.places.secretFiles)/\(secret)/0"
        #expect(try Files.readText(file) == "hunter2")
        #expect(Files.status(file)?.owner == IDRangePlanner.firstRange)

        // A revision that ends at once fails, and the one before goes on.
        let bad = try Fixture.workload(
            "web", #", "command": ["/bin/busybox", "false"], "restart": "no""# + Self.rest)
        keeper.assign(try Self.assignment(2, [bad]))
        let kept = try node.wait("web") { $0.phase == .running && $0.reason.contains("failed") }
        #expect(kept.revision == goodRevision)
        #expect(node.get("100.127.0.3").contains("hello"))
        let ending = "-\("\(goodRevision)".prefix(12)).service"
        let starts = node.units.starts.withLock { names in names.count { $0.hasSuffix(ending) } }
        #expect(starts == 1)

        keeper.assign(WorkloadAssignment(generation: 3))
        try node.waitForNothing()
        #expect(scratch.mounts.filter { !$0.hasSuffix("node-net") }.isEmpty, "\(scratch.mounts)")
        #expect(!node.get("100.127.0.3").contains("hello"))
        #expect(
            Tool.run(["nsenter", "--net=\(node.network)", "nft", "list", "tables"]).output.contains("apus_w") == false)
    }

    @Test func withoutServerAndRegistryWhatRanBeforeRunsAgainAfterARestart() throws {
        let scratch = try MountScratch()
        let workload = try Fixture.workload("web", Self.server + Self.check + Self.rest)
        do {
            let node = try TestNode(scratch)
            let keeper = try node.start(bootID: "one")
            keeper.assign(try Self.assignment(1, [workload]))
            _ = try node.wait("web") { $0.phase == .running }
            keeper.stopAll(withinSeconds: 30)
            let left = try node.units.units()
            #expect(left.isEmpty, "it was stopped gracefully")
        }
        // Memory is empty after a restart; the disk is not.
        let node = try TestNode(scratch, run: "run2")
        let keeper = try node.start(bootID: "two", fetcher: BusyboxFetcher(refusal: "the registry is away"))
        _ = try node.wait("web") { $0.phase == .running }
        #expect(keeper.generation == 1)
        #expect(node.get("100.127.0.3").contains("hello"))
    }

    @Test func theHealthGateKnowsWhatRanBeforeAndDoesNotYetRun() throws {
        let scratch = try MountScratch()
        let places = NodePlaces(state: scratch.path + "/state", images: scratch.path + "/images", run: scratch.path)
        let store = AssignmentStore(places: places)
        let workload = try Fixture.workload("web", Self.server)
        try store.save(try Self.assignment(1, [workload]), keeping: [:])
        var memory = KeeperMemory()
        memory.began(bootID: "one")
        memory.running = [workload.name]
        try store.save(memory)
        let effects = KeeperEffects(
            places: places, units: ProcessUnits(runtimeRoot: scratch.path, logs: scratch.path),
            fetcher: BusyboxFetcher(refusal: "the registry is away"), mounter: PlainImages(), loadProfile: { nil },
            report: { _ in }, tell: { _ in })
        let core = try KeeperCore(effects, bootID: "two")
        _ = core.step()
        core.pulled(try #require(Digest256(hex: Fixture.imageDigest)), .failed("the registry is away"))
        _ = core.step()
        #expect(core.missing()[workload.name]?.contains("the registry is away") == true, "\(core.missing())")
        // What an operator stopped is not awaited.
        try core.accept(
            WorkloadAssignment(generation: 2, workloads: [try Fixture.assigned(workload, isStopped: true)]))
        #expect(core.missing().isEmpty)
    }

    @Test func imagesAreFetchedOneAfterTheOtherAndWhatIsRefusedDoesNotHoldUpTheNext() throws {
        let scratch = try MountScratch()
        let places = NodePlaces(state: scratch.path + "/state", images: scratch.path + "/images", run: scratch.path)
        let turnstile = Turnstile()
        let mailbox = try Mailbox<KeeperMessage>(limit: 64)
        var effects = KeeperEffects(
            places: places, units: ProcessUnits(runtimeRoot: scratch.path, logs: scratch.path), fetcher: turnstile,
            mounter: PlainImages(), loadProfile: { nil }, report: { _ in }, tell: { _ in })
        effects.post = { mailbox.post($0) }
        let core = try KeeperCore(effects, bootID: "one")
        let digests = ["a", "b", "c", "d"].map { String(repeating: $0 + "1", count: 32) }
        let workloads = try digests.enumerated().map { number, digest in
            try Workload(
                parsing: Array(#"{"name": "w\#(number)", "image": "registry.example/app@sha256:\#(digest)"}"#.utf8))
        }
        try core.accept(try Self.assignment(1, workloads))
        _ = core.step()
        for _ in digests {
            for case .pulled(let digest, let failure) in mailbox.take(waitingMilliseconds: 20_000) {
                core.pulled(digest, failure)
            }
        }
        #expect(turnstile.seen.withLock { $0.most } == 1)
        #expect(turnstile.seen.withLock { $0.references.count } == digests.count)
        #expect(core.pulls.values.allSatisfy { $0 == .refused("it is a picture of a cat") })
    }

    @Test func whatAKernelOrServerLacksIsAClearReasonAndNoCrash() throws {
        let scratch = try MountScratch()
        let node = try TestNode(scratch)
        let keeper = try node.start(bootID: "one")
        let secretless = try Fixture.workload("secretless", Self.server + #", "secrets": ["nothing"]"#)
        let user = try Fixture.workload("user", Self.server + #", "user": "nobody-here""#)
        let base = "registry.example/base@sha256:\(Fixture.imageDigest)"
        let zip = try Fixture.workload("zip", #", "kind": "function", "function": {"base_image": "\#(base)"}"#)
        let ports = try Fixture.workload("ports", #", "kind": "function", "ports": ["80:80"]"#)
        keeper.assign(try Self.assignment(1, [secretless, user, zip, ports]))
        #expect(try node.wait("secretless") { $0.phase == .failed }.reason.contains("apus secret set nothing"))
        #expect(try node.wait("zip") { $0.phase == .failed }.reason.contains("'image' is no zip"))
        #expect(try node.wait("ports") { $0.phase == .failed }.reason.contains("a function has no ports"))
        #expect(try node.wait("user") { $0.phase == .failed }.reason.contains("no user 'nobody-here'"))
    }

    /// The file that it reads, the resolver that it asks, and the rules that let it go on.
    @Test func aWorkloadConnectsToANameOnceItHasLookedItUp() throws {
        let scratch = try MountScratch()
        let node = try TestNode(scratch)
        let town = try Town(
            beside: node.network, at: "\(node.places.run)/town-net",
            ["api.example.com": .answer([.address("api.example.com", [203, 0, 113, 7])])])
        defer { town.close() }
        try Files.writeDurably(Array("nameserver 192.0.2.53\n".utf8), to: node.serverFile)
        let keeper = try node.start(bootID: "one")
        let script = """
            b=/bin/busybox; connect() { $b nc -w 2 203.0.113.7 443 </dev/null && echo $1 open || echo $1 closed; }; \
            connect first; $b nslookup evil.test; $b nslookup api.example.com; connect then; echo the end; \
            trap 'exit 0' TERM; while :; do $b usleep 50000; done
            """
        let workload = try Fixture.workload(
            "named",
            #", "command": ["/bin/busybox", "sh", "-c", "\#(script)"]"#
                + #", "egress": [{"to": "api.example.com", "ports": [443]}]"#)
        keeper.assign(try Self.assignment(1, [workload]))
        _ = try node.wait("named") { $0.phase == .running }
        let unit = SystemdUnit.name(workload.name, try Fixture.revision(workload))
        let deadline = Clock.bootMilliseconds() + 120_000
        while Clock.bootMilliseconds() < deadline, !node.units.log(unit).contains("the end") {
            Clock.pause(milliseconds: 100)
        }
        let log = node.units.log(unit)
        for line in ["first closed", "NXDOMAIN", "203.0.113.7", "then open"] { #expect(log.contains(line), "\(log)") }
        #expect(Set(town.questions) == ["api.example.com 1 udp", "api.example.com 28 udp"])
        keeper.assign(WorkloadAssignment(generation: 2))
        try node.waitForNothing()
    }

    /// A command's output, input, status and terminal.
    static func converse(with node: TestNode) throws {
        let streams = WorkloadStreams(try #require(node.effects))
        func run(_ script: String, input: String = "", tty: Bool = false) throws -> (text: String, last: StreamFrame?) {
            let process = try streams.start(
                StreamRequest(
                    id: "s", workload: "web", kind: .exec, command: ["/bin/busybox", "sh", "-c", script], tty: tty))
            #expect(process.write(Array(input.utf8)))
            process.closeInput()
            var text = ""
            let deadline = Clock.bootMilliseconds() + 120_000
            while Clock.bootMilliseconds() < deadline {
                let frame = WorkloadStreams.frame(try process.read(waitingMilliseconds: 1000))
                if frame.kind == .output { text += String(decoding: frame.bytes, as: UTF8.self) }
                if frame.kind == .exit { return (text, frame) }
            }
            return (text, nil)
        }
        let said = try run("/bin/busybox cat; exit 7", input: "good morning\n")
        #expect(said.text == "good morning\n" && said.last?.exitStatus == 7)
        let terminal = try run("test -t 1 && echo 'it is a terminal'", tty: true)
        #expect(terminal.text.contains("it is a terminal"), "\(terminal)")
        // A command has the posture of the workload's own process.
        let posture = try run("/bin/busybox grep NoNewPrivs /proc/self/status; ulimit -n; ulimit -l; ulimit -c")
        #expect(posture.text.split(whereSeparator: \.isWhitespace) == ["NoNewPrivs:", "1", "256", "64", "0"])
        #expect(throws: SandboxError.self) {
            try streams.start(StreamRequest(id: "s", workload: "other", kind: .exec, command: ["/bin/sh"]))
        }
    }

    @Test func anExecCheckRunsInsideTheWorkload() throws {
        let scratch = try MountScratch()
        let node = try TestNode(scratch)
        let keeper = try node.start(bootID: "one")
        let check =
            #", "healthcheck": {"test": ["CMD", "/bin/busybox", "test", "-e", "/www/index.html"], "#
            + #""interval": "200ms", "start_interval": "100ms", "timeout": "20s"}"#
        keeper.assign(try Self.assignment(1, [try Fixture.workload("web", Self.server + check)]))
        _ = try node.wait("web") { $0.phase == .running }
        try Self.converse(with: node)
        // Nothing is there, and a TCP check in the runtime's own namespace says so.
        let closed =
            #", "exposed_ports": [9], "healthcheck": {"tcp": {"port": 9}, "interval": "100ms", "retries": 1, "start_interval": "100ms"}"#
        keeper.assign(try Self.assignment(2, [try Fixture.workload("web", Self.server + closed)]))
        let report = try node.wait("web") { $0.reason.contains("port 9") }
        #expect(report.phase == .failed || report.phase == .running)
    }
}

/// Refuses every image, and counts how many are fetched at once.
private final class Turnstile: ImageFetcher {
    let seen = Mutex<(now: Int, most: Int, references: Set<String>)>((0, 0, []))

    func fetch(_ request: ImagePullRequest) throws {
        seen.withLock { seen in
            seen.now += 1
            seen.most = max(seen.most, seen.now)
            seen.references.insert(request.reference)
        }
        Clock.pause(milliseconds: 50)
        seen.withLock { $0.now -= 1 }
        throw SandboxError("it is a picture of a cat", isPermanent: true)
    }
}
