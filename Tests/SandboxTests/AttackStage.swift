import Contract
import Foundation
import Lab
import Linux
import TestSupport
import Testing
import Workloads

@testable import Sandbox

/// Where rows of the battery are played without a machine of their own: the plan of the agent's planner, the real runtime,
/// and control groups that hold the unit's limits, as systemd would make them.
final class AttackStage {
    private let scratch: Scratch
    private let input: SandboxInput
    /// The network that containers enter; an empty one of their own without.
    var networkNamespace: String?
    /// The numbers of capabilities that this machine can give.
    let capabilities: [String]

    /// Why nothing can be played here; nil where it can.
    static let obstacle: String? = {
        if let obstacle = Tool.obstacle { return obstacle }
        guard FileManager.default.isExecutableFile(atPath: program) else { return "'\(program)' is not built" }
        let probe = "base=/sys/fs/cgroup\n\(groups)\nmake apus-attack-probe && remove apus-attack-probe"
        return Tool.run(["sh", "-c", probe]).status == 0 ? nil : "control groups cannot be made"
    }()

    /// `apus-attack`, beside the tests.
    static let program: String = {
        let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        return URL(fileURLWithPath: own).deletingLastPathComponent().appendingPathComponent("apus-attack").path
    }()

    /// Shell functions that make a control group with a unit's limits, in either version of the hierarchy, below `$base`.
    static let groups = #"""
        each() {
            if [ -d $base/pids ]; then for c in pids memory cpu; do "$@" $base/$c; done; else "$@" $base; fi
        }
        make_in() { mkdir "$2/$1"; }
        make() { each make_in "$1"; }
        remove_in() {
            for i in 1 2 3 4 5 6 7 8 9 10; do rmdir "$2/$1" 2>/dev/null && return 0; sleep 0.1; done
            [ ! -d "$2/$1" ]
        }
        remove() { each remove_in "$1"; }
        enter_in() { echo $$ >"$2/$1/cgroup.procs"; }
        enter() { each enter_in "$1"; }
        put() { if [ -e "$1" ]; then echo "$2" >"$1"; fi; }
        limit() {
            case $2 in
                MemoryMax)
                    put $base/memory/$1/memory.limit_in_bytes $3
                    put $base/$1/memory.max $3
                    put $base/$1/memory.swap.max 0
                    put $base/$1/memory.oom.group 1 ;;
                TasksMax)
                    case $3 in infinity) set -- $1 $2 max ;; esac
                    put $base/pids/$1/pids.max $3
                    put $base/$1/pids.max $3 ;;
                CPUQuota)
                    put $base/cpu/$1/cpu.cfs_quota_us $((${3%?} * 1000))
                    put $base/$1/cpu.max $((${3%?} * 1000)) ;;
            esac
        }

        """#

    init() throws {
        scratch = try Scratch(permissions: 0o755)
        let digest = String(repeating: "ab", count: 32)
        let document = AttackDocuments.attacker(image: "registry.example/attack@sha256:\(digest)")
        let workload = try Workload(parsing: Array(document.utf8))
        let revision = try Fixture.revision(workload)
        var paths = SandboxPaths(workload: workload.name, revision: revision)
        paths.bundle = scratch.path
        paths.root = "\(scratch.path)/rootfs"
        paths.volumes = "\(scratch.path)/volumes"
        paths.names = "\(scratch.path)/names"
        input = SandboxInput(
            workload: workload, revision: revision, policy: NodePolicy(),
            ids: try #require(IDRange(first: IDRangePlanner.firstRange)), paths: paths, appArmorProfile: nil)
        let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
        let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("CapEff:") })
        let held = try #require(UInt64(line.split(whereSeparator: \.isWhitespace).last ?? "", radix: 16))
        capabilities = LinuxCapability.names.enumerated().filter { held >> $0.offset & 1 == 1 }.map(\.element)
        try prepare()
    }

    /// The root, as the image and the agent make it: all of it belongs to the workload's own root.
    private func prepare() throws {
        let first = IDRangePlanner.firstRange
        let made = Tool.run([
            "sh", "-ec",
            """
            cd \(scratch.path)
            mkdir -p rootfs/bin rootfs/proc rootfs/sys rootfs/dev rootfs/etc rootfs/data rootfs/scratch volumes/data names
            for name in hosts hostname resolv.conf; do echo 127.0.0.1 localhost >names/$name; : >rootfs/etc/$name; done
            cp \(Self.program) rootfs/bin/apus-attack
            cp $(command -v busybox) rootfs/bin/busybox
            ldd \(Self.program) | grep -o '/[^ )]*' | sort -u | while read -r library; do
                mkdir -p "rootfs/$(dirname "$library")"
                cp -L "$library" "rootfs/$library"
            done
            cp rootfs/bin/apus-attack rootfs/bin/set-user-id
            chown -R \(first):\(first) rootfs volumes
            chown \(first + 1000):\(first + 1000) rootfs/bin/set-user-id
            chmod 4755 rootfs/bin/set-user-id
            """,
        ])
        try #require(made.status == 0, "\(made.output)")
    }

    /// The plan that a node would carry out.
    func plan() throws -> SandboxPlan { try Sandbox.plan(input) }

    /// Plays rows as the first process of a container, with all guards but some.
    func play(_ rows: [AttackRow], without guards: Set<AttackGuard> = [], seconds: Int = 0) throws -> [AttackReport] {
        let words = ["/bin/apus-attack", "row", "--seconds", "\(seconds)"] + rows.map(\.name)
        let sandbox = try unguarded(guards, command: words)
        return try Self.reports(try run(sandbox, ""))
    }

    /// Plays rows as commands that enter a container in full posture, as `apus workload exec` does.
    func playInside(_ rows: [AttackRow], seconds: Int = 0) throws -> [AttackReport] {
        let sandbox = try unguarded([], command: ["/bin/apus-attack", "idle"])
        let words = try Entering.words(
            ["/bin/apus-attack", "row", "--seconds", "\(seconds)"] + rows.map(\.name), bundle: try write(sandbox),
            name: "$name", runtimeRoot: "$state")
        let script = """
            \(Self.untilItRuns)
            sh within.sh \(words.joined(separator: " "))
            """
        return try Self.reports(try run(sandbox, script))
    }

    /// Plays a row while the runtime enters its container again and again; or, without its guards, while a careless one does.
    func playEntered(_ row: AttackRow, isGuarded: Bool, seconds: Int) throws -> [AttackReport] {
        let guards = isGuarded ? [] : Set(row.guards)
        let sandbox = try unguarded(
            guards, command: ["/bin/apus-attack", "row", "--seconds", "\(seconds)", row.name])
        let tasks = row.name == "device-races" ? ["mask-null", "mask-console"] : ["linger"]
        let careless = tasks.map { "./naive naive-runtime $process \($0)" }.joined(separator: "; ")
        let enter = isGuarded ? "crun --root $state exec $name /bin/busybox true" : careless
        let script = """
            cp rootfs/bin/apus-attack naive
            \(Self.untilItRuns)
            for i in $(seq 400); do kill -0 $runtime 2>/dev/null || break; (\(enter)) 2>/dev/null; done
            wait $runtime
            """
        return try Self.reports(try run(sandbox, script))
    }

    /// Plays the row about a working directory that is an open descriptor: by the runtime, or by a careless one.
    func playWorkingDirectory(_ row: AttackRow, isGuarded: Bool) throws -> String {
        guard isGuarded else {
            let sandbox = try unguarded(Set(row.guards), command: ["/bin/apus-attack", "idle"])
            let script =
                "cp rootfs/bin/apus-attack naive\n\(Self.untilItRuns)./naive naive-runtime $process \(row.name)"
            return try run(sandbox, script)
        }
        var output = ""
        for descriptor in 3...9 {
            var plan = try plan()
            plan.runtimeConfig.arguments = ["/bin/apus-attack", "row", row.name]
            plan.runtimeConfig.workingDirectory = "/proc/self/fd/\(descriptor)"
            output += try run(Unguarded(plan, without: [], capabilities: []), "")
        }
        return output
    }

    /// What an output says; one that says nothing is an error with its end.
    private static func reports(_ output: String) throws -> [AttackReport] {
        let reports = AttackReport.parse(output)
        try #require(!reports.isEmpty, "\(output.suffix(500))")
        return reports
    }

    /// Runs a script beside a container; it finds `$state`, `$name` and, for the naive runtime, `$process`.
    func run(_ sandbox: Unguarded, _ script: String, seconds: Int = 60) throws -> String {
        try write(sandbox)
        let name = "apus-attack-\(UUID().uuidString.prefix(8))"
        let limits = sandbox.properties.filter { ["MemoryMax", "TasksMax", "CPUQuota"].contains($0.name) }
            .map { "limit \(name) \($0.name) \($0.value)" }.joined(separator: "\n")
        try scratch.file("groups.sh", Self.groups)
        // A shell moves itself before it becomes the command: what is in the group is what is limited.
        try scratch.file("within.sh", #". ./groups.sh; enter "$name"; exec "$@""#)
        try scratch.file("script.sh", script.isEmpty ? "wait $runtime\n" : script + "\n")
        let play = """
            cd \(scratch.path)
            export base=$PWD/groups name=\(name) state=$PWD/state
            mkdir -p groups
            mount --rbind /sys/fs/cgroup groups
            mount -t cgroup2 none /sys/fs/cgroup
            . ./groups.sh
            make $name
            \(limits)
            rootfs/bin/apus-attack canary &
            canary=$!
            sh within.sh crun --root $state --cgroup-manager=disabled run --bundle . $name &
            runtime=$!
            . ./script.sh
            crun --root $state kill $name KILL 2>/dev/null
            wait $runtime
            crun --root $state delete --force $name 2>/dev/null
            kill $canary
            remove $name
            """
        try scratch.file("play.sh", play)
        return Tool.run(
            ["unshare", "--mount", "--propagation", "private", "sh", "\(scratch.path)/play.sh"], seconds: seconds
        ).output
    }

    /// Waits in a script until the container runs, and puts its process into `$process`.
    static let untilItRuns = #"""
        for i in $(seq 300); do
            process=$(crun --root $state state $name 2>/dev/null | sed -n 's/.*"pid" *: *\([1-9][0-9]*\).*/\1/p')
            [ -n "$process" ] && break
            sleep 0.02
        done

        """#

    /// Writes the runtime's configuration; its directory.
    @discardableResult
    private func write(_ sandbox: Unguarded) throws -> String {
        try Files.writeDurably(sandbox.config.json, to: scratch.path + "/config.json")
        return scratch.path
    }

    /// The sandbox with another command and without some guards.
    func unguarded(_ guards: Set<AttackGuard>, command: [String]) throws -> Unguarded {
        var plan = try plan()
        plan.runtimeConfig.arguments = command
        plan.runtimeConfig.networkNamespace = networkNamespace
        return Unguarded(plan, without: guards, capabilities: capabilities)
    }
}
