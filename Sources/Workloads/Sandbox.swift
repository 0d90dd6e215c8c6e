public import Contract

/// What the image itself says about how it is run (OCI image specification 1.1, "config"), and what its files say
/// about the user.
public struct ImageDefaults: Sendable, Hashable {
    /// `Entrypoint`.
    public var entrypoint: [String]
    /// `Cmd`.
    public var command: [String]
    /// `Env`, in order.
    public var environment: [String]
    /// `WorkingDir`.
    public var workingDirectory: String
    /// The user that the document or the image names, looked up in the image's own `/etc/passwd` and `/etc/group`.
    public var user: SandboxUser

    /// Makes defaults.
    public init(
        entrypoint: [String] = [], command: [String] = [], environment: [String] = [],
        workingDirectory: String = "/", user: SandboxUser = SandboxUser()
    ) {
        self.entrypoint = entrypoint
        self.command = command
        self.environment = environment
        self.workingDirectory = workingDirectory
        self.user = user
    }
}

/// A user inside a workload.
public struct SandboxUser: Sendable, Hashable {
    /// Its number inside.
    public var uid: UInt32
    /// Its group inside.
    public var gid: UInt32
    /// Its further groups inside.
    public var groups: [UInt32]

    /// Makes a user; root by default, which is nobody outside.
    public init(uid: UInt32 = 0, gid: UInt32 = 0, groups: [UInt32] = []) {
        self.uid = uid
        self.gid = gid
        self.groups = groups
    }
}

/// Where the agent keeps what a revision needs. All paths are the node's.
public struct SandboxPaths: Sendable, Hashable {
    /// The directory of `config.json`, owner-only.
    public var bundle: String
    /// The root filesystem: an overlay of the verified image below and an empty upper directory, with the image's ids
    /// shifted into the range. Above is memory, or the quota's directory where the root may be written.
    public var root: String
    /// The directory of the workload's persistent volumes, one directory each.
    public var volumes: String
    /// A directory in memory with one file for each secret.
    public var secrets: String
    /// A directory with the files `hosts`, `hostname` and `resolv.conf` that the agent wrote.
    public var names: String
    /// The directory of the files of a function's zip, with their owners shifted into the range.
    public var task: String

    /// The usual places.
    public init(workload: WorkloadName, revision: Digest256) {
        let short = "\(revision)".prefix(12)
        bundle = "/run/apus/bundles/\(workload)-\(short)"
        root = "\(bundle)/rootfs"
        volumes = "/var/lib/apus/volumes/\(workload)"
        secrets = "/run/apus/secrets/\(workload)-\(short)"
        names = "\(bundle)/names"
        task = "\(bundle)/task"
    }
}

/// A device that was granted to a workload by a role and a grant, never by its document.
public struct GrantedDevice: Sendable, Hashable {
    /// The node's path of the device node.
    public var path: String
    /// Its path inside.
    public var target: String
    /// Whether it is a block device.
    public var isBlock: Bool
    /// Its major number.
    public var major: UInt32
    /// Its minor number.
    public var minor: UInt32
    /// Whether it may be written.
    public var isWritable: Bool

    /// Makes a granted device.
    public init(path: String, target: String, isBlock: Bool, major: UInt32, minor: UInt32, isWritable: Bool) {
        self.path = path
        self.target = target
        self.isBlock = isBlock
        self.major = major
        self.minor = minor
        self.isWritable = isWritable
    }
}

/// Everything that decides what a sandbox looks like.
public struct SandboxInput: Sendable, Hashable {
    /// The workload with the revision.
    public var workload: Workload
    /// The revision's name: the SHA-256 of its canonical bytes.
    public var revision: Digest256
    /// What the node allows.
    public var policy: NodePolicy
    /// The workload's ids.
    public var ids: IDRange
    /// The wire; nil gives a namespace with nothing but loopback.
    public var wire: NetworkPlan?
    /// What the image says.
    public var image: ImageDefaults
    /// Where things are.
    public var paths: SandboxPaths
    /// What was granted.
    public var devices: [GrantedDevice]
    /// The AppArmor profile that the agent has loaded; nil on a kernel without AppArmor.
    public var appArmorProfile: String?
    /// Whether the node has only cgroup v2, which the workload then sees a read-only part of.
    public var hasUnifiedCgroups: Bool
    /// Names one of a function's instances, in small letters, digits and hyphens; nil for anything else.
    public var instance: String?

    /// Makes an input with the usual paths.
    public init(
        workload: Workload, revision: Digest256, policy: NodePolicy, ids: IDRange, wire: NetworkPlan? = nil,
        image: ImageDefaults = ImageDefaults(), paths: SandboxPaths? = nil, devices: [GrantedDevice] = [],
        appArmorProfile: String? = AppArmor.profileName, hasUnifiedCgroups: Bool = true
    ) {
        self.workload = workload
        self.revision = revision
        self.policy = policy
        self.ids = ids
        self.wire = wire
        self.image = image
        self.paths = paths ?? SandboxPaths(workload: workload.name, revision: revision)
        self.devices = devices
        self.appArmorProfile = appArmorProfile
        self.hasUnifiedCgroups = hasUnifiedCgroups
    }
}

/// The sandbox of one running revision: values for others to carry out, compare and show.
public struct SandboxPlan: Sendable, Hashable {
    /// `config.json` of the bundle.
    public var runtimeConfig: RuntimeConfig
    /// The transient unit.
    public var unit: SystemdUnit
    /// The rules of its wire without published ports; nil without one.
    public var firewall: Firewall?
    /// Persistent volumes that must exist with their quotas.
    public var volumes: [VolumeQuota]
    /// Secrets' files that must exist.
    public var secrets: [SecretFile]
    /// What the root may grow to in bytes; nil where it is read-only.
    public var writableRootBytes: UInt64?

    /// A directory with a project quota (`quotactl(2)`).
    public struct VolumeQuota: Sendable, Hashable {
        /// The directory.
        public var path: String
        /// Its hard limit in bytes.
        public var bytes: UInt64
        /// Its hard limit of inodes.
        public var inodes: Int
        /// The node's owner of the directory: the workload's user.
        public var uid: UInt32
        /// The node's group of the directory.
        public var gid: UInt32
    }

    /// A file in memory.
    public struct SecretFile: Sendable, Hashable {
        /// The secret.
        public var name: WorkloadName
        /// The node's path.
        public var path: String
        /// The node's owner.
        public var uid: UInt32
        /// The node's group.
        public var gid: UInt32
        /// Its mode.
        public var mode: UInt16
    }
}

/// The sandbox policy: a pure function from a document, the node's policy and what was assigned.
public enum Sandbox {
    /// Computes the sandbox of a container, or of a function's instance.
    public static func plan(_ given: SandboxInput) throws(SandboxRefusal) -> SandboxPlan {
        let revision = given.workload.revision
        var input = given
        if revision.isZip { input.image = FunctionPackage.defaults(given.image) }
        try Permissions.check(revision, input.policy)
        var reasons: [String] = []
        if revision.kind == .vm { reasons.append("a virtual machine has no container sandbox") }
        if revision.hasNetwork, input.wire == nil {
            reasons.append("the document needs a network and none was assigned")
        }
        if !revision.hasNetwork, input.wire != nil { reasons.append("a network was assigned that no field asks for") }
        if RuntimeConfig.arguments(input).isEmpty {
            reasons.append("neither the document nor the image names a command")
        }
        let directory = RuntimeConfig.workingDirectory(input)
        if Self.kernelDirectories.contains(where: { directory == $0 || directory.hasPrefix($0 + "/") }) {
            reasons.append("the working directory '\(directory)' lies in the kernel's own files")
        }
        let user = input.image.user
        if ([user.uid, user.gid] + user.groups).contains(where: { $0 >= IDRange.count }) {
            reasons.append("user \(user.uid):\(user.gid) lies outside the \(IDRange.count) ids of a workload")
        }
        guard reasons.isEmpty else { throw SandboxRefusal(reasons) }
        return SandboxPlan(
            runtimeConfig: RuntimeConfig(input), unit: SystemdUnit(input),
            firewall: input.wire.map { Firewall(wire: $0, egress: revision.egress) }, volumes: volumes(input),
            secrets: secrets(input), writableRootBytes: revision.isRootReadOnly ? nil : revision.resources.diskBytes)
    }

    /// Below these a path may lead out of the root that it begins in, by a descriptor of the runtime's (CVE-2024-21626).
    private static let kernelDirectories = ["/proc", "/sys", "/dev"]

    private static func volumes(_ input: SandboxInput) -> [SandboxPlan.VolumeQuota] {
        input.workload.revision.volumes.compactMap { volume in
            guard case .persistent(let name, let bytes, let inodes) = volume.source else { return nil }
            return SandboxPlan.VolumeQuota(
                path: "\(input.paths.volumes)/\(name)", bytes: bytes, inodes: inodes,
                uid: input.ids.outer(input.image.user.uid), gid: input.ids.outer(input.image.user.gid))
        }
    }

    private static func secrets(_ input: SandboxInput) -> [SandboxPlan.SecretFile] {
        input.workload.revision.secrets.enumerated().map { index, secret in
            SandboxPlan.SecretFile(
                name: secret.source, path: "\(input.paths.secrets)/\(index)", uid: input.ids.outer(secret.uid),
                gid: input.ids.outer(secret.gid), mode: secret.mode)
        }
    }
}
