import Contract
import FoundationEssentials
import Workloads

/// What the lab has a throw-away machine do: containers without guards, and a careless runtime in place of a careful one.
///
/// Scripts are written for the reference OS's own programs, and run as root by `LabHands`.
struct UnguardedScript {
    /// The attacker's document as the server keeps it, with its image's digest.
    let workload: Workload
    /// Where it runs on the machine.
    static let folder = "/run/apus-lab"
    private static let runtime = "crun --root \(folder)/crun --cgroup-manager=disabled"

    /// All capabilities of the machine's kernel, by name.
    let capabilities: [String]
    /// The machine's devices.
    let devices: [Unguarded.Device]

    /// Copies the attacker's root to where nothing is `nosuid`, makes a volume without quota and a program of the node's.
    static let preparation = """
        set -e
        mkdir -p \(folder)/rootfs \(folder)/names \(folder)/volumes/data \(folder)/tools
        mount -t tmpfs -o mode=755,size=128m none \(folder)/rootfs
        cp -a /run/apus/bundles/attacker-*/rootfs/. \(folder)/rootfs
        chown 1000:1000 \(folder)/rootfs/bin/set-user-id
        chmod 4755 \(folder)/rootfs/bin/set-user-id
        mount -t tmpfs -o mode=755,size=64m none \(folder)/tools
        cp \(folder)/rootfs/bin/apus-attack \(folder)/tools/naive
        truncate -s 400M /var/lib/apus-lab.disk
        mkfs.ext4 -q -F /var/lib/apus-lab.disk
        mount -o loop /var/lib/apus-lab.disk \(folder)/volumes/data
        chown --reference=\(folder)/rootfs/bin/apus-attack \(folder)/volumes/data
        for name in hosts hostname resolv.conf; do echo 127.0.0.1 localhost >\(folder)/names/$name; done
        systemd-run --quiet --collect -p Restart=always \(folder)/tools/naive canary
        echo prepared
        """

    /// The sandbox of a row without its guards.
    func sandbox(_ guards: [AttackGuard], command: [String]) throws -> Unguarded {
        guard let ids = IDRange(first: IDRangePlanner.firstRange),
            let revision = Digest256(bytes: [UInt8](repeating: 0, count: 32))
        else { throw LabError("the lab's sandbox has no ids") }
        var paths = SandboxPaths(workload: workload.name, revision: revision)
        paths.bundle = Self.folder
        paths.root = Self.folder + "/rootfs"
        paths.volumes = Self.folder + "/volumes"
        paths.names = Self.folder + "/names"
        var plan = try Sandbox.plan(
            SandboxInput(workload: workload, revision: revision, policy: NodePolicy(), ids: ids, paths: paths))
        plan.runtimeConfig.arguments = command
        return Unguarded(plan, without: Set(guards), capabilities: capabilities, devices: devices)
    }

    /// Runs a row, or several with the same guards, to its end and prints what they say.
    func run(_ rows: [AttackRow], seconds: Int) throws -> String {
        let words = [AttackDocuments.program, "row", "--seconds", "\(seconds)"] + rows.map(\.name)
        let sandbox = try sandbox(rows[0].guards, command: words)
        return write(sandbox.config) + unit(sandbox, options: "--wait --pipe")
    }

    /// Runs a row whose output goes to the journal, and counts there what was kept of it.
    func flood(_ row: AttackRow, seconds: Int) throws -> String {
        let words = [AttackDocuments.program, "row", "--seconds", "\(seconds)", row.name]
        let sandbox = try sandbox(row.guards, command: words)
        return write(sandbox.config) + unit(sandbox, options: "--wait")
            + "journalctl --sync\njournalctl --no-pager --unit=apus-lab | grep -c 'flood flood' || true\n"
    }

    /// Runs a row while a careless runtime enters its container.
    func enter(_ row: AttackRow, tasks: [String], seconds: Int) throws -> String {
        let words = [AttackDocuments.program, "row", "--seconds", "\(seconds)", row.name]
        let sandbox = try sandbox(row.guards, command: words)
        let tries = tasks.map { "\(Self.folder)/tools/naive naive-runtime $process \($0) || true" }
        return write(sandbox.config) + """
            ( \(unit(sandbox, options: "--wait --pipe")) ) >\(Self.folder)/output 2>&1 &
            \(Self.untilItRuns)
            end=$(($(date +%s) + \(seconds * max(1, tasks.count) + 10)))
            while [ -e /proc/$process ] && [ $(date +%s) -lt $end ]; do \(tries.joined(separator: "; ")); done
            wait
            cat \(Self.folder)/output

            """
    }

    /// Starts a container that sleeps, and has a careless runtime leave its root by a descriptor that it left open.
    func leave(_ row: AttackRow) throws -> String {
        let sandbox = try sandbox(row.guards, command: [AttackDocuments.program, "idle"])
        return write(sandbox.config) + """
            ( \(unit(sandbox, options: "--wait --pipe")) ) >/dev/null 2>&1 &
            \(Self.untilItRuns)
            \(Self.folder)/tools/naive naive-runtime $process \(row.name)
            \(Self.runtime) kill lab KILL
            wait

            """
    }

    private static let untilItRuns = #"""
        process=
        for i in $(seq 100); do
            process=$(\#(runtime) state lab 2>/dev/null | sed -n 's/.*"pid" *: *\([1-9][0-9]*\).*/\1/p')
            [ -n "$process" ] && break
            sleep 0.1
        done
        """#

    /// What an attack killed has left its state behind, and a second container of that name would not start: it goes first.
    private func write(_ config: DocumentValue) -> String {
        "\(Self.runtime) delete --force lab >/dev/null 2>&1 || true\n"
            + "echo \(Data(config.json).base64EncodedString()) | base64 -d >\(Self.folder)/config.json\n"
    }

    private func unit(_ sandbox: Unguarded, options: String) -> String {
        // What the agent's unit does when it ends concerns the agent's containers.
        let properties = sandbox.properties.filter { !["Type", "Restart", "Slice"].contains($0.name) }
            .filter { !$0.name.hasPrefix("Restart") && !$0.name.hasPrefix("StartLimit") }
            .filter { !options.contains("--pipe") || !$0.name.hasPrefix("Standard") }
        let words = properties.map { "--property='\($0)'" }.joined(separator: " ")
        return "systemd-run --quiet --collect --unit=apus-lab \(options) \(words) "
            + "\(Self.runtime) run --bundle \(Self.folder) lab || true\n"
    }

    /// Opens all wires: the chains let everything pass, and the tables that translate addresses stay.
    static let openWires = """
        for table in $(nft list tables inet | sed -n 's/^table inet \\(apus_.*\\)/\\1/p'); do
            for chain in leaving arriving to_node forward input; do nft flush chain inet $table $chain 2>/dev/null; done
        done
        for table in $(nft list tables netdev | sed -n 's/^table netdev \\(apus_.*\\)/\\1/p'); do
            nft delete table netdev $table
        done
        ip route replace 169.254.169.254 via \(Network.serverAddress)
        echo open
        """

    /// A careless unpacker, for layers: what a node refuses does harm there.
    static let carelessUnpacking = """
        cd $(mktemp -d)
        mkdir -p outer/image/a outer/etc
        echo secret >outer/secret
        cd outer/image
        say() { if [ "$2" = yes ]; then echo "LAYER $1 succeeded"; else echo "LAYER $1 failed"; fi; }
        mkdir a/b && echo x >../etc/escaped && mkdir etc && ln -s etc dev && : >dev/null.made
        say apply $([ -e etc/null.made ] && echo yes)
        cp ../etc/escaped a/b/../../../passwd && say parent $([ -e ../passwd ] && echo yes)
        ln ../secret hard && echo changed >hard && say hard-link $(grep -q changed ../secret && echo yes)
        hidden=..; find "a/$hidden" -mindepth 1 -delete; say whiteout $([ ! -e etc ] && echo yes)
        """
}
