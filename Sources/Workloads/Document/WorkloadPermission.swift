import Contract

/// A named loosening of the default posture. A document asks for it, and the node's policy must allow it.
///
/// These are all that exist: whatever is not named here cannot be had.
public enum WorkloadPermission: String, Sendable, Codable, Hashable, CaseIterable, Comparable {
    /// A root filesystem that may be written, within `storage_opt.size`, and is thrown away at the end.
    case writableRoot = "writable-root"
    /// Changing the owner of files (CAP_CHOWN), inside the workload's own user namespace like all capabilities here.
    case capabilityChown = "capability.chown"
    /// Passing over file permissions (CAP_DAC_OVERRIDE).
    case capabilityDACOverride = "capability.dac-override"
    /// Acting as the owner of any file (CAP_FOWNER).
    case capabilityFowner = "capability.fowner"
    /// Keeping set-id bits when a file is changed (CAP_FSETID).
    case capabilityFsetid = "capability.fsetid"
    /// Sending signals to every process of the workload (CAP_KILL).
    case capabilityKill = "capability.kill"
    /// Becoming another group of the workload (CAP_SETGID).
    case capabilitySetgid = "capability.setgid"
    /// Becoming another user of the workload (CAP_SETUID).
    case capabilitySetuid = "capability.setuid"
    /// Changing the root directory (CAP_SYS_CHROOT).
    case capabilityChroot = "capability.sys-chroot"
    /// Tracing and reading the memory of the workload's own processes: ptrace, process_vm_readv, process_vm_writev,
    /// kcmp, pidfd_getfd.
    case debugging
    /// Locking memory, up to the workload's whole memory.
    case lockedMemory = "locked-memory"
    /// An allow-list with ranges so wide that they are no list: IPv4 shorter than /8, IPv6 shorter than /16.
    case wideEgress = "wide-egress"
    /// Publishing ports of the node below 1024.
    case lowPorts = "low-ports"
    /// More than 10 seconds from the signal to stop until the kill.
    case slowStop = "slow-stop"

    /// By name.
    public static func < (first: WorkloadPermission, second: WorkloadPermission) -> Bool {
        first.rawValue < second.rawValue
    }

    /// The Linux capability that it grants, as `capabilities(7)` writes it; nil for the others.
    public var capability: String? {
        switch self {
        case .capabilityChown: "CAP_CHOWN"
        case .capabilityDACOverride: "CAP_DAC_OVERRIDE"
        case .capabilityFowner: "CAP_FOWNER"
        case .capabilityFsetid: "CAP_FSETID"
        case .capabilityKill: "CAP_KILL"
        case .capabilitySetgid: "CAP_SETGID"
        case .capabilitySetuid: "CAP_SETUID"
        case .capabilityChroot: "CAP_SYS_CHROOT"
        default: nil
        }
    }
}

/// What a node lets its workloads have. The default allows no loosening and bounds nothing beyond a document's own.
public struct NodePolicy: Sendable, Codable, Hashable {
    /// The version of this format.
    public var format = wireFormat
    /// Permissions that documents may ask for.
    public var permissions: Set<WorkloadPermission>
    /// The most memory of one workload in bytes; nil for no bound.
    public var maximumMemoryBytes: UInt64?
    /// The most thousandths of a processor of one workload; nil for no bound.
    public var maximumMilliCPUs: Int?
    /// The most processes of one workload.
    public var maximumPIDs: Int
    /// The most bytes of one persistent volume; nil for no bound.
    public var maximumVolumeBytes: UInt64?
    /// The first port of the node that may be published where nothing is loosened.
    public var firstPublishedPort: UInt16
    /// Ports of the node that are never published: its own services.
    public var reservedPorts: Set<UInt16>

    /// Makes a policy; the defaults loosen nothing.
    public init(
        permissions: Set<WorkloadPermission> = [], maximumMemoryBytes: UInt64? = nil, maximumMilliCPUs: Int? = nil,
        maximumPIDs: Int = 4096, maximumVolumeBytes: UInt64? = nil, firstPublishedPort: UInt16 = 1024,
        reservedPorts: Set<UInt16> = [22, 53]
    ) {
        self.permissions = permissions
        self.maximumMemoryBytes = maximumMemoryBytes
        self.maximumMilliCPUs = maximumMilliCPUs
        self.maximumPIDs = maximumPIDs
        self.maximumVolumeBytes = maximumVolumeBytes
        self.firstPublishedPort = firstPublishedPort
        self.reservedPorts = reservedPorts
    }

    private enum CodingKeys: String, CodingKey {
        case format, permissions, maximumMemoryBytes, maximumMilliCPUs, maximumPIDs, maximumVolumeBytes
        case firstPublishedPort, reservedPorts
    }

    /// Writes sets in order, so that equal policies are equal bytes: an assignment is known by the digest of them.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(format, forKey: .format)
        try container.encode(permissions.sorted(), forKey: .permissions)
        try container.encodeIfPresent(maximumMemoryBytes, forKey: .maximumMemoryBytes)
        try container.encodeIfPresent(maximumMilliCPUs, forKey: .maximumMilliCPUs)
        try container.encode(maximumPIDs, forKey: .maximumPIDs)
        try container.encodeIfPresent(maximumVolumeBytes, forKey: .maximumVolumeBytes)
        try container.encode(firstPublishedPort, forKey: .firstPublishedPort)
        try container.encode(reservedPorts.sorted(), forKey: .reservedPorts)
    }
}
