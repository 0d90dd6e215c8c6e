internal import Contract
internal import Linux
internal import Workloads

/// Running a command in a running workload, in the posture of the workload's own process.
///
/// `crun exec` takes capabilities and the system call filter from the container, but neither its limits nor
/// `no_new_privs`, and an AppArmor profile only where one is named: a command would have the agent's limits, and set-id
/// programs would work in it.
enum Entering {
    /// What counts here of `config.json`.
    private struct Config: Decodable {
        struct Limit: Decodable {
            var type: String
            var soft: UInt64
            var hard: UInt64
        }
        struct Process: Decodable {
            var rlimits: [Limit]
            var apparmorProfile: String?
        }
        var process: Process
    }

    private static let configBytes = 1 << 20

    /// The words that run a command in a container.
    ///
    /// - Parameters:
    ///   - bundle: the directory of its `config.json`.
    ///   - name: what the runtime calls it.
    ///   - runtimeRoot: where the runtime keeps what runs.
    ///   - isTerminal: whether the command gets a terminal.
    static func words(
        _ command: [String], bundle: String, name: String, runtimeRoot: String, isTerminal: Bool = false
    ) throws -> [String] {
        let bytes = try Files.read(bundle + "/config.json", limitBytes: configBytes)
        guard let config = try? Wire.decode(Config.self, from: bytes) else {
            throw SandboxError("'\(bundle)/config.json' cannot be read")
        }
        // Set before the runtime starts, which hands them on (prlimit(1)).
        let limits = try config.process.rlimits.map { limit in
            guard let option = options[limit.type] else { throw SandboxError("no limit is called '\(limit.type)'") }
            return "--\(option)=\(limit.soft):\(limit.hard)"
        }
        let profile = config.process.apparmorProfile.map { ["--apparmor=\($0)"] } ?? []
        return ["/usr/bin/prlimit"] + limits
            + ["/usr/bin/crun", "--root", runtimeRoot, "--cgroup-manager=disabled", "exec", "--no-new-privs"] + profile
            + (isTerminal ? ["--tty"] : []) + [name] + command
    }

    /// `prlimit(1)`'s words for the limits that the planner sets.
    private static let options = [
        "RLIMIT_NOFILE": "nofile", "RLIMIT_CORE": "core", "RLIMIT_MEMLOCK": "memlock", "RLIMIT_MSGQUEUE": "msgqueue",
        "RLIMIT_SIGPENDING": "sigpending", "RLIMIT_RTPRIO": "rtprio", "RLIMIT_NICE": "nice",
    ]
}
