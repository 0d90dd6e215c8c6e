internal import CLinux
internal import Glibc

/// The machine's watchdog: it resets the machine unless it is fed (Documentation/watchdog/watchdog-api.rst).
///
/// Letting this value go out of scope leaves the watchdog armed, as does the end of the program: only `disarm()` stops
/// it, where the driver allows that at all.
public struct Watchdog: ~Copyable, Sendable {
    /// The node that was opened.
    public let path: String
    /// What the driver calls itself.
    public let identity: String
    /// After how many seconds without food it resets the machine.
    public let timeoutSeconds: Int

    private let device: OwnedDescriptor

    /// Opens the first watchdog that works, which arms it, and sets its time as near to `timeoutSeconds` as it can.
    ///
    /// The first is the one that systemd takes over. Throws `ENOENT` where the machine has none.
    public static func arm(timeoutSeconds: Int, deviceFolder: String = "/dev") throws(SystemError) -> Watchdog {
        guard (1...3600).contains(timeoutSeconds) else {
            throw SystemError("arm the watchdog", code: EINVAL, detail: "\(timeoutSeconds) s is not possible")
        }
        var problem = SystemError("arm the watchdog", deviceFolder + "/watchdog0", code: ENOENT)
        for number in 0..<8 {
            let path = "\(deviceFolder)/watchdog\(number)"
            guard Files.exists(path) else { continue }
            do {
                return try Watchdog(path: path, timeoutSeconds: timeoutSeconds)
            } catch {
                problem = error
            }
        }
        throw problem
    }

    private init(path: String, timeoutSeconds: Int) throws(SystemError) {
        // For writing only: that is all the drivers ask for.
        let opened = try OwnedDescriptor(opening: path, .write)
        var text = [CChar](repeating: 0, count: 33)
        var options: UInt32 = 0
        try check(apus_watchdog_identity(opened.rawValue, &text, text.count, &options), "identify the watchdog", path)
        var granted: Int32 = 0
        if options & apus_wdiof_settimeout == 0
            || apus_watchdog_set_timeout(opened.rawValue, Int32(timeoutSeconds), &granted) < 0
        {
            // Its time cannot be set (or not to this): what it has is what counts.
            try check(apus_watchdog_get_timeout(opened.rawValue, &granted), "ask the watchdog's time of", path)
        }
        try check(apus_watchdog_feed(opened.rawValue), "feed", path)
        self.path = path
        identity = String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        self.timeoutSeconds = max(1, Int(granted))
        device = opened
    }

    /// Starts the time anew.
    public borrowing func feed() throws(SystemError) { try check(apus_watchdog_feed(device.rawValue), "feed", path) }

    /// Closes the device with the watchdog running: whoever opens it next has what is left of the time.
    public consuming func handOver() throws(SystemError) {
        try feed()
        try device.close()
    }

    /// Stops the watchdog with the magic character, where the driver was not built to forbid it.
    public consuming func disarm() throws(SystemError) {
        try device.write(Array("V".utf8))
        try device.close()
    }
}
