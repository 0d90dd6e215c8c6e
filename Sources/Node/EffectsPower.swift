internal import Contract
public import Decisions
internal import Linux
public import Sequences
internal import Slots

/// How an early boot ends, for real.
public final class NodePower: PowerEffect {
    static let newRoot = "/sysroot"
    /// The kernel's own limit is 2048 bytes on amd64 (COMMAND_LINE_SIZE).
    private static let commandLineLimit = 2047

    private let context: EarlyContext
    private let use: DiskInUse

    /// Makes it over what was learnt and the disk in use.
    public init(_ context: EarlyContext, _ use: DiskInUse) {
        self.context = context
        self.use = use
    }

    /// Restarts through the firmware.
    public func reboot() throws {
        context.log.log("restarting")
        context.log.flush()
        try Machine.perform(.reboot)
    }

    /// Switches off, with the watchdog stopped where that is possible: it would switch the machine on again.
    public func powerOff() throws {
        context.log.log("switching off")
        context.log.flush()
        context.keeper?.disarm()
        try Machine.perform(.powerOff)
    }

    // MARK: - kexec

    /// Verifies a target's UKI against the record, takes it apart in memory, and starts its kernel.
    public func kexec(_ target: StartTarget) throws {
        let disk = try use.get()
        let device = try disk.open(PartitionRole.boot(target), writable: false)
        let path = InstalledDisk.path(of: target)
        try verify(target, path: path, on: device)
        let image = try UnifiedKernelImage(try FATVolume(device).open(path))
        var commandLine = try image.commandLine()
        if case .slot(let slot) = target { commandLine += " apus.slot=\(slot.rawValue) apus.kexec=1" }
        guard commandLine.utf8.count <= Self.commandLineLimit else {
            throw NodeError("the command line of \(target) is longer than \(Self.commandLineLimit) bytes")
        }
        let kernel = try OwnedDescriptor.inMemory(name: "kernel")
        try image.stream(".linux") { try kernel.write($0) }
        let initrd = try OwnedDescriptor.inMemory(name: "initrd")
        // Microcode comes first, where there is any, as the stub has it.
        for name in [".ucode", ".initrd"] where image.sections.contains(where: { $0.name == name }) {
            try image.stream(name) { try initrd.write($0) }
        }
        try Machine.loadKernel(kernel, initialRAMFileSystem: initrd, commandLine: commandLine)
        context.log.log("starting \(target) by kexec")
        context.log.flush()
        context.keeper?.alive(forSeconds: 60)
        try Machine.perform(.kexec)
    }

    private func verify(_ target: StartTarget, path: String, on device: any BlockDevice) throws {
        guard let record = NodeBootRecord(use).load().record else { return try verifyWithoutRecord(target, device) }
        let expected: Digest256?
        switch target {
        case .slot(let slot): expected = record[slot].installed?.ukiDigest
        case .recovery: expected = record.recovery?.digest
        }
        guard let expected else { return try verifyWithoutRecord(target, device) }
        let found = try SlotVerifier.digest(of: path, on: device).sha256
        guard found == expected else {
            throw NodeError("the file of \(target) is not the one that was installed: it has SHA-256 \(found)")
        }
    }

    /// A UKI became bootable only after its slot was verified; a record that was lost cannot say more. What it starts
    /// must be on the disk.
    private func verifyWithoutRecord(_ target: StartTarget, _ device: any BlockDevice) throws {
        guard case .slot(let slot) = target else { return }
        let image = try SlotVerifier.describe(device).image
        try SlotVerifier.verifyQuickly(try use.get().slot(slot, writable: false), holds: image)
    }

    // MARK: - Starting a slot

    /// Sets up verity, mounts root and state, and switches to the slot's system.
    public func start(_ start: SlotStart) throws {
        let disk = try use.get()
        let device = try DeviceMapper.create(
            DeviceMapper.Verity(
                name: RunningSystem.rootDeviceName, dataDevice: try disk.partition(.root(start.slot)).path,
                treeDevice: try disk.partition(.tree(start.slot)).path, blocks: start.image.blocks,
                rootHash: start.image.rootHash.description, salt: start.image.salt.lowercaseHex))
        try Mounts.mount(device, on: Self.newRoot, type: "erofs", flags: .readOnly)
        let state = try disk.partition(.state).path
        context.keeper?.alive(forSeconds: StateFileSystem.longestSeconds)
        try StateFileSystem.check(state)
        try StateFileSystem.mount(state, on: Self.newRoot + "/var", readOnly: false)
        let files = NodeFiles(stateMountedAt: Self.newRoot + "/var")
        try files.prepare()
        try bindMachineID(files)
        try writeNetworkFiles(files)
        try report(start, disk)
        context.log.log("starting slot \(start.slot.letter), version \(start.image.version)")
        context.log.flush()
        context.keeper?.handOver()
        try Mounts.switchRoot(
            to: Self.newRoot, program: "/sbin/init", arguments: ["/sbin/init"],
            environment: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=linux"])
    }

    /// systemd wants a machine id before it runs; the root is read-only, so the one in the state is shown over it.
    private func bindMachineID(_ files: NodeFiles) throws {
        let current = try files.text(.machineID) ?? ""
        if !MachineID.isValid(current) {
            try Files.writeDurably(
                Array((try Randomness.bytes(16).lowercaseHex + "\n").utf8), to: files.path(.machineID), mode: 0o444)
        }
        let target = Self.newRoot + "/etc/machine-id"
        guard Files.exists(target) else {
            context.log.log("ignoring that the root has no /etc/machine-id: systemd will make one up at each start")
            return
        }
        try Mounts.bindFile(files.path(.machineID), over: target)
    }

    private func writeNetworkFiles(_ files: NodeFiles) throws {
        let folder = "/run/systemd/network"
        try Files.makeDirectory(folder)
        var settings: NetworkSettings?
        do {
            settings = try files.value(NetworkSettings.self, .network)
            if let known = settings { settings = try NetworkRules.checked(known, source: "network.json") }
        } catch {
            context.log.log("ignoring the network settings, every card asks DHCP: \(error)")
        }
        for file in NetworkdFiles.render(settings) {
            try Files.writeDurably(Array(file.text.utf8), to: folder + "/" + file.name, mode: 0o644)
        }
    }

    private func report(_ start: SlotStart, _ disk: InstalledDisk) throws {
        let arguments = try BootArguments(commandLine: try Machine.commandLine())
        if let trial = start.trial {
            try Guardian.leave(
                deadlineSeconds: Clock.bootSeconds() + Int64(trial.deadlineSeconds) + RunningSystem.guardianGraceSeconds
            )
        }
        let entry = NodeFirmware().snapshot().current
        try RunningSystem(
            slot: start.slot, bootEntry: arguments.isKexec ? nil : entry, startedByFirmware: !arguments.isKexec,
            disk: disk.name, events: context.events()
        ).save()
    }
}

/// machine-id(5).
enum MachineID {
    static func isValid(_ text: String) -> Bool {
        let line = text.split(separator: "\n").first ?? ""
        guard line.utf8.count == 32, let bytes = [UInt8](lowercaseHex: line) else { return false }
        return bytes.contains { $0 != 0 }
    }
}
