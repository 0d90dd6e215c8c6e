import CAttack
import Glibc

extension Attack {
    static let sockets = [
        Attack(
            "agent-sockets",
            [
                // The lab puts one there, so that there is something to be reached.
                Attempt("abstract") { connectUNIX("\0apus-attack-canary") },
                Attempt("listed") { connectListed() },
                Attempt("run") { connectUNIX("/run/apus-attack-canary") },
                Attempt("systemd") { connectUNIX("/run/systemd/private") },
                Attempt("bus") { connectUNIX("/run/dbus/system_bus_socket") },
                Attempt("journal") { connectUNIX("/run/systemd/journal/stdout") },
            ])
    ]

    /// Connects to a path, or to an abstract name that begins with a zero byte (unix(7)).
    private static func connectUNIX(_ name: String) -> Said {
        let socket = call("socket", 1, 1, 0)
        guard socket >= 0 else { return Said(socket) }
        defer { close(Int32(socket)) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(name.utf8.prefix(100))
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count)
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(Int32(socket), $0, length) }
        }
        return result == 0 ? .succeeded("'\(name.replacing("\0", with: "@"))' answers") : Said(-Int64(errno))
    }

    /// Every abstract name that the namespace shows.
    private static func connectListed() -> Said {
        let lines = (contents("/proc/net/unix") ?? "").split(separator: "\n").dropFirst()
        let names = Set(lines.compactMap { $0.split(separator: " ").last.map(String.init) }.filter { $0.hasPrefix("@") })
        for name in names.sorted().prefix(64) {
            let said = connectUNIX("\0" + name.dropFirst())
            if said.word == "succeeded" { return said }
        }
        return names.isEmpty ? Said("empty", "no name is shown") : Said("ECONNREFUSED", "\(names.count) names")
    }
}
