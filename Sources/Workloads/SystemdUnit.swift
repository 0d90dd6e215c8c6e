public import Contract

/// One setting of a unit as `systemd-run --property=` and `busctl` take it (systemd.resource-control(5),
/// systemd.service(5), systemd.kill(5)).
public struct UnitProperty: Sendable, Hashable, CustomStringConvertible {
    /// The setting's name in a unit file.
    public var name: String
    /// Its value in a unit file.
    public var value: String

    /// Makes a setting.
    public init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }

    /// `Name=Value`.
    public var description: String { "\(name)=\(value)" }
}

/// The transient unit of one running revision: its limits, its devices, its end.
public struct SystemdUnit: Sendable, Hashable {
    /// Its name with suffix.
    public var name: String
    /// What people read.
    public var description: String
    /// The program and its arguments.
    public var command: [String]
    /// What asks it to end, before its signal; empty for nothing.
    public var stopCommand: [String]
    /// What is run after the end, however it came; empty for nothing.
    public var cleanUp: [String]
    /// Settings, in order; a name may stand several times.
    public var properties: [UnitProperty]

    /// The slice that holds all workloads.
    public static let slice = "apus-workloads.slice"
    /// Where crun keeps what runs.
    public static let runtimeRoot = "/run/apus/crun"
    /// The disk whose traffic is limited: the one that the state partition is on.
    public static let statePath = "/var"

    /// Settings of the slice itself, so that all workloads together leave the node its share.
    ///
    /// - Parameter totalMemoryBytes: the machine's memory.
    public static func sliceProperties(totalMemoryBytes: UInt64, reservedMemoryBytes: UInt64) -> [UnitProperty] {
        let memory = totalMemoryBytes > reservedMemoryBytes ? totalMemoryBytes - reservedMemoryBytes : 0
        return [
            UnitProperty("MemoryMax", "\(memory)"), UnitProperty("MemorySwapMax", "0"), UnitProperty("CPUWeight", "50"),
            UnitProperty("IOWeight", "50"), UnitProperty("TasksMax", "16384"),
        ]
    }

    /// The unit's name for a workload's revision.
    public static func name(_ workload: WorkloadName, _ revision: Digest256) -> String {
        "apus-workload-\(workload)-\("\(revision)".prefix(12)).service"
    }

    /// What the name of every function's instance has, and no other unit's: no workload's name has such a character.
    public static let instanceMark: Character = "_"

    /// The unit's name for an instance of a function.
    public static func name(_ workload: WorkloadName, _ revision: Digest256, instance: String) -> String {
        "apus-workload-\(workload)-\("\(revision)".prefix(12))\(instanceMark)\(instance).service"
    }

    /// Where systemd puts a unit of the slice, below the root of the control groups (systemd.slice(5)).
    public static func controlGroup(_ name: String) -> String { "apus.slice/\(slice)/\(name)" }

    /// Computes the unit.
    public init(_ input: SandboxInput) {
        let revision = input.workload.revision
        let log = "\(input.workload.name)-\("\(input.revision)".prefix(12))"
        let container = log + (input.instance.map { "\(Self.instanceMark)\($0)" } ?? "")
        // The workload stays in the cgroup that systemd made, so that crun adds no limits and no device rules.
        let runtime = ["/usr/bin/crun", "--root", Self.runtimeRoot, "--cgroup-manager=disabled"]
        name =
            input.instance.map { Self.name(input.workload.name, input.revision, instance: $0) }
            ?? Self.name(input.workload.name, input.revision)
        description = "Apus workload \(input.workload.name)"
        command = runtime + ["run", "--bundle", input.paths.bundle, container]
        stopCommand = []
        cleanUp = runtime + ["delete", "--force", container]
        properties =
            [UnitProperty("Slice", Self.slice), UnitProperty("Type", "exec")] + Self.limits(revision.resources)
            + Self.devices(input) + (input.instance == nil ? Self.running(revision) : Self.runningOnce)
            + Self.logging(revision.resources, name: log)
    }

    static func limits(_ wanted: WorkloadResources) -> [UnitProperty] {
        var properties = [
            UnitProperty("MemoryMax", "\(wanted.memoryBytes)"), UnitProperty("MemorySwapMax", "0"),
            UnitProperty("MemoryZSwapMax", "0"),
            // Also sets memory.oom.group: all of it ends, or none.
            UnitProperty("OOMPolicy", "kill"), UnitProperty("OOMScoreAdjust", "500"),
            UnitProperty("TasksMax", "\(wanted.pids)"),
            // Tenths of a percent are below what the kernel's period resolves.
            UnitProperty("CPUQuota", "\(max(1, wanted.milliCPUs / 10))%"), UnitProperty("CPUWeight", "100"),
            UnitProperty("IOWeight", "\(wanted.io.weight)"),
            // crun sets a workload's limits from within its user namespace, where none can be raised above these.
            UnitProperty("LimitNOFILE", "\(wanted.openFiles.hard)"),
            UnitProperty("LimitCORE", "\(wanted.coreBytes.hard)"),
            UnitProperty("LimitMEMLOCK", "\(wanted.lockedBytes.hard)"), UnitProperty("LimitRTPRIO", "0"),
        ]
        func ceiling(_ name: String, _ value: UInt64?) {
            if let value { properties.append(UnitProperty(name, "\(statePath) \(value)")) }
        }
        ceiling("IOReadBandwidthMax", wanted.io.readBytesPerSecond)
        ceiling("IOWriteBandwidthMax", wanted.io.writeBytesPerSecond)
        ceiling("IOReadIOPSMax", wanted.io.readOperationsPerSecond.map(UInt64.init))
        ceiling("IOWriteIOPSMax", wanted.io.writeOperationsPerSecond.map(UInt64.init))
        return properties
    }

    /// `closed` allows null, zero, full, random, urandom; a terminal and granted devices are added.
    private static func devices(_ input: SandboxInput) -> [UnitProperty] {
        [
            UnitProperty("DevicePolicy", "closed"), UnitProperty("DeviceAllow", "/dev/tty rw"),
            UnitProperty("DeviceAllow", "/dev/ptmx rw"), UnitProperty("DeviceAllow", "char-pts rw"),
        ]
            + input.devices.map { device in
                UnitProperty(
                    "DeviceAllow",
                    "/dev/\(device.isBlock ? "block" : "char")/\(device.major):\(device.minor) "
                        + (device.isWritable ? "rw" : "r"))
            }
    }

    /// crun hands the signal to the workload; what is left after the deadline is killed as a group.
    private static func stopping(_ revision: Revision) -> [UnitProperty] {
        [
            UnitProperty("KillMode", "mixed"), UnitProperty("KillSignal", revision.stopSignal),
            UnitProperty("TimeoutStopSec", "\(revision.stopGraceMilliseconds)ms"), UnitProperty("SendSIGKILL", "yes"),
            UnitProperty("TimeoutStartSec", "60s"),
        ]
    }

    private static func running(_ revision: Revision) -> [UnitProperty] {
        stopping(revision) + restarting(revision.restart)
    }

    /// An instance of a function is never asked to end, and never started again: a call starts another.
    private static let runningOnce = [
        UnitProperty("KillMode", "control-group"), UnitProperty("KillSignal", "SIGKILL"),
        UnitProperty("TimeoutStopSec", "10s"), UnitProperty("TimeoutStartSec", "60s"), UnitProperty("Restart", "no"),
    ]

    static func restarting(_ policy: RestartPolicy) -> [UnitProperty] {
        guard policy.condition != .no else { return [UnitProperty("Restart", "no")] }
        // Each step doubles the wait, as `RestartPolicy` has it.
        var steps = 0
        var delay = policy.delayMilliseconds
        while delay < policy.maximumDelayMilliseconds, steps < 32 {
            delay *= 2
            steps += 1
        }
        return [
            UnitProperty("Restart", policy.condition == .always ? "always" : "on-failure"),
            UnitProperty("RestartSec", "\(policy.delayMilliseconds)ms"), UnitProperty("RestartSteps", "\(steps)"),
            UnitProperty("RestartMaxDelaySec", "\(policy.maximumDelayMilliseconds)ms"),
            UnitProperty(
                "StartLimitIntervalSec",
                policy.maximumAttempts == nil ? "0" : "\(window(policy))ms"),
            UnitProperty("StartLimitBurst", "\(min((policy.maximumAttempts ?? 0) + 1, 1_000_001))"),
        ]
    }

    /// A window that is shorter than all attempts take would never count them.
    private static func window(_ policy: RestartPolicy) -> Int64 {
        var total: Int64 = 0
        var delay = policy.delayMilliseconds
        for _ in 0..<min(policy.maximumAttempts ?? 0, 1000) {
            total += delay
            delay = min(delay * 2, policy.maximumDelayMilliseconds)
        }
        return max(policy.windowMilliseconds, total * 2)
    }

    /// Lines of a log above the kept size in ten seconds are dropped by the journal before they are stored.
    static func logging(_ wanted: WorkloadResources, name: String) -> [UnitProperty] {
        [
            UnitProperty("StandardInput", "null"), UnitProperty("StandardOutput", "journal"),
            UnitProperty("StandardError", "journal"), UnitProperty("SyslogIdentifier", name),
            UnitProperty("LogRateLimitIntervalSec", "10s"),
            UnitProperty("LogRateLimitBurst", "\(max(100, min(wanted.logBytes / 1024, 100_000)))"),
        ]
    }

    /// The command line of `systemd-run` that starts the unit and returns at once.
    public var systemdRun: [String] {
        // A machine's kernel arguments are a document's words: systemd puts no variable's value into them.
        ["systemd-run", "--unit=\(name)", "--description=\(description)", "--no-block", "--quiet"]
            + ["--expand-environment=no"] + properties.map { "--property=\($0)" }
            + [("ExecStop", stopCommand), ("ExecStopPost", cleanUp)].filter { !$0.1.isEmpty }.map { name, words in
                "--property=\(name)=-\(words.joined(separator: " "))"
            } + ["--"] + command
    }
}
