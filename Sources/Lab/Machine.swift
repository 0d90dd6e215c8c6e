import Contract
import FoundationEssentials
import Glibc

/// A virtual machine with real firmware: power, reset, cables, and what it says.
final class Machine {
    /// What it is made of; changes take hold at the next start.
    var spec: MachineSpec
    /// Its serial console, over all its starts.
    let console: ConsoleLog
    /// Whether it is no surprise to find it switched off.
    private(set) var mayBeOff = true
    private var process: ChildProcess?
    private var monitor: QMPConnection?
    private let qemuLogPath: String
    /// How many resets earlier runs of QEMU saw; the machine's count goes on over a power cut.
    private var pastResets = 0
    private var pastWatchdogs = 0

    /// A machine that is switched off; QEMU's own messages go to `qemuLogPath`.
    init(spec: MachineSpec, qemuLogPath: String) {
        self.spec = spec
        self.qemuLogPath = qemuLogPath
        console = ConsoleLog(path: spec.consolePath)
    }

    /// Whether it is powered.
    var isRunning: Bool { process?.isRunning ?? false }

    /// How often it was reset: by the guest, by the watchdog or by its button.
    var resets: Int { pastResets + (monitor?.events.count { $0.name == "RESET" } ?? 0) }

    /// When the newest reset was noticed, on the lab's clock.
    private(set) var lastResetSeconds = 0.0
    private var noticedResets = 0

    /// How often the watchdog bit.
    var watchdogResets: Int { pastWatchdogs + (monitor?.events.count { $0.name == "WATCHDOG" } ?? 0) }

    /// Plugs in the power.
    func start() throws { try launch([]) }

    /// Goes on from what `save` wrote of a machine of the same make, with its disk and its firmware's memory.
    func resume(from path: String) throws {
        try launch(["-incoming", "exec:cat '\(path)'"])
        // It was saved while it was paused, and wakes up so.
        try poll("paused", command: "query-status")
        try thaw()
    }

    /// Stops the processors and writes memory and devices to a file; disk and firmware's memory are at rest then.
    func save(to path: String) throws {
        try freeze()
        try connected().execute("migrate", ["uri": .string("exec:cat > '\(path)'")])
        try poll("completed", command: "query-migrate")
    }

    /// Asks until QEMU says that something has a status.
    private func poll(_ status: String, command: String) throws {
        let deadline = Deadline(seconds: 120)
        while true {
            let found = try connected().execute(command)["status"]?.text
            if found == status { return }
            guard found != "failed", !deadline.isOver else {
                throw LabError("QEMU's \(command) says '\(found ?? "nothing")' in place of '\(status)'")
            }
            guard Waiting.rest(milliseconds: 100) else { throw LabError("interrupted") }
        }
    }

    private func launch(_ more: [String]) throws {
        guard !isRunning else { throw LabError("machine '\(spec.name)' is already running") }
        remember()
        var ends: [Int32] = [0, 0]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
            throw LabError("cannot make a socket pair: \(lastError())")
        }
        let connection = QMPConnection(descriptor: ends[0])
        defer { close(ends[1]) }
        let child = try ChildProcess(
            .init(
                command: ["qemu-system-x86_64"] + spec.arguments + more, logPath: qemuLogPath, descriptor: ends[1]))
        process = child
        monitor = connection
        mayBeOff = false
        do {
            try connection.negotiate(deadline: Deadline(seconds: 30))
        } catch {
            let said = (try? String(contentsOfFile: qemuLogPath, encoding: .utf8)) ?? ""
            child.killNow()
            throw LabError("QEMU did not start: \(error); it said: \(said.suffix(500))")
        }
    }

    /// Lets the machine be off from here on, until it is started again.
    func allowPowerOff() { mayBeOff = true }

    /// Pulls the power cord: what the guest had not flushed is gone.
    func powerCut() {
        mayBeOff = true
        process?.killNow()
        remember()
    }

    /// Presses the reset button.
    func reset() throws { try connected().execute("system_reset") }

    /// Presses the power button, as a request to the system.
    func pressPowerButton() throws { try connected().execute("system_powerdown") }

    /// Pulls the network cable; it stays out over resets.
    func cutNetwork() throws { try setLink(up: false) }

    /// Plugs the network cable in again.
    func restoreNetwork() throws { try setLink(up: true) }

    /// Stops the processors, as a debugger does; nothing in the guest notices but its clock.
    func freeze() throws { try connected().execute("stop") }

    /// Lets the processors go on.
    func thaw() throws { try connected().execute("cont") }

    /// Plugs in a device, such as `usb-kbd` on bus `usb0.0`.
    func plug(_ driver: String, id: String, properties: [String: String] = [:]) throws {
        var arguments: [String: AnyJSON] = ["driver": .string(driver), "id": .string(id)]
        for (name, value) in properties { arguments[name] = .string(value) }
        try connected().execute("device_add", arguments)
    }

    /// Pulls a device out.
    func unplug(id: String) throws { try connected().execute("device_del", ["id": .string(id)]) }

    /// Takes in what the machine said and did, waiting at most that long.
    func pump(milliseconds: Int32) {
        if let monitor, !monitor.isClosed {
            monitor.pump(milliseconds: milliseconds)
        } else {
            _ = Waiting.rest(milliseconds: milliseconds)
        }
        if resets != noticedResets {
            noticedResets = resets
            lastResetSeconds = LabClock.seconds
        }
        console.pump()
    }

    /// Ends QEMU in an orderly way, with the disk's file closed.
    func end() {
        if isRunning { _ = try? monitor?.execute("quit") }
        process?.stop()
        remember()
    }

    private func setLink(up: Bool) throws {
        try connected().execute("set_link", ["name": .string("nic0"), "up": .bool(up)])
    }

    private func connected() throws(LabError) -> QMPConnection {
        guard isRunning, let monitor else { throw LabError("machine '\(spec.name)' is switched off") }
        return monitor
    }

    /// Adds this run's counts to the machine's and lets the run go.
    private func remember() {
        monitor?.pump(milliseconds: 0)
        pastResets = resets
        pastWatchdogs = watchdogResets
        monitor = nil
        process = nil
    }
}
