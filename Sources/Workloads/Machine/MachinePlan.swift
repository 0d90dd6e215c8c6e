public import Contract

/// Everything that decides what a machine looks like.
public struct MachineInput: Sendable, Hashable {
    /// The workload with the revision.
    public var workload: Workload
    /// The revision's name.
    public var revision: Digest256
    /// What the node allows.
    public var policy: NodePolicy
    /// The workload's ids.
    public var ids: IDRange
    /// The wire; nil gives no network card.
    public var wire: NetworkPlan?
    /// What the node offers.
    public var host: MachineHost
    /// What the image holds.
    public var parts: MachineParts
    /// Where things are.
    public var paths: MachinePaths
    /// The agent's own program, which asks a machine to end.
    public var agent: String

    /// Makes an input.
    public init(
        workload: Workload, revision: Digest256, policy: NodePolicy, ids: IDRange, wire: NetworkPlan? = nil,
        host: MachineHost, parts: MachineParts, paths: MachinePaths, agent: String = "/usr/lib/apus/apus-agent"
    ) {
        self.workload = workload
        self.revision = revision
        self.policy = policy
        self.ids = ids
        self.wire = wire
        self.host = host
        self.parts = parts
        self.paths = paths
        self.agent = agent
    }

    var settings: MachineSettings { workload.revision.machine ?? MachineSettings() }
}

/// The machine of one running revision: values for others to carry out, compare and show.
public struct MachinePlan: Sendable, Hashable {
    /// The program and its arguments, as the machine's user runs it.
    public var qemu: [String]
    /// The transient unit.
    public var unit: SystemdUnit
    /// The node's user and group that QEMU is, and that its disk belongs to.
    public var user: UInt32
    /// The size of its own disk in bytes; nil for none.
    public var diskBytes: UInt64?
    /// What the directory of its own disk may grow to, in bytes.
    public var diskQuotaBytes: UInt64
    /// Whether it has variables of a firmware beside its disk.
    public var hasVariables: Bool
    /// The seed's volume.
    public var seed: [UInt8]
    /// What runs its processors.
    public var accelerator: Accelerator

    /// The machine's user inside the workload's ids. Disk images for Kubernetes belong to 107, as Debian's and others'
    /// QEMU did; what is readable for all fits as well.
    public static let innerUser: UInt32 = 107
    /// What QEMU, its firmware and its buffers take beside the machine's memory, in bytes.
    public static let overheadBytes: UInt64 = 96 << 20
    /// What QEMU's translator keeps of translated code, in MiB.
    public static let translationMebibytes = 64
    /// Threads of QEMU's own: its loop, its monitor, its console's pipe and up to 64 that wait for disks.
    static let tasks = 96

    /// Computes the machine.
    public init(_ input: MachineInput) throws(SandboxRefusal) {
        try Permissions.check(input.workload.revision, input.policy)
        let reasons = Self.reasons(input)
        guard reasons.isEmpty else { throw SandboxRefusal(reasons) }
        let settings = input.settings
        let size = settings.diskBytes ?? input.parts.disk?.virtualBytes
        diskBytes = size.map { ($0 + 511) / 512 * 512 }
        hasVariables = settings.firmware == .uefi
        // A disk's own tables take less than a thousandth of it.
        diskQuotaBytes = (diskBytes ?? 0) + (diskBytes ?? 0) / 1024 + (16 << 20)
        user = input.ids.outer(Self.innerUser)
        accelerator = input.host.accelerator
        seed = MachineSeed(input).volume
        qemu = QEMUArguments(input, hasDisk: diskBytes != nil).words
        unit = SystemdUnit(input, qemu: qemu)
    }

    private static func reasons(_ input: MachineInput) -> [String] {
        let revision = input.workload.revision
        let settings = input.settings
        var reasons = input.host.refusals(settings.firmware)
        if revision.kind != .vm { reasons.append("only a virtual machine has a machine") }
        if revision.hasNetwork != (input.wire != nil) {
            reasons.append(
                input.wire == nil
                    ? "the document needs a network and none was assigned"
                    : "a network was assigned that no field asks for")
        }
        if revision.resources.memoryBytes < smallestMemory(settings.firmware) {
            let least = WorkloadUnits.text(bytes: smallestMemory(settings.firmware))
            reasons.append("mem_limit is the machine's memory, and a machine with this firmware needs \(least)")
        }
        for path in input.parts.paths where !MachineParts.isPlain(path) {
            reasons.append("the image names a file of its with other characters than letters, digits, '.', '_', '-'")
        }
        return reasons + image(input)
    }

    private static func smallestMemory(_ firmware: MachineSettings.Firmware) -> UInt64 {
        firmware == .uefi ? 128 << 20 : 32 << 20
    }

    /// What the image must hold, and what its disk must fit.
    private static func image(_ input: MachineInput) -> [String] {
        let settings = input.settings
        var reasons: [String] = []
        switch settings.firmware {
        case .uefi:
            if input.parts.disk == nil { reasons.append("the image has no disk, which vm.firmware: uefi starts from") }
        case .kernel:
            if input.parts.kernel == nil {
                reasons.append("the image has no kernel, which vm.firmware: kernel starts")
            }
        }
        if let wanted = settings.diskBytes, let disk = input.parts.disk, wanted < disk.virtualBytes {
            let least = WorkloadUnits.text(bytes: disk.virtualBytes)
            reasons.append("vm.disk_size is smaller than the image's disk of \(least)")
        }
        if let disk = input.parts.disk, !(512...Qcow2Header.largestDiskBytes).contains(disk.virtualBytes) {
            reasons.append("the image's disk is empty, or larger than any disk may be")
        }
        return reasons
    }
}
