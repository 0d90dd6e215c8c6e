extension SystemdUnit {
    /// The name of the agent's program that asks a machine to end.
    public static let machineStopArgument = "machine-stop"

    /// The unit of a machine.
    init(_ input: MachineInput, qemu: [String]) {
        let revision = input.workload.revision
        let user = input.ids.outer(MachinePlan.innerUser)
        let drop = Self.drop(to: user, group: input.host.accelerator == .kvm ? input.host.kvmGroup : 0)
        // The console's pipe is read by a process of the unit's own, which ends with it.
        let script = #"cat "$0" & exec "$@""#
        var limits = revision.resources
        limits.memoryBytes += MachinePlan.overheadBytes
        if input.host.accelerator == .tcg { limits.memoryBytes += UInt64(MachinePlan.translationMebibytes) << 20 }
        limits.pids = MachinePlan.tasks + (revision.resources.milliCPUs + 999) / 1000
        name = Self.name(input.workload.name, input.revision)
        description = "Apus workload \(input.workload.name)"
        command = drop + ["/bin/sh", "-c", script, input.paths.consoleLog] + qemu
        stopCommand =
            drop + [input.agent, Self.machineStopArgument, input.paths.monitor, "\(revision.stopGraceMilliseconds)"]
        cleanUp = []
        properties =
            [UnitProperty("Slice", Self.slice), UnitProperty("Type", "exec")] + Self.limits(limits)
            + Self.machineDevices(input) + Self.machineStopping(revision) + Self.restarting(revision.restart)
            + Self.logging(revision.resources, name: "\(input.workload.name)-\("\(input.revision)".prefix(12))")
            + Self.files(input) + Self.confinement(input)
    }

    /// Becomes the machine's user, which no file of the system knows and systemd therefore does not take for a user
    /// (setpriv(1)).
    public static func drop(to user: UInt32, group: UInt32) -> [String] {
        ["/usr/bin/setpriv", "--reuid=\(user)", "--regid=\(user)"]
            + [group > 0 ? "--groups=\(group)" : "--clear-groups"]
            + ["--inh-caps=-all", "--bounding-set=-all", "--no-new-privs", "--"]
    }

    private static func machineDevices(_ input: MachineInput) -> [UnitProperty] {
        [UnitProperty("DevicePolicy", "closed")]
            + (input.host.accelerator == .kvm ? [UnitProperty("DeviceAllow", "/dev/kvm rw")] : [])
            // Opens the one interface that belongs to its user; making others takes a capability.
            + (input.wire == nil ? [] : [UnitProperty("DeviceAllow", "/dev/net/tun rw")])
    }

    /// `ExecStop` presses the power button, waits, and kills; what is left then is systemd's.
    private static func machineStopping(_ revision: Revision) -> [UnitProperty] {
        [
            UnitProperty("KillMode", "mixed"), UnitProperty("KillSignal", "SIGTERM"),
            UnitProperty("TimeoutStopSec", "\(revision.stopGraceMilliseconds + 5000)ms"),
            UnitProperty("SendSIGKILL", "yes"), UnitProperty("TimeoutStartSec", "60s"),
        ]
    }

    /// Of the node's files it sees `/usr` and its bundle. What is empty here has nothing that it could read.
    private static func files(_ input: MachineInput) -> [UnitProperty] {
        [
            UnitProperty("ProtectSystem", "strict"),
            UnitProperty("TemporaryFileSystem", "/etc:ro /run:ro /tmp:ro /var:ro"),
            UnitProperty(
                "InaccessiblePaths", "-/boot -/efi -/home -/root -/srv -/opt -/mnt -/media -/sys/firmware"),
            UnitProperty("BindPaths", input.paths.bundle),
            UnitProperty("PrivateIPC", "yes"), UnitProperty("UMask", "0077"),
        ]
    }

    private static func confinement(_ input: MachineInput) -> [UnitProperty] {
        let network = input.paths.namespace.map { UnitProperty("NetworkNamespacePath", $0) }
        return [network ?? UnitProperty("PrivateNetwork", "yes")] + [
            UnitProperty("NoNewPrivileges", "yes"),
            // To become the machine's user, who has none.
            UnitProperty("CapabilityBoundingSet", "CAP_SETUID CAP_SETGID CAP_SETPCAP"),
            UnitProperty("ProtectProc", "invisible"), UnitProperty("ProtectKernelTunables", "yes"),
            UnitProperty("ProtectKernelModules", "yes"), UnitProperty("ProtectKernelLogs", "yes"),
            UnitProperty("ProtectControlGroups", "yes"), UnitProperty("ProtectHostname", "yes"),
            UnitProperty("RestrictNamespaces", "yes"), UnitProperty("RestrictRealtime", "yes"),
            UnitProperty("RestrictSUIDSGID", "yes"), UnitProperty("RestrictAddressFamilies", "AF_UNIX"),
            UnitProperty("LockPersonality", "yes"), UnitProperty("SystemCallArchitectures", "native"),
            UnitProperty("SystemCallFilter", "@system-service seccomp"),
            UnitProperty("SystemCallFilter", "~@keyring @aio userfaultfd name_to_handle_at kcmp vmsplice"),
            UnitProperty("SystemCallErrorNumber", "EPERM"),
        ]
            // The translator writes the code that it runs.
            + (input.host.accelerator == .kvm ? [UnitProperty("MemoryDenyWriteExecute", "yes")] : [])
    }
}
