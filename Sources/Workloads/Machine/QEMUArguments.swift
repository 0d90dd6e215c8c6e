/// QEMU's arguments for one machine (qemu(1)): nothing by default, nothing from files, nothing that a document or an
/// image could add an option to.
struct QEMUArguments {
    private let input: MachineInput
    private let hasDisk: Bool

    init(_ input: MachineInput, hasDisk: Bool) {
        self.input = input
        self.hasDisk = hasDisk
    }

    /// Obsolete system calls, other user ids, new processes, and priorities: none is needed once it runs.
    static let sandbox = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"

    /// Without firmware and with KVM. A microvm has no timer that a kernel could measure its processor's clock by: KVM
    /// tells the clock, the translator does not, and a kernel then may stop at its start for ever.
    private var isMicro: Bool { input.settings.firmware == .kernel && input.host.accelerator == .kvm }
    private var resources: WorkloadResources { input.workload.revision.resources }
    private var paths: MachinePaths { input.paths }

    /// The program and all its arguments.
    var words: [String] {
        [MachineHost.program, "-name", "guest=\(input.workload.name)", "-nodefaults", "-no-user-config"]
            + ["-sandbox", Self.sandbox, "-display", "none", "-vga", "none", "-rtc", "base=utc"]
            + machine + processors + channels + start + disks + network
    }

    /// `microvm` has no PCI bus, no firmware of a PC and starts at once; its power button is that of ACPI, as a PC's is.
    private var machine: [String] {
        guard isMicro else {
            let timer = input.host.accelerator == .kvm ? ",hpet=off" : ""
            let flash = input.settings.firmware == .uefi ? ",pflash0=firmware,pflash1=variables" : ""
            return ["-machine", "q35,smm=off,vmport=off\(timer)\(flash)", "-boot", "strict=on"]
        }
        // Without its old interface a virtio device is one that every kernel since 2014 knows.
        return ["-machine", "microvm,acpi=on,rtc=on", "-global", "virtio-mmio.force-legacy=off"]
    }

    private var processors: [String] {
        let count = max(1, (resources.milliCPUs + 999) / 1000)
        let memory = ["-smp", "\(min(count, 255))", "-m", "\(resources.memoryBytes >> 20)M"]
        switch input.host.accelerator {
        case .kvm: return ["-accel", "kvm", "-cpu", "host"] + memory
        case .tcg: return ["-accel", "tcg,tb-size=\(MachinePlan.translationMebibytes)", "-cpu", "max"] + memory
        }
    }

    /// The monitor and the console are sockets in a directory of the machine's own; what the console shows goes to the
    /// journal as well, whether anybody is attached or not.
    private var channels: [String] {
        [
            "-chardev", "socket,id=monitor,path=\(paths.monitor),server=on,wait=off",
            "-mon", "chardev=monitor,mode=control",
            "-chardev",
            "socket,id=console,path=\(paths.console),server=on,wait=off,logfile=\(paths.consoleLog),logappend=on",
            "-serial", "chardev:console", "-object", "rng-builtin,id=random",
            "-device", device("virtio-rng", 0) + ",rng=random",
        ]
    }

    private var start: [String] {
        switch input.settings.firmware {
        case .uefi:
            return file("firmware", MachineHost.firmware, readOnly: true) + file("variables", paths.variables)
        case .kernel:
            let initrd = input.parts.initrd.map { ["-initrd", "\(paths.image)/\($0)"] } ?? []
            return ["-kernel", "\(paths.image)/\(input.parts.kernel ?? "")"] + initrd
                + ["-append", kernelArguments]
        }
    }

    /// The document's words, and the address, where there is one and they do not name one themselves
    /// (Linux, "nfsroot", `ip=`).
    var kernelArguments: String {
        let own = input.settings.kernelArguments
        let words = own.isEmpty ? "console=ttyS0" : own
        guard let wire = input.wire, !words.split(separator: " ").contains(where: { $0.hasPrefix("ip=") }) else {
            return words
        }
        let name = input.workload.revision.hostname ?? input.workload.name.rawValue
        return "\(words) ip=\(wire.guestVersion4)::\(wire.hostVersion4):255.255.255.254:\(name):eth0:off"
    }

    /// Each layer is named here: what an image says of files below it is not looked at.
    private var disks: [String] {
        var words: [String] = []
        if hasDisk {
            if let base = input.parts.disk {
                words += layer(
                    "base", "\(paths.image)/\(base.path)", base.format, readOnly: true,
                    backing: base.format == .qcow2 ? .null : nil)
            }
            words += layer(
                "disk", paths.disk, .qcow2, readOnly: false,
                backing: input.parts.disk == nil ? .null : .string("base"))
            // A kernel that is given with `-kernel` is itself the first to be started.
            let order = input.settings.firmware == .uefi ? ",bootindex=0" : ""
            words += ["-device", device("virtio-blk", 1) + ",drive=disk,serial=disk" + order]
        }
        return words + layer("seed", paths.seed, .raw, readOnly: true, backing: nil)
            + ["-device", device("virtio-blk", 2) + ",drive=seed,serial=seed"]
    }

    private var network: [String] {
        guard let wire = input.wire else { return [] }
        return [
            "-netdev", "tap,id=net,ifname=\(NetworkPlan.tapInterface),script=no,downscript=no,vhost=off",
            "-device", device("virtio-net", 3) + ",netdev=net,mac=\(wire.guestMAC)" + (isMicro ? "" : ",romfile="),
        ]
    }

    private func device(_ name: String, _ slot: Int) -> String {
        isMicro ? "\(name)-device,bus=virtio-mmio-bus.\(slot)" : "\(name)-pci"
    }

    private func layer(
        _ name: String, _ path: String, _ format: MachineParts.Disk.Format, readOnly: Bool, backing: DocumentValue?
    ) -> [String] {
        var fields: [String: DocumentValue] = [
            "driver": .string(format.rawValue), "node-name": .string(name), "file": .string("\(name)-file"),
            "read-only": .bool(readOnly),
        ]
        fields["backing"] = backing
        if !readOnly { fields["discard"] = .string("unmap") }
        return file("\(name)-file", path, readOnly: readOnly, driver: "file") + Self.block(fields)
    }

    private func file(_ name: String, _ path: String, readOnly: Bool = false, driver: String = "raw") -> [String] {
        guard driver == "file" else {
            return file("\(name)-file", path, readOnly: readOnly, driver: "file")
                + Self.block([
                    "driver": .string(driver), "node-name": .string(name), "file": .string("\(name)-file"),
                    "read-only": .bool(readOnly),
                ])
        }
        return Self.block([
            "driver": .string("file"), "node-name": .string(name), "filename": .string(path),
            "read-only": .bool(readOnly), "discard": .string("unmap"),
        ])
    }

    private static func block(_ fields: [String: DocumentValue]) -> [String] {
        ["-blockdev", String(decoding: DocumentValue.object(fields).json, as: UTF8.self)]
    }
}
