import CAttack
import Glibc

/// Something on the node's side to be reached: an abstract socket that takes connections for two minutes.
enum Canary {
    static let name = "\0apus-attack-canary"

    static func listen() {
        alarm(120)
        let socket = call("socket", 1, 1, 0)
        guard socket >= 0, withAddress(name, { bind(Int32(socket), $0, $1) }) == 0, Glibc.listen(Int32(socket), 64) == 0
        else { fail("cannot listen\n") }
        while true { close(accept(Int32(socket), nil, nil)) }
    }

    /// Lends the address of a path, or of an abstract name that begins with a zero byte (unix(7)).
    static func withAddress(_ name: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(name.utf8.prefix(100))
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count)
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, length) }
        }
    }
}

extension Attack {
    static let sockets = [
        Attack(
            "agent-sockets",
            [
                // The lab puts one there, so that there is something to be reached.
                Attempt("abstract") { connectUNIX(Canary.name) },
                Attempt("listed") { connectListed() },
                Attempt("run") { connectUNIX("/run/apus-attack-canary") },
                Attempt("systemd") { connectUNIX("/run/systemd/private") },
                Attempt("bus") { connectUNIX("/run/dbus/system_bus_socket") },
                Attempt("journal") { connectUNIX("/run/systemd/journal/stdout") },
            ])
    ]

    private static func connectUNIX(_ name: String) -> Said {
        let socket = call("socket", 1, 1, 0)
        guard socket >= 0 else { return Said(socket) }
        defer { close(Int32(socket)) }
        let result = Canary.withAddress(name) { connect(Int32(socket), $0, $1) }
        return result == 0 ? .succeeded("'\(name.replacing("\0", with: "@"))' answers") : Said(-Int64(errno))
    }

    /// Every abstract name that the namespace shows.
    private static func connectListed() -> Said {
        let lines = (contents("/proc/net/unix") ?? "").split(separator: "\n").dropFirst()
        let names = Set(
            lines.compactMap { $0.split(separator: " ").last.map(String.init) }.filter { $0.hasPrefix("@") })
        for name in names.sorted().prefix(64) {
            let said = connectUNIX("\0" + name.dropFirst())
            if said.word == "succeeded" { return said }
        }
        return names.isEmpty ? Said("empty", "no name is shown") : Said("ECONNREFUSED", "\(names.count) names")
    }
}
