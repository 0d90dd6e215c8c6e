internal import CLinux
internal import Glibc

/// What a service tells systemd (sd_notify(3)).
public enum ServiceManager {
    /// Sends a state such as `READY=1`; returns false where no service manager listens.
    @discardableResult
    public static func notify(_ state: String, socket: String? = environmentValue("NOTIFY_SOCKET")) -> Bool {
        guard let socket, !socket.isEmpty else { return false }
        let bytes = Array(state.utf8)
        return apus_unix_send(socket, bytes, bytes.count) == 0
    }

    /// How often `WATCHDOG=1` must be sent, in seconds: half of what systemd allows; nil where it does not ask for it.
    public static var watchdogIntervalSeconds: Int? {
        guard let text = environmentValue("WATCHDOG_USEC"), let microseconds = Int(text), microseconds > 0 else {
            return nil
        }
        return max(1, microseconds / 2_000_000)
    }

    /// An environment variable's value.
    public static func environmentValue(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
}
