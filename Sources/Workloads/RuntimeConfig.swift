/// `config.json` for `crun` (OCI runtime specification 1.2). It names no cgroup, no limits and no device rules: those
/// are systemd's.
public struct RuntimeConfig: Sendable, Hashable {
    /// The process.
    public var arguments: [String]
    /// `NAME=VALUE`.
    public var environment: [String]
    /// The directory in which it starts.
    public var workingDirectory: String
    /// As whom.
    public var user: SandboxUser
    /// Capabilities that it holds, all within its own user namespace.
    public var capabilities: [String]
    /// Whether it has a terminal.
    public var hasTerminal: Bool
    /// Limits by their POSIX names.
    public var limits: [String: ResourceLimit]
    /// The root filesystem's path.
    public var root: String
    /// Whether it is read-only.
    public var isRootReadOnly: Bool
    /// The host's name inside.
    public var hostname: String
    /// What is mounted, in order.
    public var mounts: [SandboxMount]
    /// The ids.
    public var ids: IDRange
    /// The network namespace to enter; nil makes an empty one.
    public var networkNamespace: String?
    /// The filter.
    public var seccomp: SeccompProfile
    /// The AppArmor profile.
    public var appArmorProfile: String?
    /// What the workload is called, for those who look at the bundle.
    public var annotations: [String: String]

    /// Paths that read as empty: they tell about the node's hardware, kernel and other processes.
    public static let maskedPaths = [
        "/proc/acpi", "/proc/asound", "/proc/config.gz", "/proc/interrupts", "/proc/kallsyms", "/proc/kcore",
        "/proc/key-users", "/proc/keys", "/proc/kmsg", "/proc/kpagecgroup", "/proc/kpagecount", "/proc/kpageflags",
        "/proc/latency_stats", "/proc/modules", "/proc/mtd", "/proc/pagetypeinfo", "/proc/sched_debug", "/proc/scsi",
        "/proc/slabinfo", "/proc/timer_list", "/proc/timer_stats", "/proc/vmallocinfo", "/sys/devices/virtual/powercap",
        "/sys/firmware",
    ]
    /// Paths that cannot be written.
    public static let readonlyPaths = [
        "/proc/bus", "/proc/driver", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
    ]

    /// Computes the configuration.
    public init(_ input: SandboxInput) {
        let revision = input.workload.revision
        arguments = Self.arguments(input)
        environment =
            revision.kind == .function ? FunctionEnvironment.lines(input) : Self.environment(input)
        workingDirectory = Self.workingDirectory(input)
        user = input.image.user
        capabilities = revision.permissions.compactMap(\.capability).sorted()
        hasTerminal = revision.hasTerminal
        limits = Self.limits(revision)
        root = input.paths.root
        isRootReadOnly = revision.isRootReadOnly
        hostname = revision.hostname ?? input.workload.name.rawValue
        mounts = SandboxMount.all(input)
        ids = input.ids
        networkNamespace = input.wire?.namespacePath
        seccomp = SeccompProfile(permissions: revision.permissions)
        appArmorProfile = input.appArmorProfile
        annotations = ["org.apus.workload": input.workload.name.rawValue, "org.apus.revision": "\(input.revision)"]
    }

    /// The command line: the document's words before the image's. A document's entrypoint drops the image's command,
    /// as the Compose Specification has it.
    static func arguments(_ input: SandboxInput) -> [String] {
        let revision = input.workload.revision
        let entrypoint = revision.entrypoint ?? input.image.entrypoint
        let command = revision.command ?? (revision.entrypoint == nil ? input.image.command : [])
        return entrypoint + command
    }

    /// Where it starts: the document's word before the image's, without `.`, `..` and doubled slashes.
    static func workingDirectory(_ input: SandboxInput) -> String {
        let given = input.workload.revision.workingDirectory ?? input.image.workingDirectory
        guard given.hasPrefix("/") else { return "/" }
        var parts: [Substring] = []
        for part in given.split(separator: "/") where part != "." {
            if part == ".." { _ = parts.popLast() } else { parts.append(part) }
        }
        return "/" + parts.joined(separator: "/")
    }

    private static func environment(_ input: SandboxInput) -> [String] {
        var given = input.workload.revision.environment
        var lines = input.image.environment.filter { line in
            guard let name = line.split(separator: "=", maxSplits: 1).first else { return false }
            return given[String(name)] == nil
        }
        if given["PATH"] == nil, !lines.contains(where: { $0.hasPrefix("PATH=") }) {
            given["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        }
        lines += given.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        return lines
    }

    private static func limits(_ revision: Revision) -> [String: ResourceLimit] {
        let wanted = revision.resources
        let none = ResourceLimit(soft: 0, hard: 0)
        let locked = revision.permissions.contains(.lockedMemory) ? wanted.memoryBytes : wanted.lockedBytes.hard
        return [
            "RLIMIT_NOFILE": wanted.openFiles, "RLIMIT_CORE": wanted.coreBytes,
            "RLIMIT_MEMLOCK": ResourceLimit(
                soft: min(wanted.lockedBytes.soft, locked), hard: min(wanted.lockedBytes.hard, locked)),
            "RLIMIT_MSGQUEUE": ResourceLimit(soft: 65_536, hard: 65_536),
            "RLIMIT_SIGPENDING": ResourceLimit(soft: 1024, hard: 1024),
            "RLIMIT_RTPRIO": none, "RLIMIT_NICE": none,
        ]
    }
}

extension RuntimeConfig {
    /// The object of `config.json`. Debian's crun refuses a version other than 1.0.x; every field here means the same in
    /// 1.2, and none that came later is used but `umask`, which crun has long known.
    public var value: DocumentValue {
        .object([
            "ociVersion": .string("1.0.2"), "hostname": .string(hostname), "process": process,
            "root": .object(["path": .string(root), "readonly": .bool(isRootReadOnly)]),
            "mounts": .array(mounts.map(\.value)), "annotations": .object(annotations.mapValues { .string($0) }),
            "linux": linux,
        ])
    }

    /// The bytes of `config.json`.
    public var json: [UInt8] { value.json }

    private var process: DocumentValue {
        let held = DocumentValue.array(capabilities.map { .string($0) })
        var fields: [String: DocumentValue] = [
            "terminal": .bool(hasTerminal), "args": .array(arguments.map { .string($0) }),
            "env": .array(environment.map { .string($0) }), "cwd": .string(workingDirectory),
            "noNewPrivileges": .bool(true),
            "user": .object([
                "uid": .integer(Int64(user.uid)), "gid": .integer(Int64(user.gid)), "umask": .integer(0o022),
                "additionalGids": .array(user.groups.map { .integer(Int64($0)) }),
            ]),
            "capabilities": .object([
                "bounding": held, "effective": held, "permitted": held, "inheritable": held, "ambient": held,
            ]),
            "rlimits": .array(
                limits.sorted { $0.key < $1.key }.map { name, limit in
                    .object([
                        "type": .string(name), "soft": .integer(Int64(limit.soft)), "hard": .integer(Int64(limit.hard)),
                    ])
                }),
        ]
        fields["apparmorProfile"] = appArmorProfile.map { .string($0) }
        return .object(fields)
    }

    private var linux: DocumentValue {
        let mapping = DocumentValue.array([
            .object([
                "containerID": .integer(0), "hostID": .integer(Int64(ids.first)),
                "size": .integer(Int64(IDRange.count)),
            ])
        ])
        var network: [String: DocumentValue] = ["type": .string("network")]
        network["path"] = networkNamespace.map { .string($0) }
        let others = ["pid", "ipc", "uts", "mount", "user", "cgroup"].map {
            DocumentValue.object(["type": .string($0)])
        }
        return .object([
            "namespaces": .array(others + [.object(network)]), "uidMappings": mapping, "gidMappings": mapping,
            "rootfsPropagation": .string("private"), "seccomp": seccomp.value,
            "maskedPaths": .array(Self.maskedPaths.map { .string($0) }),
            "readonlyPaths": .array(Self.readonlyPaths.map { .string($0) }),
        ])
    }
}
