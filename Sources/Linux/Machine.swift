internal import CLinux
internal import Glibc

/// The machine as a whole: power, kernel, name.
public enum Machine {
    /// What to do with the machine.
    public enum Action: Sendable, Equatable {
        /// Reset through the firmware.
        case reboot
        /// Switch it off.
        case powerOff
        /// Start the kernel that `loadKernel` put in place.
        case kexec
        /// Stop, with the power on.
        case halt
    }

    /// Writes back all file systems and acts. Returns only by throwing.
    public static func perform(_ action: Action) throws(SystemError) {
        sync()
        let (number, name) =
            switch action {
            case .reboot: (APUS_REBOOT, "restart the machine")
            case .powerOff: (APUS_POWER_OFF, "switch the machine off")
            case .kexec: (APUS_KEXEC, "start the loaded kernel")
            case .halt: (APUS_HALT, "halt the machine")
            }
        try check(apus_reboot(Int32(number.rawValue)), name)
    }

    /// Resets at once through the kernel's emergency path (`/proc/sysrq-trigger`), without writing anything back.
    public static func resetNow() throws(SystemError) { try Files.overwrite("/proc/sysrq-trigger", with: "b") }

    /// Writes back all file systems.
    public static func sync() { Glibc.sync() }

    /// Lets Ctrl-Alt-Del send a signal to PID 1 instead of restarting the machine.
    public static func ignoreControlAltDelete() { _ = apus_reboot(Int32(APUS_IGNORE_CAD.rawValue)) }

    /// Puts a kernel in place for `perform(.kexec)` (kexec_file_load(2)).
    public static func loadKernel(
        _ kernel: borrowing OwnedDescriptor, initialRAMFileSystem: borrowing OwnedDescriptor, commandLine: String
    ) throws(SystemError) {
        let result = apus_kexec_file_load(kernel.rawValue, initialRAMFileSystem.rawValue, commandLine)
        try check(
            result, "load the kernel", kernel.path,
            detail: result == -EPERM ? "Secure Boot's lockdown may forbid it; restart through the firmware" : "")
    }

    /// The running kernel's release, such as `6.12.107+deb13-amd64`.
    public static func kernelRelease() throws(SystemError) -> String {
        var release = [CChar](repeating: 0, count: 65)
        var machine = [CChar](repeating: 0, count: 65)
        try check(apus_uname(&release, release.count, &machine, machine.count), "ask the kernel's name")
        return String(decoding: release.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// Sets the host name.
    public static func setHostName(_ name: String) throws(SystemError) {
        try check(apus_sethostname(name), "set the host name", name)
    }

    /// Which kernel messages reach the console: those with a level below this one (1 to 8).
    public static func setConsoleLevel(_ level: Int) { _ = apus_console_level(Int32(clamping: level)) }

    /// The kernel's command line.
    public static func commandLine(root: String = "/") throws(SystemError) -> String {
        try Files.readText(root + "proc/cmdline", limitBytes: 64 << 10)
    }

    /// An identifier of this start of the kernel, different after each.
    public static func bootID(root: String = "/") throws(SystemError) -> String {
        try Files.readText(root + "proc/sys/kernel/random/boot_id", limitBytes: 256)
    }

    /// Memory in bytes: usable, available without swapping, and what this program has resident.
    public static func memory(
        root: String = "/"
    ) throws(SystemError) -> (totalBytes: UInt64, availableBytes: UInt64, residentBytes: UInt64) {
        let machine = kibibytes(try Files.readText(root + "proc/meminfo"), ["MemTotal:", "MemAvailable:"])
        let own = kibibytes(try Files.readText(root + "proc/self/status"), ["VmRSS:"])
        return (machine[0], machine[1], own[0])
    }

    /// Has a machine with less than 4 GiB go without huge pages, until it restarts.
    ///
    /// For them the kernel sets memory aside that nothing else may use, 45 MB and more whatever the machine's size
    /// (Linux, mm/khugepaged.c, `set_recommended_min_free_kbytes`).
    /// - Parameter totalBytes: the machine's memory.
    public static func forgoHugePages(totalBytes: UInt64, root: String = "/") throws(SystemError) {
        let setting = root + "sys/kernel/mm/transparent_hugepage/enabled"
        guard totalBytes < 4 << 30, Files.exists(setting) else { return }
        try Files.overwrite(setting, with: "never")
    }

    /// The values in bytes of `name  123 kB` lines; 0 for a name that is missing.
    private static func kibibytes(_ text: String, _ names: [String]) -> [UInt64] {
        var found = [UInt64](repeating: 0, count: names.count)
        for line in text.split(separator: "\n") {
            let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
            guard words.count >= 2, let index = names.firstIndex(of: String(words[0])) else { continue }
            let (bytes, overflow) = (UInt64(words[1]) ?? 0).multipliedReportingOverflow(by: 1024)
            found[index] = overflow ? .max : bytes
        }
        return found
    }
}

/// The machine's clocks.
public enum Clock {
    /// Seconds since 1970, as the machine believes.
    public static func realtimeSeconds() -> Int64 { read(apus_clock_realtime).seconds }
    /// The same in milliseconds.
    public static func realtimeMilliseconds() -> Int64 {
        let time = read(apus_clock_realtime)
        return time.seconds * 1000 + time.nanoseconds / 1_000_000
    }
    /// Seconds since the kernel started, sleep included (`CLOCK_BOOTTIME`).
    public static func bootSeconds() -> Int64 { read(apus_clock_boottime).seconds }
    /// The same in milliseconds.
    public static func bootMilliseconds() -> Int64 {
        let time = read(apus_clock_boottime)
        return time.seconds * 1000 + time.nanoseconds / 1_000_000
    }
    /// Milliseconds of a clock that never goes back.
    public static func monotonicMilliseconds() -> Int64 {
        let now = read(apus_clock_monotonic)
        return now.seconds * 1000 + now.nanoseconds / 1_000_000
    }

    /// Returns after that many milliseconds, or earlier where a signal comes.
    public static func pause(milliseconds: Int) {
        _ = apus_poll_read(nil, 0, Int32(clamping: max(0, milliseconds)))
    }

    /// Sets the machine's clock to seconds since 1970.
    public static func setRealtime(seconds: Int64) throws(SystemError) {
        try check(apus_clock_set_realtime(seconds), "set the clock")
    }

    private static func read(_ clock: Int32) -> (seconds: Int64, nanoseconds: Int64) {
        var seconds: Int64 = 0
        var nanoseconds: Int64 = 0
        // These clocks exist on every kernel; the call cannot fail with valid pointers.
        _ = apus_clock_get(clock, &seconds, &nanoseconds)
        return (seconds, nanoseconds)
    }
}

/// Random bytes from the kernel (getrandom(2)).
public enum Randomness {
    /// Exactly `count` bytes fit for keys; waits until the kernel has gathered enough.
    public static func bytes(_ count: Int) throws(SystemError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        try check(apus_random(&bytes, count), "get random bytes")
        return bytes
    }

    /// A random UUID of version 4 in lower case (RFC 9562, section 5.4).
    public static func uuid() throws(SystemError) -> String {
        var bytes = try bytes(16)
        bytes[6] = bytes[6] & 0x0f | 0x40
        bytes[8] = bytes[8] & 0x3f | 0x80
        return StoredUUID(bigEndian: bytes).description
    }
}
