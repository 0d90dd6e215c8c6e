/// Something that a workload sees at a path.
public struct SandboxMount: Sendable, Hashable {
    /// Where.
    public var destination: String
    /// The file system, or `bind`.
    public var type: String
    /// The node's path for a bind mount, otherwise the type again.
    public var source: String
    /// Options of `mount(8)`.
    public var options: [String]

    /// Makes a mount.
    public init(_ destination: String, type: String, source: String? = nil, _ options: [String]) {
        self.destination = destination
        self.type = type
        self.source = source ?? type
        self.options = options
    }

    var value: DocumentValue {
        .object([
            "destination": .string(destination), "type": .string(type), "source": .string(source),
            "options": .array(options.map { .string($0) }),
        ])
    }

    /// Everything that a sandbox mounts, in order: a mount below another comes after it.
    static func all(_ input: SandboxInput) -> [SandboxMount] {
        let revision = input.workload.revision
        return kernel(input) + (revision.isZip ? [FunctionPackage.mount(input)] : []) + names(input) + secrets(input)
            + volumes(input).sorted { $0.destination < $1.destination }
            + input.devices.map { device in
                SandboxMount(
                    device.target, type: "bind", source: device.path,
                    ["bind", "nosuid", "noexec", device.isWritable ? "rw" : "ro"])
            } + (revision.kind == .function ? [functionTmp(revision)] : [])
    }

    /// `/sys` is empty but for the workload's own cgroup: a sysfs shows the node's hardware, and one that is mounted
    /// for a namespace of the node's would be the node's own.
    private static func kernel(_ input: SandboxInput) -> [SandboxMount] {
        let shm = input.workload.revision.resources.shmBytes
        var mounts = [
            SandboxMount("/proc", type: "proc", ["nosuid", "noexec", "nodev"]),
            SandboxMount(
                "/dev", type: "tmpfs", ["nosuid", "noexec", "strictatime", "mode=755", "size=256k", "nr_inodes=512"]),
            SandboxMount(
                "/dev/pts", type: "devpts",
                ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5", "max=64"]),
            SandboxMount(
                "/dev/shm", type: "tmpfs",
                ["nosuid", "noexec", "nodev", "mode=1777", "size=\(shm)", "nr_inodes=\(inodes(shm))"]),
            SandboxMount(
                "/sys", type: "tmpfs", ["nosuid", "noexec", "nodev", "ro", "mode=755", "size=64k", "nr_inodes=64"]),
        ]
        if input.hasUnifiedCgroups {
            mounts.append(
                SandboxMount("/sys/fs/cgroup", type: "cgroup", ["nosuid", "noexec", "nodev", "relatime", "ro"]))
        }
        return mounts
    }

    /// Files that the agent writes, so that no image's links lead elsewhere.
    private static func names(_ input: SandboxInput) -> [SandboxMount] {
        ["hostname", "hosts", "resolv.conf"].map { name in
            SandboxMount(
                "/etc/\(name)", type: "bind", source: "\(input.paths.names)/\(name)",
                ["bind", "ro", "nosuid", "noexec", "nodev"])
        }
    }

    private static func secrets(_ input: SandboxInput) -> [SandboxMount] {
        input.workload.revision.secrets.enumerated().map { index, secret in
            SandboxMount(
                secret.target, type: "bind", source: "\(input.paths.secrets)/\(index)",
                ["bind", "ro", "nosuid", "noexec", "nodev"])
        }
    }

    private static func volumes(_ input: SandboxInput) -> [SandboxMount] {
        input.workload.revision.volumes.map { volume in
            let access = volume.isReadOnly ? "ro" : "rw"
            switch volume.source {
            case .persistent(let name, _, _):
                return SandboxMount(
                    volume.target, type: "bind", source: "\(input.paths.volumes)/\(name)",
                    ["bind", access, "nosuid", "nodev"])
            case .memory(let bytes, let mode):
                return SandboxMount(
                    volume.target, type: "tmpfs",
                    [
                        "nosuid", "nodev", access, "mode=\(String(mode, radix: 8))", "size=\(bytes)",
                        "nr_inodes=\(inodes(bytes))",
                    ])
            }
        }
    }

    private static func functionTmp(_ revision: Revision) -> SandboxMount {
        let bytes = revision.function?.tmpBytes ?? FunctionSettings().tmpBytes
        return SandboxMount(
            "/tmp", type: "tmpfs",
            ["nosuid", "nodev", "mode=1777", "size=\(bytes)", "nr_inodes=\(inodes(bytes))"])
    }

    /// An inode costs the kernel about 1 KiB that a size does not count.
    private static func inodes(_ bytes: UInt64) -> UInt64 { min(max(bytes / 4096, 64), 1 << 20) }
}
