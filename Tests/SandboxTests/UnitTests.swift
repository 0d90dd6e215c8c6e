import Contract
import Foundation
import Linux
import Testing
import Workloads

@testable import Images
@testable import Sandbox
@testable import Workloads

/// What systemd says, as facts for the planner.
struct Units {
    static let show = """
        Id=apus-workload-web-abababababab.service
        LoadState=loaded
        ActiveState=active
        SubState=running
        Result=success
        ExecMainStatus=0
        NRestarts=2
        MainPID=812
        ActiveEnterTimestampMonotonic=5000000
        StateChangeTimestampMonotonic=5000000
        ControlGroup=/apus.slice/apus-workloads.slice/apus-workload-web-abababababab.service
        Job=0

        Id=apus-workload-db-cdcdcdcdcdcd.service
        LoadState=loaded
        ActiveState=failed
        SubState=failed
        Result=oom-kill
        ExecMainStatus=9
        NRestarts=11
        MainPID=0
        ControlGroup=

        Id=ssh.service
        LoadState=loaded
        ActiveState=active

        Id=apus-workload-gone-cdcdcdcdcdcd.service
        LoadState=not-found
        ActiveState=inactive
        """

    @Test func theOutputOfSystemctlIsReadAndWhatIsNotOursLeftOut() {
        let units = UnitListing.parse(Self.show)
        #expect(units.map(\.name).count == 2)
        #expect(units.first?.restarts == 2 && units.first?.mainProcess == 812)
        #expect(units.first?.activeSinceMicroseconds == 5_000_000 && units.first?.hasJob == false)
        #expect(units.last?.activeState == "failed" && units.last?.result == "oom-kill")
        #expect(UnitListing.parse("").isEmpty && UnitListing.parse("\n\n=\nx\n").isEmpty)
        #expect(
            UnitListing.parse("Id=apus-workload-a.service\nLoadState=loaded\nActiveState=active\nNRestarts=x").count
                == 1)
    }

    static func record(_ launch: BundleRecord.Launch.State?) throws -> BundleRecord {
        let name = try #require(WorkloadName("web"))
        let digest = try #require(Digest256(hex: Fixture.imageDigest))
        return BundleRecord(
            workload: name, revision: digest, image: digest,
            launch: launch.map { BundleRecord.Launch(state: $0, sinceMilliseconds: 7000) })
    }

    static func phase(
        _ launch: BundleRecord.Launch.State?, _ active: String?, _ sub: String = "", result: String = "success",
        hasJob: Bool = false
    ) throws -> InstanceFacts.Phase? {
        let unit = active.map {
            UnitStatus(
                name: "u", activeState: $0, subState: sub, result: result, mainStatus: 3,
                activeSinceMicroseconds: 4_000_000, changedMicroseconds: 5_000_000, hasJob: hasJob)
        }
        return try record(launch).facts(
            unit, health: .unknown, now: (bootMilliseconds: 110_000, monotonicMicroseconds: 10_000_000)
        ) { "a disk" }?.phase
    }

    @Test func aUnitsStateAndWhatTheAgentDidMakeAPhase() throws {
        #expect(try Self.phase(.started, "active", "running") == .running(sinceMilliseconds: 104_000))
        #expect(try Self.phase(.started, "activating", "auto-restart") == .restarting)
        #expect(try Self.phase(.started, "deactivating", "stop-post") == .restarting)
        #expect(try Self.phase(.started, "failed", result: "exit-code") == .ended(failure: "it ended with status 3"))
        // systemd forgets what ended well, or was stopped.
        #expect(try Self.phase(.started, nil) == .ended(failure: nil))
        #expect(try Self.phase(.stopping, nil) == .stopped)
        #expect(try Self.phase(.stopping, "failed", result: "signal") == .stopped)
        #expect(
            try Self.phase(.stopping, "deactivating", "stop-sigterm")
                == .stopping(sinceMilliseconds: 7000, waitingFor: "a disk"))
        // A crash of the agent between asking systemd and its answer is no start; nor is a queued one an end.
        #expect(try Self.phase(.starting, nil) == nil)
        #expect(try Self.phase(nil, nil) == nil)
        #expect(try Self.phase(.started, "inactive", hasJob: true) == .running(sinceMilliseconds: 110_000))
    }

    @Test func aCommandInsideAUnitMovesIntoItsControlGroupFirst() {
        let unit = UnitStatus(name: "u", activeState: "active", controlGroup: "/a.slice/u.service")
        let words = SystemdUnits().inside(unit, ["crun", "exec", "x"])
        #expect(words.suffix(3) == ["crun", "exec", "x"])
        #expect(words.contains("/sys/fs/cgroup/a.slice/u.service/cgroup.procs"))
        #expect(SystemdUnits().inside(UnitStatus(name: "u", activeState: "active"), ["x"]) == ["x"])
    }

    @Test func theProgramThatFetchesHasNoRightsAndNoSecretAmongItsArguments() throws {
        let words = SystemdFetcher.arguments(program: "/usr/lib/apus/apus-agent", directory: "/var/lib/apus-images")
        for property in ["DynamicUser=yes", "CapabilityBoundingSet=", "MemoryMax=512M", "StateDirectory=apus-images"] {
            #expect(words.contains("--property=\(property)"))
        }
        #expect(words.suffix(2) == ["/usr/lib/apus/apus-agent", "image-pull"])
        let secret = try #require(SecretValue(bytes: Array("hunter2".utf8)))
        let request = ImagePullRequest(
            directory: "/d", reference: "r.example/a@sha256:\(Fixture.imageDigest)",
            account: RegistryAccount(host: "r.example", username: "u", password: secret, caPEM: "x"))
        #expect(!"\(request)".contains("hunter2") && Mirror(reflecting: request).children.isEmpty)
        let back = try Wire.decode(ImagePullRequest.self, from: try Wire.encode(request))
        #expect(back == request)
        let book = try ImagePullProgram.book(
            for: try ImageReference(parsing: request.reference),
            account: RegistryAccount(host: "r.example", mirror: "http://mirror:5000", password: secret, caPEM: "x"))
        #expect(book.registries["r.example"]?.mirrors.first?.allowsPlainHTTP == true)
        #expect(book.registries["r.example"]?.mirrors.first?.credentials == nil)
        #expect(book.registries["r.example"]?.origin?.allowsPlainHTTP == false)
    }

    @Test func whatTheFetchingProgramSaysIsBelievedOnlyAsAWhole() throws {
        func program(_ script: String) throws -> Processes.Outcome {
            try Processes.run("/bin/sh", ["-c", script], timeoutSeconds: 60)
        }
        let refused = try program(#"printf '{"failure": "the registry\\nis away", "isRefused": false}'; exit 1"#)
        #expect(throws: SandboxError("the registry is away")) { try SystemdFetcher.judge(refused) }
        let final = try program(#"printf '{"failure": "layer 1 is refused", "isRefused": true}'; exit 1"#)
        #expect(throws: SandboxError("layer 1 is refused", isPermanent: true)) { try SystemdFetcher.judge(final) }
        let killed = try program("kill -9 $$")
        #expect(throws: SandboxError("fetching was ended by signal 9")) { try SystemdFetcher.judge(killed) }
    }

    @Test func aLogIsWhatTheUnitsProcessesWrote() {
        #expect(
            WorkloadStreams.journal(units: ["a.service", "b.service"], lines: 5, follows: true) == [
                "--no-pager", "--quiet", "--output=cat", "--lines=5", "--follow", "_SYSTEMD_UNIT=a.service",
                "_SYSTEMD_UNIT=b.service",
            ])
        #expect(WorkloadStreams.journal(units: [], lines: nil, follows: false).contains("--lines=all"))
        #expect(WorkloadStreams.journal(units: [], lines: -1, follows: false).contains("--lines=0"))
    }

    @Test func aCommandForATerminalIsQuotedForItsShell() throws {
        let words = WorkloadStreams.withTerminal(["printf", "%s|", "it's", "$(id)", "a b", ""])
        let line = try #require(words.dropLast().last)
        let said = try Processes.run("/bin/sh", ["-c", line], timeoutSeconds: 60)
        #expect(String(decoding: said.output, as: UTF8.self) == "it's|$(id)|a b||")
    }

    @Test func whatAStuckProcessWaitsForIsTold() throws {
        let scratch = try MountScratch()
        for (path, text) in [
            ("sys/fs/cgroup/u/cgroup.procs", "7\n8\n"), ("proc/7/stat", "7 (a b) c) S 1 1"),
            ("proc/8/stat", "8 (dd) D 1 1"), ("proc/8/wchan", "io_schedule"),
        ] {
            try Files.makeDirectory(Files.parent(of: scratch.path + "/" + path))
            try Files.writeDurably(Array(text.utf8), to: scratch.path + "/" + path)
        }
        #expect(
            WaitChannel.describe(controlGroup: "/u", root: scratch.path + "/")
                == "process 8 'dd' in state D in io_schedule and 1 others")
        #expect(WaitChannel.describe(controlGroup: "", root: scratch.path + "/") == nil)
    }

    @Test func usersAreLookedUpInTheImageAndNowhereElse() throws {
        let scratch = try MountScratch()
        try Files.makeDirectory(scratch.path + "/etc")
        try Files.writeDurably(
            Array("root:x:0:0::/:/bin/sh\napp:x:1000:1001::/:/bin/sh\n".utf8), to: scratch.path + "/etc/passwd")
        try Files.writeDurably(Array("web:x:33:app\n".utf8), to: scratch.path + "/etc/group")
        #expect(try ImageUsers.find("", in: scratch.path) == SandboxUser())
        #expect(try ImageUsers.find("app", in: scratch.path) == SandboxUser(uid: 1000, gid: 1001, groups: [33]))
        #expect(try ImageUsers.find("5:web", in: scratch.path) == SandboxUser(uid: 5, gid: 33))
        #expect(throws: SandboxError.self) { try ImageUsers.find("nobody", in: scratch.path) }
        // A link in the image does not lead to the node's own files.
        try Files.remove(scratch.path + "/etc/passwd")
        try Files.link(scratch.path + "/etc/passwd", to: "../../../../../etc/passwd")
        #expect(throws: SandboxError.self) { try ImageUsers.find("daemon", in: scratch.path) }
    }
}
