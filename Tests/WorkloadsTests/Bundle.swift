import Foundation
import TestSupport
import Testing

@testable import Workloads

/// A scratch bundle that the real runtime runs, with a busybox and a program that makes system calls.
final class Bundle {
    let scratch: Scratch
    private let input: SandboxInput

    /// Why nothing can be run here; nil where it can.
    static let obstacle: String? = {
        for tool in ["crun", "busybox", "cc", "unshare", "mount"] where location(of: tool) == nil {
            return "\(tool) is not installed"
        }
        guard geteuid() == 0 else { return "the tests do not run as root" }
        let busybox = outcome(of: ["sh", "-c", "! ldd $(command -v busybox) >/dev/null 2>&1"])
        guard busybox.status == 0 else { return "busybox is not linked statically" }
        let namespaces = outcome(of: inPrivateMounts("unshare --user --pid --fork true"))
        guard namespaces.status == 0 else { return "namespaces cannot be made: \(namespaces.output)" }
        return nil
    }()

    /// A shell line in a mount namespace of its own that has the unified cgroup hierarchy, as the node has.
    static func inPrivateMounts(_ line: String) -> [String] {
        [
            "unshare", "--mount", "--propagation", "private", "sh", "-c",
            "mount -t cgroup2 none /sys/fs/cgroup && { \(line)\n}",
        ]
    }

    /// Makes the bundle of a document whose command is a shell script.
    init(script: String, calls: [ProbeCall] = [], more: String = "", policy: NodePolicy = NodePolicy()) throws {
        scratch = try Scratch(permissions: 0o755)
        let name = try #require(WorkloadName("web"))
        var paths = SandboxPaths(workload: name, revision: try Fixture.digest(7))
        paths.bundle = scratch.path
        paths.root = "\(scratch.path)/rootfs"
        paths.volumes = "\(scratch.path)/volumes"
        paths.secrets = "\(scratch.path)/secrets"
        paths.names = "\(scratch.path)/names"
        // Elsewhere the unit raises the limit of open files before crun lowers it.
        var input = try Fixture.input(
            more + #", "ulimits": {"nofile": {"soft": 256, "hard": 512}}"#, policy: policy, paths: paths,
            command: ["/bin/busybox", "sh", "-c", script])
        input.appArmorProfile = nil
        self.input = input
        try prepare(calls)
    }

    private func prepare(_ calls: [ProbeCall]) throws {
        let plan = try Sandbox.plan(input)
        try scratch.file("config.json", String(decoding: plan.runtimeConfig.json, as: UTF8.self))
        try scratch.file("probe.c", ProbeCall.program(calls))
        let build = outcome(of: [
            "sh", "-c",
            """
            set -e
            cd \(scratch.path)
            mkdir -p rootfs/bin rootfs/proc rootfs/sys rootfs/dev rootfs/etc rootfs/tmp rootfs/run/secrets rootfs/data
            mkdir -p volumes/data secrets names
            for name in hosts hostname resolv.conf; do echo 127.0.0.1 localhost >names/$name; : >rootfs/etc/$name; done
            : >rootfs/run/secrets/key
            echo hunter2 >secrets/0
            chmod 444 secrets/0
            chown 1879048192:1879048192 volumes/data
            cp $(command -v busybox) rootfs/bin/busybox
            cc -static -O1 -w -o rootfs/bin/probe probe.c
            """,
        ])
        #expect(build.status == 0, "\(build.output)")
    }

    /// The command that runs it, as the unit has it but for the directory of the state.
    var command: String {
        "crun --root \(scratch.path)/state --cgroup-manager=disabled run --bundle \(scratch.path) test-\(UUID().uuidString)"
    }

    /// Runs it under `crun` in a private view of the cgroups.
    func run() -> Outcome { outcome(of: Self.inPrivateMounts(command)) }
}

/// One system call that the probe makes in a process of its own.
struct ProbeCall {
    enum Way: String { case plain, i386, x32 }

    var label: String
    var name: String
    var arguments: [UInt64]
    var way = Way.plain

    init(_ name: String, _ arguments: [UInt64] = [], label: String? = nil, way: Way = .plain) {
        self.name = name
        self.arguments = arguments
        self.way = way
        self.label = label ?? "\(name)(\(arguments.map { String($0, radix: 16) }.joined(separator: ",")))"
    }

    /// A program that prints `label: errno N`, `label: 0` or `label: signal N` for each call.
    static func program(_ calls: [ProbeCall]) -> String {
        let lines = calls.map { call in
            let padded = (call.arguments + [0, 0, 0, 0, 0]).prefix(5).map { "\($0)ULL" }.joined(separator: ", ")
            let number = Int(call.name).map(String.init) ?? "SYS_\(call.name)"
            let body = "    run(\"\(call.label)\", \"\(call.way.rawValue)\", \(number), \(padded));"
            return Int(call.name) == nil ? "#ifdef SYS_\(call.name)\n\(body)\n#endif" : body
        }
        return """
            #define _GNU_SOURCE
            #include <errno.h>
            #include <stdio.h>
            #include <string.h>
            #include <sys/syscall.h>
            #include <sys/wait.h>
            #include <unistd.h>
            static void run(const char *label, const char *way, long n, unsigned long a, unsigned long b,
                            unsigned long c, unsigned long d, unsigned long e) {
                fflush(stdout);
                pid_t child = fork();
                if (child == 0) {
                    long result;
                    errno = 0;
                    if (!strcmp(way, "i386")) {
                        __asm__ volatile("int $0x80" : "=a"(result) : "a"(20L) : "memory");
                    } else {
                        result = syscall(!strcmp(way, "x32") ? n | 0x40000000L : n, a, b, c, d, e);
                    }
                    if (result == -1) printf("%s: errno %d\\n", label, errno);
                    else printf("%s: 0\\n", label);
                    fflush(stdout);
                    _exit(0);
                }
                int status = 0;
                waitpid(child, &status, 0);
                if (WIFSIGNALED(status)) printf("%s: signal %d\\n", label, WTERMSIG(status));
                fflush(stdout);
            }
            int main(void) {
            \(lines.joined(separator: "\n"))
                return 0;
            }

            """
    }
}
