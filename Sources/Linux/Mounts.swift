internal import CLinux
internal import Glibc

/// Mounting and unmounting, as in mount(2), and the switch from the initramfs to the real root.
public enum Mounts {
    /// How to mount.
    public struct Flags: OptionSet, Sendable {
        /// The kernel's `MS_` bits.
        public let rawValue: UInt
        /// Takes the kernel's bits.
        public init(rawValue: UInt) { self.rawValue = rawValue }
        /// No writing.
        public static let readOnly = Flags(rawValue: apus_ms_rdonly)
        /// Set-user-id bits have no effect.
        public static let noSetUID = Flags(rawValue: apus_ms_nosuid)
        /// Device files cannot be opened.
        public static let noDevices = Flags(rawValue: apus_ms_nodev)
        /// Nothing can be executed.
        public static let noExecute = Flags(rawValue: apus_ms_noexec)
        /// Changes the flags of a mount that exists.
        public static let remount = Flags(rawValue: apus_ms_remount)
        /// Shows a directory at a second place.
        public static let bind = Flags(rawValue: apus_ms_bind)
        /// With all mounts below.
        public static let recursive = Flags(rawValue: apus_ms_rec)
        /// Mounts below are not passed on to other namespaces.
        public static let makePrivate = Flags(rawValue: apus_ms_private)
        /// Reading does not update access times.
        public static let noAccessTimes = Flags(rawValue: apus_ms_noatime)
    }

    /// Mounts `source` on `target`, which is made where it is missing.
    public static func mount(
        _ source: String, on target: String, type: String?, flags: Flags = [], options: String? = nil
    ) throws(SystemError) {
        try Files.makeDirectory(target)
        try check(
            apus_mount(source, target, type, flags.rawValue, options), "mount \(source) on", target,
            detail: type.map { "file system \($0)" } ?? "")
    }

    /// Shows a file over another file, both of which exist.
    public static func bindFile(_ source: String, over target: String) throws(SystemError) {
        try check(apus_mount(source, target, nil, apus_ms_bind, nil), "show \(source) over", target)
    }

    /// Moves a mount to another place.
    public static func move(_ source: String, to target: String) throws(SystemError) {
        try check(apus_mount(source, target, nil, apus_ms_move, nil), "move the mount \(source) to", target)
    }

    /// Unmounts; `lazily` takes it out of sight at once and ends it when its last user does.
    public static func unmount(_ target: String, lazily: Bool = false) throws(SystemError) {
        try check(apus_unmount(target, lazily ? 1 : 0), "unmount", target)
    }

    /// Whether a file system is mounted at this path.
    public static func isMounted(_ path: String) -> Bool { Files.status(path)?.isMountPoint ?? false }

    /// Mounts what an initramfs needs first: `/proc`, `/sys`, `/dev`, `/run`, and `efivarfs` where the firmware is UEFI.
    ///
    /// What is mounted already is left alone.
    public static func mountEarly() throws(SystemError) {
        let quiet: Flags = [.noSetUID, .noDevices, .noExecute]
        if !isMounted("/proc") { try mount("proc", on: "/proc", type: "proc", flags: quiet) }
        if !isMounted("/sys") { try mount("sysfs", on: "/sys", type: "sysfs", flags: quiet) }
        if !isMounted("/dev") {
            try mount("devtmpfs", on: "/dev", type: "devtmpfs", flags: [.noSetUID], options: "mode=0755")
        }
        if !isMounted("/run") {
            try mount(
                "tmpfs", on: "/run", type: "tmpfs", flags: [.noSetUID, .noDevices], options: "mode=0755,size=20%")
        }
    }

    /// Mounts `efivarfs`; returns false where the machine was not started by UEFI or the driver is missing.
    public static func mountFirmwareVariables(on target: String = "/sys/firmware/efi/efivars") throws(SystemError)
        -> Bool
    {
        guard Files.exists(Files.parent(of: target)) else { return false }
        if isMounted(target) { return true }
        let result = apus_mount(
            "efivarfs", target, "efivarfs", Flags([.noSetUID, .noDevices, .noExecute]).rawValue, nil)
        if result == -ENODEV || result == -EOPNOTSUPP || result == -ENOENT { return false }
        try check(result, "mount efivarfs on", target)
        return true
    }

    /// Makes `newRoot`, a mount point, the root, frees the memory of the initramfs, and runs `program` in place of this
    /// one. Returns only by throwing.
    ///
    /// `/dev`, `/proc`, `/sys` and `/run` are carried over. The files of the old root are deleted only where it is a
    /// memory file system, and nothing of any other mount is. Programs that run from the initramfs, this one and a
    /// guardian included, keep their memory until they end.
    public static func switchRoot(
        to newRoot: String, program: String, arguments: [String], environment: [String]
    ) throws(SystemError) {
        guard isMounted(newRoot) else {
            throw SystemError("switch root to", newRoot, code: EINVAL, detail: "nothing is mounted there")
        }
        guard Files.exists(newRoot + program) || Files.exists(newRoot + "/usr" + program) else {
            throw SystemError("switch root to", newRoot, code: ENOENT, detail: "it holds no \(program)")
        }
        for name in ["/dev", "/proc", "/sys", "/run"] where isMounted(name) {
            guard Files.status(newRoot + name) != nil else {
                throw SystemError("switch root to", newRoot, code: ENOENT, detail: "it has no folder \(name)")
            }
            try move(name, to: newRoot + name)
        }
        let oldRoot = try OwnedDescriptor(opening: "/", [.read, .directory])
        let old = try oldRoot.status()
        var space = apus_space()
        try check(apus_space("/", &space), "inspect", "/")
        try check(apus_chdir(newRoot), "enter", newRoot)
        // ramfs and tmpfs, by their magic numbers (linux/magic.h): only there is deleting a way to free memory.
        if space.type == 0x8584_58f6 || space.type == 0x0102_1994 {
            try Files.emptyDirectory(oldRoot.rawValue, path: "/", fileSystem: old.fileSystem, depth: 0)
        }
        try oldRoot.close()
        try check(apus_mount(".", "/", nil, apus_ms_move, nil), "move the mount \(newRoot) to", "/")
        try check(apus_chroot("."), "change root to", newRoot)
        try check(apus_chdir("/"), "enter", "/")
        try Processes.replace(with: program, arguments: arguments, environment: environment)
    }
}
