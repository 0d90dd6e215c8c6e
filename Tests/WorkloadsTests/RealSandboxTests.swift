import TestSupport
import Testing

@testable import Workloads

/// The generated configuration under the real `crun` and the real kernel.
@Suite(
    .ownThreads, .enabled(if: Bundle.obstacle == nil, "nothing can be run here: \(Bundle.obstacle ?? "")"), .serialized)
struct RealSandboxes {
    static func lines(_ output: String) -> Set<String> { Set(output.split(separator: "\n").map(String.init)) }

    @Test func theKernelAnswersAsTheProfileSays() throws {
        let none = UInt64.max
        var calls = (SystemCalls.denied + SystemCalls.debugging).map { ProbeCall($0, [none, none, none, none, none]) }
        calls += (UInt64(0)..<46).filter { $0 != 1 && $0 != 2 && $0 != 10 }.map { ProbeCall("socket", [$0, 3, 0]) }
        calls += [
            ProbeCall("socket", [1 << 32 | 2, 1, 0]), ProbeCall("socketpair", [16, 3, 0]),
            ProbeCall("clone", [0x1000_0011]), ProbeCall("clone", [0x2_0011]), ProbeCall("clone", [0x7E02_0011]),
            ProbeCall("clone3", [none, 0]), ProbeCall("470"), ProbeCall("999"),
            ProbeCall("personality", [0x40000]), ProbeCall("ioctl", [0, 0x5412, 0]),
            ProbeCall("ioctl", [0, 1 << 32 | 0x5412, 0]), ProbeCall("ioctl", [0, 0x541C, 0]),
        ]
        let profile = SeccompProfile(permissions: [])
        let expected = calls.map { call in
            if case .error(let number) = profile.answer(call.name, call.arguments) {
                "\(call.label): errno \(number)"
            } else {
                "\(call.label) is allowed"
            }
        }
        let allowed = [
            ProbeCall("socket", [1, 1, 0]), ProbeCall("socket", [2, 1, 0]), ProbeCall("socket", [10, 2, 0]),
            ProbeCall("personality", [0xFFFF_FFFF]), ProbeCall("getpid"), ProbeCall("clone", [0x11]),
        ]
        let endings = [ProbeCall("getpid", label: "i386", way: .i386), ProbeCall("getpid", label: "x32", way: .x32)]
        // A terminal's question about standard input that is none: allowed, and refused by the pipe (ENOTTY).
        let passed = ProbeCall("ioctl", [0, 0x5413, 0])
        let bundle = try Bundle(script: "exec /bin/probe", calls: calls + allowed + endings + [passed])
        let result = bundle.run()
        let lines = Self.lines(result.output)
        let labels = Set(lines.compactMap { $0.split(separator: ":").first.map(String.init) })
        var checked = 0
        for (call, line) in zip(calls, expected) where labels.contains(call.label) {
            #expect(lines.contains(line), "\(lines.filter { $0.hasPrefix(call.label) })")
            checked += 1
        }
        #expect(checked > 100, "\(result.output)")
        for call in allowed { #expect(lines.contains("\(call.label): 0"), "\(result.output.prefix(400))") }
        for call in endings { #expect(lines.contains("\(call.label): signal 31")) }
        #expect(lines.contains("\(passed.label): errno 25"))
    }

    /// Each row: a command, and what must be among its output. `no` stands where it failed.
    static let attacks: [(command: String, expected: String)] = [
        ("id -u", "0"), ("cat /proc/self/uid_map | tr -s ' '", " 0 1879048192 65536"),
        ("grep NoNewPrivs /proc/self/status | tr '\\t' ' '", "NoNewPrivs: 1"),
        ("grep '^Seccomp:' /proc/self/status | tr '\\t' ' '", "Seccomp: 2"),
        ("grep CapBnd /proc/self/status | tr '\\t' ' '", "CapBnd: 0000000000000000"),
        ("grep CapEff /proc/self/status | tr '\\t' ' '", "CapEff: 0000000000000000"),
        ("touch /file", "no"), ("mount -t tmpfs none /tmp", "no"), ("mknod /data/m c 1 1", "no"),
        ("mknod /data/fifo p && echo made", "made"), ("hostname evil", "no"),
        ("echo x >/proc/sys/kernel/core_pattern", "no"), ("echo c >/proc/sysrq-trigger", "no"),
        ("echo 1 >/sys/fs/cgroup/cgroup.procs", "no"), ("mkdir /sys/fs/cgroup/x", "no"), ("mkdir /sys/x", "no"),
        ("cat /proc/kcore | wc -c", "0"), ("cat /proc/keys | wc -c", "0"), ("cat /proc/timer_list | wc -c", "0"),
        ("cat /proc/interrupts | wc -c", "0"), ("ls /sys", "fs"), ("ls /sys/firmware", "no"),
        (
            "ls /dev | sort | tr '\\n' ' '",
            "core fd full null ptmx pts random shm stderr stdin stdout tty urandom zero "
        ),
        ("cat </dev/mem", "no"), ("cat </dev/kmsg", "no"), ("grep -c : /proc/net/dev", "1"),
        ("ip link | grep mtu", "no"),
        ("ip link add d type dummy", "no"),
        ("chroot / true", "no"), ("chown 5 /data", "no"),
        ("cat /run/secrets/key", "hunter2"), ("echo x >/run/secrets/key", "no"),
        ("echo x >/data/f && cat /data/f", "x"),
        ("ulimit -c", "0"), ("chrt -f 50 true", "no"), ("nice -n -5 true", "no"),
        ("dd if=/dev/zero of=/dev/shm/f bs=1M count=100 2>&1 | grep -o 'No space'", "No space"),
        ("dd if=/dev/zero of=/dev/f bs=1M count=2 2>&1 | grep -o 'No space'", "No space"),
        ("cat /etc/hosts", "127.0.0.1 localhost"), ("echo x >/etc/hosts", "no"), ("kill -9 1879", "no"),
    ]

    @Test func attacksFailAndWorkGoesOn() throws {
        let script = Self.attacks.enumerated().map { index, attack in
            "echo \"\(index): $( { \(attack.command) || echo no; } 2>/dev/null | tail -n 1)\""
        }.joined(separator: "\n")
        let more =
            #", "secrets": ["key"], "shm_size": "1m", "volumes":"#
            + #" [{"type": "volume", "source": "data", "target": "/data", "volume": {"size": "1g"}}]"#
        let shell = "for a in $(/bin/busybox --list); do alias $a=\"/bin/busybox $a\"; done\n"
        let result = try Bundle(script: shell + script, more: more).run()
        let lines = Self.lines(result.output)
        for (index, attack) in Self.attacks.enumerated() {
            let got = lines.filter { $0.hasPrefix("\(index): ") }
            #expect(
                got == ["\(index): \(attack.expected)"], "\(attack.command): \(got) in \(result.output.prefix(200))")
        }
    }

    /// A permission does what its name says: with it the same attempt works.
    @Test func aGrantedCapabilityIsHeldWithinTheWorkloadOnly() throws {
        let policy = NodePolicy(permissions: [.capabilityChown])
        let more =
            #", "permissions": ["capability.chown"], "volumes":"#
            + #" [{"type": "volume", "source": "data", "target": "/data", "volume": {"size": "1g"}}]"#
        let script =
            "/bin/busybox chown 5 /data && /bin/busybox stat -c %u /data; /bin/busybox chroot / /bin/busybox true || echo no"
        let result = try Bundle(script: script, more: more, policy: policy).run()
        #expect(Self.lines(result.output).isSuperset(of: ["5", "no"]), "\(result.output)")
    }

    /// The unit stops crun, which must hand the signal on.
    @Test func theSignalToStopReachesTheWorkload() throws {
        let script = "trap 'echo stopped; exit 7' TERM; echo ready; while :; do /bin/busybox usleep 10000; done"
        let bundle = try Bundle(script: script)
        let line = """
            mkfifo \(bundle.scratch.path)/out
            \(bundle.command) >\(bundle.scratch.path)/out 2>&1 &
            pid=$!
            while read -r line; do
                echo "$line"
                if [ "$line" = ready ]; then kill -TERM $pid; fi
            done <\(bundle.scratch.path)/out
            wait $pid
            """
        let result = outcome(of: Bundle.inPrivateMounts(line))
        #expect(result.output.contains("stopped"), "\(result.output)")
        #expect(result.status == 7)
    }
}
