/// What runs a machine's processors.
public enum Accelerator: String, Sendable, Codable, Hashable {
    /// The kernel's KVM: the processor itself.
    case kvm
    /// QEMU's translator, which takes several times as long.
    case tcg
}

/// What a node offers virtual machines: facts, looked at when a machine is made ready.
public struct MachineHost: Sendable, Hashable {
    /// Whether its processor is the machines' own kind: no other is emulated.
    public var isAMD64: Bool
    /// Whether QEMU is installed.
    public var hasQEMU: Bool
    /// Whether OVMF, the firmware of UEFI machines, is installed.
    public var hasUEFI: Bool
    /// What runs the processors.
    public var accelerator: Accelerator
    /// The group that may open `/dev/kvm`; 0 where none but root, or everybody, may.
    public var kvmGroup: UInt32

    /// Debian's `qemu-system-x86`.
    public static let program = "/usr/bin/qemu-system-x86_64"
    /// Debian's `ovmf`: firmware without Secure Boot, and the variables that a new machine begins with.
    public static let firmware = "/usr/share/OVMF/OVMF_CODE_4M.fd"
    /// See `firmware`.
    public static let firmwareVariables = "/usr/share/OVMF/OVMF_VARS_4M.fd"
    /// What a site's release lacks where QEMU is missing.
    static let packages = "build the release with PACKAGES=\"qemu-system-x86 ovmf\""

    /// States facts.
    public init(
        isAMD64: Bool = true, hasQEMU: Bool = true, hasUEFI: Bool = true, accelerator: Accelerator,
        kvmGroup: UInt32 = 0
    ) {
        self.isAMD64 = isAMD64
        self.hasQEMU = hasQEMU
        self.hasUEFI = hasUEFI
        self.accelerator = accelerator
        self.kvmGroup = kvmGroup
    }

    /// The same node with what a machine was made ready for.
    public func with(_ accelerator: Accelerator) -> MachineHost {
        var host = self
        host.accelerator = accelerator
        return host
    }

    /// Why machines that start in this way cannot run here; empty where they can.
    public func refusals(_ firmware: MachineSettings.Firmware) -> [String] {
        if !isAMD64 { return ["this node's processor is not amd64, and no other virtual machines are run"] }
        if !hasQEMU { return ["this node's system has no QEMU: \(Self.packages)"] }
        if firmware == .uefi, !hasUEFI { return ["this node's system has no UEFI firmware: \(Self.packages)"] }
        return []
    }
}

/// What a machine's image holds. Paths are below the image's root and of plain characters.
public struct MachineParts: Sendable, Hashable {
    /// The disk; nil for a machine that needs none.
    public var disk: Disk?
    /// The kernel, for machines without firmware.
    public var kernel: String?
    /// The kernel's initramfs.
    public var initrd: String?

    /// A disk image, which stays as it is: the machine writes to a layer of its own above it.
    public struct Disk: Sendable, Hashable {
        /// Where it is.
        public var path: String
        /// How it is read.
        public var format: Format
        /// The size of the disk that it describes, in bytes.
        public var virtualBytes: UInt64

        /// The formats.
        public enum Format: String, Sendable, Hashable {
            /// The disk's bytes.
            case raw
            /// QEMU's, in which what is empty takes no room.
            case qcow2
        }

        /// Describes a disk.
        public init(path: String, format: Format, virtualBytes: UInt64) {
            self.path = path
            self.format = format
            self.virtualBytes = virtualBytes
        }
    }

    /// Describes an image.
    public init(disk: Disk? = nil, kernel: String? = nil, initrd: String? = nil) {
        self.disk = disk
        self.kernel = kernel
        self.initrd = initrd
    }

    /// Whether a path may stand in QEMU's arguments: relative, in its shortest form, of letters, digits, `.`, `_`, `-`.
    public static func isPlain(_ path: String) -> Bool {
        (1...255).contains(path.utf8.count)
            && path.split(separator: "/", omittingEmptySubsequences: false).allSatisfy { part in
                !part.isEmpty && part != "." && part != ".."
                    && part.utf8.allSatisfy { byte in
                        (0x61...0x7A).contains(byte) || (0x41...0x5A).contains(byte) || (0x30...0x39).contains(byte)
                            || byte == 0x2D || byte == 0x2E || byte == 0x5F
                    }
            }
    }

    var paths: [String] { [disk?.path, kernel, initrd].compactMap(\.self) }
}

/// Where the agent keeps what a machine needs: all below its bundle, the only directory of the node's that QEMU sees
/// beside `/usr`.
public struct MachinePaths: Sendable, Hashable {
    /// The bundle.
    public var bundle: String

    /// The network namespace of its wire; nil gives it one with nothing in it.
    public var namespace: String?

    /// Takes a bundle's path, at most 100 bytes: a socket's path has 107 (unix(7)).
    public init(bundle: String, namespace: String? = nil) {
        self.bundle = bundle
        self.namespace = namespace
    }

    /// The image's files, read-only and verified when read.
    public var image: String { bundle + "/files" }
    /// The directory of its own disk, shown here from the state's disk.
    public var disks: String { bundle + "/disk" }
    /// Its own disk.
    public var disk: String { disks + "/disk.qcow2" }
    /// The variables of its firmware.
    public var variables: String { disks + "/variables.fd" }
    /// The seed's volume.
    public var seed: String { bundle + "/seed.img" }
    /// The directory of sockets and pipes.
    public var channels: String { bundle + "/io" }
    /// QEMU's monitor: a socket.
    public var monitor: String { channels + "/qmp" }
    /// The serial console: a socket.
    public var console: String { channels + "/tty" }
    /// What the console shows, on its way to the journal: a pipe.
    public var consoleLog: String { channels + "/log" }
    /// Held by the one who is attached to the console.
    public var consoleLock: String { channels + "/lock" }
}
