internal import Glibc
internal import Linux

/// The process that `apus-init` leaves behind for a slot on trial: whatever becomes of the installed system, the machine
/// is reset at the deadline unless the agent has committed.
///
/// systemd feeds the watchdog even when nothing else works, so that the watchdog alone would leave a trial without an
/// agent running for ever. A name that starts with `@` is spared by systemd when it stops all other processes
/// (systemd, "Using /tmp and daemons in the initrd", ROOT_STORAGE_DAEMONS).
public enum Guardian {
    /// The program's name in its arguments that makes it the guardian.
    public static let name = "@apus-guard"
    /// How long it may take to be in its place; a start of this program on the slowest of machines takes a few seconds.
    private static let startSeconds = 120
    /// No deadline is further away than that, whatever the file says: a week and a little, as a probation's.
    static let longestSeconds: Int64 = 8 * 24 * 3600

    /// The way from the folder of the files, where this process works, to the root that they are in.
    private static let upwards = "../.."

    /// What the guardian does next.
    enum Verdict: Equatable {
        case leave
        case reset
        case wait(seconds: Int64)
    }

    /// Decides, from what the files say.
    /// - Parameters:
    ///   - now: seconds of CLOCK_BOOTTIME.
    ///   - latest: the last deadline that could be read.
    static func verdict(now: Int64, latest: Int64, isCommitted: Bool) -> Verdict {
        if isCommitted { return .leave }
        if now >= latest { return .reset }
        return .wait(seconds: min(5, latest - now))
    }

    /// A deadline that the file may give; nil for one that would keep a broken system for ever.
    static func bounded(_ seconds: Int64, now: Int64) -> Int64? {
        seconds >= 0 && seconds <= now + longestSeconds ? seconds : nil
    }

    /// Writes the first deadline, starts the guardian from this program's own file, and waits until it stands.
    ///
    /// Nothing on trial runs without it: the switch of roots takes its program's libraries and its folder's path away,
    /// so that one that came too late would be gone without a word.
    static func leave(deadlineSeconds: Int64, program: String = "/init") throws {
        try Files.makeDirectory(RunningSystem.directory, mode: 0o700)
        try RunningSystem.setDeadline(seconds: deadlineSeconds)
        try Processes.spawnReady(program, [name], timeoutSeconds: startSeconds)
    }

    /// Watches until the slot is committed or the deadline has come; then resets the machine.
    ///
    /// The root directory changes below this process: it works in the folder of its files, which moves with its mount.
    public static func run() -> Int32 {
        Processes.setName(name)
        // It has no terminal in any case: ignoring.
        try? Processes.leadSession()
        // Nothing that a dying system sends may end it.
        for signal in [SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGUSR1, SIGUSR2] { Glibc.signal(signal, SIG_IGN) }
        guard chdir(RunningSystem.directory) == 0 else { return 1 }
        let keys = EmergencyKeys()
        var latest = readDeadline() ?? Clock.bootSeconds() + 600
        spareFromMemoryShortage()
        guard Glibc.write(STDOUT_FILENO, "1", 1) == 1 else { return 1 }
        while true {
            if let moved = readDeadline() { latest = moved }
            switch verdict(now: Clock.bootSeconds(), latest: latest, isCommitted: isReleased()) {
            case .leave: return 0
            case .wait(let seconds): NodeClock.pause(milliseconds: seconds * 1000)
            case .reset: reset(keys)
            }
        }
    }

    /// A workload of the new system that eats all memory must not end what would reset it (proc_pid_oom_score_adj(5)).
    private static func spareFromMemoryShortage() {
        // Where the kernel refuses, it is a process like any other: ignoring.
        try? OwnedDescriptor(opening: "/proc/self/oom_score_adj", .write).write(Array("-1000".utf8))
    }

    private static func readDeadline() -> Int64? {
        RunningSystem.deadlineSeconds(root: upwards).flatMap { bounded($0, now: Clock.bootSeconds()) }
    }

    private static func isReleased() -> Bool { RunningSystem.isGuardianReleased(root: upwards) }

    /// Writes back what can be written in a few seconds, and resets; a system that hangs may never finish a sync(2).
    private static func reset(_ keys: EmergencyKeys?) {
        keys?.press("s")
        NodeClock.pause(milliseconds: 3000)
        keys?.press("b")
        NodeClock.pause(milliseconds: 2000)
        // Without the emergency keys the ordinary call is what is left.
        try? Machine.perform(.reboot)
    }
}

/// The kernel's emergency keys (Documentation/admin-guide/sysrq.rst), held open while `/proc` moves away.
private final class EmergencyKeys {
    private let trigger: OwnedDescriptor

    init?() {
        guard let opened = try? OwnedDescriptor(opening: "/proc/sysrq-trigger", .write) else { return nil }
        trigger = opened
    }

    func press(_ key: String) {
        // What cannot be pressed has the ordinary call after it: ignoring.
        try? trigger.write(Array(key.utf8))
    }
}
