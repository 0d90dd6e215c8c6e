/// What a virtual machine is made of; a value, so that the command line for QEMU can be tested.
struct MachineSpec: Equatable, Sendable {
    /// The machine's name, used for messages and file names.
    var name: String
    /// Memory in MiB.
    var memoryMiB = 1024
    /// The processor of QEMU where it is emulated. The plainest one is the fastest to emulate, by a third, and it asks
    /// for generic code everywhere: it has neither SSSE3 nor SSE 4.2.
    var emulatedProcessor = "qemu64"
    /// Virtual processors. One starts Debian as fast as two where they are emulated, and leaves the other core free.
    var processors = 1
    /// The disk's logical sector size in bytes: 512 or 4096.
    var sectorSizeBytes = 512
    /// The disk's qcow2 file; nil for a machine without a disk.
    var diskPath: String?
    /// The firmware's code, read only.
    var firmwareCodePath: String
    /// This machine's own copy of the firmware's variables.
    var nvramPath: String
    /// Makes the firmware's variables unwritable, as a failing flash chip does.
    var isNVRAMReadOnly = false
    /// A USB stick's raw image.
    var stickPath: String?
    /// The network card's model, such as `virtio-net-pci` or `e1000e`; nil for a machine without a card.
    var networkCard: String? = "virtio-net-pci"
    /// The card's address.
    var networkAddress = "52:54:00:a9:05:01"
    /// What the card is plugged into, as QEMU's `-netdev` without its id.
    var networkBackend = "user"
    /// Which of the firmware's network boot protocols are on.
    var netBoot: NetBoot = .pxe
    /// The chassis' asset tag (SMBIOS type 3): how a scenario tells a release's lab units what to do.
    var assetTag = ""
    /// The system's serial number (SMBIOS type 1).
    var serial = "APUS-LAB-1"
    /// The system's UUID (SMBIOS type 1).
    var uuid = "6c6162a9-0000-4000-8000-000000000001"
    /// `kvm`, or the emulation with its options.
    var accelerator = Accelerator.software
    /// The file that takes the serial console.
    var consolePath: String

    /// Network boot protocols of OVMF, which its build reads from `fw_cfg`.
    enum NetBoot: Sendable {
        /// PXE over IPv4, then HTTP.
        case pxe
        /// UEFI HTTP boot only.
        case http
    }

    /// QEMU's arguments; descriptor 3 carries the monitor.
    var arguments: [String] {
        var list = ["-name", "apus-\(name)", "-nodefaults", "-no-user-config", "-display", "none"]
        list += ["-machine", "q35,accel=\(accelerator.split(separator: ",").first ?? "tcg")"]
        if accelerator.hasPrefix("tcg,") {
            list.removeLast(2)
            list += ["-machine", "q35", "-accel", accelerator]
        }
        list += ["-cpu", processor, "-smp", "\(processors)", "-m", "\(memoryMiB)"]
        list += ["-uuid", uuid]
        list += ["-smbios", "type=1,manufacturer=Apus,product=Lab,serial=\(serial),uuid=\(uuid)"]
        list += ["-smbios", "type=3,manufacturer=Apus,asset=\(assetTag)"]
        list += ["-drive", "if=pflash,format=raw,unit=0,readonly=on,file=\(firmwareCodePath)"]
        let readOnly = isNVRAMReadOnly ? "readonly=on," : ""
        list += ["-drive", "if=pflash,format=raw,unit=1,\(readOnly)file=\(nvramPath)"]
        list += ["-device", "virtio-rng-pci", "-device", "i6300esb", "-watchdog-action", "reset"]
        list += ["-chardev", "file,id=console,path=\(consolePath),append=on", "-serial", "chardev:console"]
        list += ["-chardev", "socket,id=monitor,fd=3", "-mon", "chardev=monitor,mode=control"]
        list += networkArguments + diskArguments
        return list
    }

    private var processor: String { accelerator.hasPrefix("kvm") ? "host" : emulatedProcessor }

    private var networkArguments: [String] {
        guard let networkCard else { return [] }
        var list = ["-netdev", "\(networkBackend),id=net0"]
        // Without the card's own ROM the firmware uses its driver, which starts far sooner than iPXE.
        list += ["-device", "\(networkCard),netdev=net0,id=nic0,mac=\(networkAddress),romfile="]
        list += ["-fw_cfg", "name=opt/org.tianocore/IPv6PXESupport,string=n"]
        if netBoot == .http { list += ["-fw_cfg", "name=opt/org.tianocore/IPv4PXESupport,string=n"] }
        return list
    }

    private var diskArguments: [String] {
        var list: [String] = []
        if let diskPath {
            list += ["-drive", "if=none,id=disk0,format=qcow2,discard=unmap,file=\(diskPath)"]
            let sectors = "logical_block_size=\(sectorSizeBytes),physical_block_size=4096"
            list += ["-device", "virtio-blk-pci,drive=disk0,serial=LABDISK1,\(sectors)"]
        }
        if let stickPath {
            list += ["-device", "qemu-xhci,id=usb0"]
            list += ["-drive", "if=none,id=stick0,format=raw,file=\(stickPath)"]
            list += ["-device", "usb-storage,bus=usb0.0,drive=stick0,id=stick,removable=on"]
        }
        return list
    }
}
