/// What stands between a hostile program and what it wants. A row of the battery names those that it relies on; the
/// unguarded run takes just these away.
public enum AttackGuard: String, Sendable, Codable, Hashable, CaseIterable {
    /// The system call filter.
    case filter = "system call filter"
    /// No capability, in any set.
    case noCapabilities = "no capabilities"
    /// A user namespace whose root is nobody outside.
    case userNamespace = "own user namespace"
    /// `no_new_privs`.
    case noNewPrivileges = "no_new_privs"
    /// A view of processes of its own.
    case processNamespace = "own processes"
    /// A view of control groups that ends at its own.
    case groupNamespace = "own control groups"
    /// A network of its own, empty but for a wire that was asked for.
    case networkNamespace = "own network"
    /// Files of the kernel that read as empty.
    case maskedPaths = "masked paths"
    /// Files of the kernel that cannot be written.
    case readOnlyPaths = "read-only paths"
    /// A root file system that cannot be written.
    case readOnlyRoot = "read-only root"
    /// No sysfs: `/sys` is empty but for a read-only view of the own cgroup.
    case emptySys = "no sysfs"
    /// A `/dev` with seven harmless devices and terminals.
    case ownDevices = "own /dev"
    /// systemd's device rules.
    case devicePolicy = "device rules"
    /// `nosuid` and `nodev` on whatever can be written.
    case mountFlags = "nosuid, nodev"
    /// The AppArmor profile.
    case appArmor = "AppArmor profile"
    /// `MemoryMax`, no swap, group kill.
    case memoryLimit = "memory limit"
    /// `TasksMax`.
    case processLimit = "process limit"
    /// `CPUQuota` and weights.
    case processorLimit = "processor limit"
    /// `IOReadBandwidthMax` and its like.
    case trafficLimit = "disk traffic limit"
    /// Sizes and inodes of file systems in memory.
    case memoryFileSizes = "sizes of tmpfs"
    /// Project quotas of volumes.
    case quota = "volume quota"
    /// Limits of descriptors, locked memory and priorities.
    case resourceLimits = "resource limits"
    /// How much of a log is taken.
    case logRate = "log rate limit"
    /// The wire's rules.
    case firewall = "wire's rules"
    /// The runtime's own precautions while it enters a container.
    case runtime = "runtime's precautions"
    /// What layers may not have.
    case layerRules = "layer rules"
    /// Devices and file systems that no two workloads share.
    case ownImage = "own image device"
}

/// One thing that a row tries.
public struct AttackAttempt: Sendable, Hashable {
    /// Its name in the program `apus-attack`.
    public var name: String
    /// What the kernel may say to it in full posture: names of errors and signals, and the program's words.
    public var accepted: Set<String>
    /// What it may say without guards besides `succeeded`, because not every machine has what is attacked.
    public var missing: Set<String>

    init(_ name: String, _ accepted: Set<String>, missing: Set<String> = []) {
        self.name = name
        self.accepted = accepted
        self.missing = missing
    }
}

/// A row of the battery.
public struct AttackRow: Sendable, Hashable {
    /// Its name in the program, and in tables.
    public var name: String
    /// What it tries, for people.
    public var summary: String
    /// What it relies on.
    public var guards: [AttackGuard]
    /// What is tried; all of them must be refused.
    public var attempts: [AttackAttempt]
    /// Whether it uses something up, so that a victim's latency is judged.
    public var isExhaustion = false
    /// Who plays it, and how.
    public var stage = Stage.container

    /// Where a row is played.
    public enum Stage: String, Sendable, Hashable {
        /// By `apus workload exec` in the attacker.
        case container
        /// The same, by itself: it ends the attacker.
        case alone
        /// By a workload of its own, whose end and log say what happened.
        case workload
        /// In the attacker, while commands enter it from outside.
        case entered
        /// In the attacker, which has a wire.
        case wired
        /// By an image that is refused.
        case image
        /// By comparing two workloads.
        case pair
    }

    /// Without guards it would harm the machine on which it succeeds, or change it for others: throw-away machines only.
    public var isHarmful = false

    init(
        _ name: String, _ summary: String, _ guards: [AttackGuard], _ attempts: [AttackAttempt],
        isExhaustion: Bool = false, stage: Stage = .container, isHarmful: Bool = false
    ) {
        self.name = name
        self.summary = summary
        self.guards = guards
        self.attempts = attempts
        self.isExhaustion = isExhaustion
        self.stage = stage
        self.isHarmful = isHarmful
    }

    /// Whether it needs seconds, for the victim's sake or its own.
    public var isSlow: Bool { isExhaustion || stage == .entered || stage == .image }

    /// The row of that name.
    public static func named(_ name: String) -> AttackRow? { all.first { $0.name == name } }

    /// All rows, in the order in which they are played.
    public static let all: [AttackRow] = exhaustion + kernel + files + network + images
}
