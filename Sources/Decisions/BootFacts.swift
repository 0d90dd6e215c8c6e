public import Contract

/// All that the boot decision looks at, gathered before it decides.
public struct BootFacts: Sendable, Equatable {
    /// The kernel command line.
    public var arguments: BootArguments
    /// The boot record.
    public var record: RecordReading
    /// The disk that carries our partitions; nil where there is none.
    public var disk: DiskFacts?
    /// The firmware's variables; `.absent` where there are none.
    public var firmware: FirmwareSnapshot
    /// SHA-256 of the site's CA key that this boot artifact trusts, where it is known.
    public var site: Digest256?
    /// Targets whose kexec was refused during this boot: they are not asked for that way again.
    public var kexecRefused: Set<StartTarget>

    /// Gathers facts.
    public init(
        arguments: BootArguments, record: RecordReading, disk: DiskFacts?, firmware: FirmwareSnapshot,
        site: Digest256? = nil, kexecRefused: Set<StartTarget> = []
    ) {
        self.arguments = arguments
        self.record = record
        self.disk = disk
        self.firmware = firmware
        self.site = site
        self.kexecRefused = kexecRefused
    }
}

/// A disk of ours, as it is found.
public struct DiskFacts: Sendable, Equatable {
    /// The kernel's name for the disk, such as `vda`.
    public var name: String
    /// Its partitions that are ours, with their own identifiers.
    public var partitions: [PartitionRole: GUID]
    /// What can be started: the FAT's boot sector is valid and the file lies at its path.
    public var startable: Set<StartTarget>

    /// Describes a disk.
    public init(name: String, partitions: [PartitionRole: GUID], startable: Set<StartTarget>) {
        self.name = name
        self.partitions = partitions
        self.startable = startable
    }

    /// Whether every partition that a node needs is there.
    public var isComplete: Bool { PartitionRole.allCases.allSatisfy { partitions[$0] != nil } }

    /// The file that starts a target, where its partition exists.
    public func file(of target: StartTarget, _ architecture: Architecture = .current) -> BootFile? {
        guard let partition = partitions[PartitionRole.boot(target)] else { return nil }
        switch target {
        case .slot: return BootFile(partition: partition, path: BootNames.slotPath)
        case .recovery: return BootFile(partition: partition, path: BootNames.recoveryPath(architecture))
        }
    }

    /// The target that lies on a partition, if one does.
    public func target(on partition: GUID) -> StartTarget? {
        StartTarget.allCases.first { partitions[PartitionRole.boot($0)] == partition }
    }
}

/// What this boot will do: immutable, and it leaves execution no choice.
///
/// Carried out in this order, each part durable before the next: `record`, `changes`, `action`. A change that the
/// firmware refuses, or a kexec that fails, is answered by deciding again with that fact.
public struct BootPlan: Sendable, Equatable {
    /// The record to store; nil leaves the one on the disk.
    public var record: BootRecord?
    /// Changes to the firmware's variables, in order.
    public var changes: [BootVariableChange]
    /// What happens then.
    public var action: Action
    /// Why, as a sentence for the console and the log.
    public var reason: String
    /// What the firmware did that it should not, and what to do about it; nil where it did as it was told.
    public var firmwareTrouble: String?

    /// How a boot ends.
    public enum Action: Sendable, Equatable {
        /// Set up verity, mount, switch root.
        case start(SlotStart)
        /// Restart; the firmware was told to start this.
        case reboot(into: StartTarget)
        /// Start this without the firmware.
        case kexec(StartTarget)
        /// Bring the network up and provision.
        case provision(ProvisioningCause)
    }
}

/// How a slot's system is started.
public struct SlotStart: Sendable, Equatable {
    /// The slot.
    public var slot: SlotName
    /// Its root filesystem, as the signed command line describes it.
    public var image: BootArguments.SlotImage
    /// The trial that it proves itself in, with the attempts left after this one; nil for a committed slot.
    public var trial: BootRecord.Trial?

    /// Describes a start.
    public init(slot: SlotName, image: BootArguments.SlotImage, trial: BootRecord.Trial?) {
        self.slot = slot
        self.image = image
        self.trial = trial
    }
}

/// Why a machine is provisioned.
public enum ProvisioningCause: String, Sendable, Codable {
    /// No disk carries a complete installation.
    case notInstalled = "not-installed"
    /// An earlier provisioning was cut short.
    case interrupted
    /// An operator asked for it.
    case requested
    /// Neither slot can be started or stays up.
    case slotsFailed = "slots-failed"
    /// The disk belongs to another site.
    case otherSite = "other-site"

    /// Whether the state partition and the node's key on the disk are this node's own and are kept unless the plan
    /// says otherwise.
    public var keepsState: Bool {
        switch self {
        case .interrupted, .requested, .slotsFailed: true
        case .notInstalled, .otherSite: false
        }
    }
}
