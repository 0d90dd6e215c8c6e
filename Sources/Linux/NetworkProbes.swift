internal import CLinux
internal import Glibc

/// Questions to the network that are answered within a bounded time.
public enum NetworkProbe {
    /// Why a port did not accept a connection, or nil where it did.
    public static func refusal(host: String, port: Int, timeoutSeconds: Int) -> String? {
        let result = apus_probe_tcp(host, Int32(clamping: port), Int32(clamping: timeoutSeconds * 1000))
        if result == 0 { return nil }
        if result <= -1000 { return "the name '\(host)' cannot be resolved" }
        return SystemError.reason(-result)
    }

    /// Whether the default gateway answers: it is asked for its address, so this holds for gateways that drop pings.
    ///
    /// Only IPv4 today (`/proc/net/route`, `/proc/net/arp`, proc(5)); nil where there is no default route.
    public static func gatewayAnswers(root: String = "/", timeoutSeconds: Int = 3) -> Bool? {
        guard let routes = try? Files.readText(root + "proc/net/route"), let gateway = gateway(inRoutes: routes) else {
            return nil
        }
        let deadline = Clock.monotonicMilliseconds() + Int64(timeoutSeconds) * 1000
        while true {
            _ = apus_touch_ipv4(gateway)
            if let table = try? Files.readText(root + "proc/net/arp"), isComplete(gateway, inNeighbours: table) {
                return true
            }
            if Clock.monotonicMilliseconds() >= deadline { return false }
            var pause = timespec(tv_sec: 0, tv_nsec: 200_000_000)
            nanosleep(&pause, nil)
        }
    }

    /// The default gateway of a routing table in the form of `/proc/net/route`.
    static func gateway(inRoutes table: String) -> String? {
        for line in table.split(separator: "\n").dropFirst().prefix(256) {
            let fields = line.split(whereSeparator: \.isWhitespace)
            guard fields.count > 3, fields[1] == "00000000", let flags = UInt32(fields[3], radix: 16), flags & 2 != 0,
                let address = UInt32(fields[2], radix: 16)
            else { continue }
            // The kernel prints the address as it lies in memory: the first octet is the lowest byte.
            return [0, 8, 16, 24].map { String(address >> $0 & 0xff) }.joined(separator: ".")
        }
        return nil
    }

    /// Whether a neighbour's hardware address is known, by a table in the form of `/proc/net/arp`.
    static func isComplete(_ address: String, inNeighbours table: String) -> Bool {
        for line in table.split(separator: "\n").dropFirst().prefix(4096) {
            let fields = line.split(whereSeparator: \.isWhitespace)
            guard fields.count > 3, fields[0] == address, fields[2].hasPrefix("0x"),
                let flags = UInt32(fields[2].dropFirst(2), radix: 16)
            else { continue }
            return flags & 2 != 0
        }
        return false
    }
}
