import CAttack
import Glibc

extension Attack {
    static let network = [
        Attack(
            "other-workloads",
            [
                Attempt("version4") { reach(wires.map { ("100.127.0.\($0)", [8080, 18080]) }) },
                Attempt("version6") {
                    reach(wires.map { ("fd61:7075:7300::\(String($0, radix: 16))", [8080, 18080]) })
                },
            ]),
        Attack(
            "node-services",
            [
                Attempt("gateway") { reach(gateways.map { ($0, [22, 111, 5355, 8080, 8443, 18080]) }) },
                Attempt("other-gateways") { reach(wires.map { ("100.127.0.\($0 - 1)", [22, 18080]) }) },
            ]),
        Attack(
            "metadata-address",
            [
                Attempt("version4") {
                    reach(["169.254.169.254", "100.100.100.200", "168.63.129.16"].map { ($0, [80]) })
                },
                Attempt("version6") { reach([("fd00:ec2::254", [80]), ("fd20:ce::254", [80])]) },
            ]),
        Attack(
            "spoofing",
            [
                // ARP, and whatever else has no socket of its own.
                Attempt("arp") { Said(call("socket", 17, 3, 0x0608)) },
                // Router advertisements go through raw ICMPv6.
                Attempt("router-advertisement") { Said(call("socket", 10, 3, 58)) },
                Attempt("raw-address") { Said(call("socket", 2, 3, 255)) },
                Attempt("transparent-address") { transparent() },
            ]),
        Attack("connection-flood", [Attempt("connections") { connectionFlood() }]),
        Attack("lookup-only", [Attempt("connect") { reach([("192.0.2.7", [443]), ("10.0.2.2", [8443, 5000])]) }]),
    ]

    /// Workloads' own addresses are odd; the first wires of a node.
    private static let wires = stride(from: 3, through: 33, by: 2).map { $0 }

    /// The router of `/proc/net/route`, whose addresses are in the machine's byte order.
    private static var gateways: [String] {
        let lines = (contents("/proc/net/route") ?? "").split(separator: "\n").dropFirst()
        return lines.compactMap { line in
            let fields = line.split(separator: "\t")
            guard fields.count > 2, fields[1] == "00000000", let number = UInt32(fields[2], radix: 16) else {
                return nil
            }
            return (0..<4).map { String(number >> ($0 * 8) & 0xFF) }.joined(separator: ".")
        }
    }

    /// Connects to all of them at once; an answer, be it a refusal by the other side, means that packets arrive.
    private static func reach(_ targets: [(String, [Int])]) -> Said {
        var sockets: [(socket: Int32, name: String)] = []
        defer { for item in sockets { close(item.socket) } }
        var failure: Int64 = 0
        for (address, ports) in targets where !ownAddresses.contains(address) {
            for port in ports {
                switch begin(address, port) {
                case .success(let socket): sockets.append((socket, "\(address) port \(port)"))
                case .failure(let error): failure = -Int64(error.number)
                }
            }
        }
        guard !sockets.isEmpty else { return failure == 0 ? Said("empty", "nobody to reach") : Said(failure) }
        var refusals: Set<Int32> = []
        var isDead: Set<Int> = []
        // On one machine an answer takes milliseconds.
        let deadline = attack_now() + (Pace.seconds == 0 ? 400_000 : 2_500_000)
        while attack_now() < deadline {
            // A socket tells its error once; afterwards a dead one looks like one that is connected.
            for (index, item) in sockets.enumerated() where !isDead.contains(index) {
                var poll = pollfd(fd: item.socket, events: Int16(POLLOUT), revents: 0)
                guard Glibc.poll(&poll, 1, 0) > 0 else { continue }
                var error: Int32 = 0
                var length = socklen_t(MemoryLayout<Int32>.size)
                getsockopt(item.socket, SOL_SOCKET, SO_ERROR, &error, &length)
                guard error == 0 || error == ECONNREFUSED else {
                    refusals.insert(error)
                    isDead.insert(index)
                    continue
                }
                return .succeeded("\(item.name) answers")
            }
            attack_sleep_until(attack_now() + 20_000)
        }
        guard let error = refusals.sorted().first else { return Said("dropped", "\(sockets.count) connections") }
        return Said(-Int64(error), "\(sockets.count) connections")
    }

    private struct Refusal: Error { var number: Int32 }

    private static func begin(_ address: String, _ port: Int) -> Result<Int32, Refusal> {
        var hints = addrinfo()
        hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(address, "\(port)", &hints, &list) == 0, let found = list else {
            return .failure(Refusal(number: EINVAL))
        }
        defer { freeaddrinfo(list) }
        let socket = Glibc.socket(found.pointee.ai_family, Int32(SOCK_STREAM.rawValue) | 0o4000, 0)
        guard socket >= 0 else { return .failure(Refusal(number: errno)) }
        guard connect(socket, found.pointee.ai_addr, found.pointee.ai_addrlen) == 0 || errno == EINPROGRESS else {
            let number = errno
            close(socket)
            return .failure(Refusal(number: number))
        }
        return .success(socket)
    }

    /// What belongs to this namespace: `/proc/net/fib_trie` names IPv4 addresses, `if_inet6` the others.
    private static var ownAddresses: Set<String> {
        let lines = (contents("/proc/net/fib_trie") ?? "").split(separator: "\n").map { $0.trimmed }
        var found: Set<String> = []
        for (line, next) in zip(lines, lines.dropFirst()) where next.hasPrefix("/32 host LOCAL") {
            found.insert(String(line.drop { !$0.isNumber }))
        }
        for line in (contents("/proc/net/if_inet6") ?? "").split(separator: "\n") {
            let digits = String(line.prefix(32))
            guard digits.hasPrefix("fd61707573") else { continue }
            found.insert("fd61:7075:7300::" + digits.suffix(16).drop { $0 == "0" })
        }
        return found
    }

    /// IP_TRANSPARENT is what it takes to speak with another's address.
    private static func transparent() -> Said {
        let socket = call("socket", 2, 2, 0)
        guard socket >= 0 else { return Said(socket) }
        defer { close(Int32(socket)) }
        var on: Int32 = 1
        // SOL_IP, IP_TRANSPARENT
        let result = setsockopt(Int32(socket), 0, 19, &on, socklen_t(MemoryLayout<Int32>.size))
        return result == 0 ? .succeeded("other addresses can be used") : Said(-Int64(errno))
    }

    /// New connections to the one address that the lab's document allows, which refuses each at once; how many of those
    /// refusals arrive says how many connections the node let through.
    private static func connectionFlood() -> Said {
        let begun = attack_now()
        let deadline = Pace.deadline
        var answered = 0
        var asked = 0
        while attack_now() < deadline, asked < 200_000 {
            var open: [Int32] = []
            for _ in 0..<64 {
                if case .success(let socket) = begin("10.0.2.2", 9) { open.append(socket) }
                asked += 1
            }
            attack_sleep_until(attack_now() + 10_000)
            for socket in open {
                var poll = pollfd(fd: socket, events: Int16(POLLOUT), revents: 0)
                if Glibc.poll(&poll, 1, 0) > 0 { answered += 1 }
                close(socket)
            }
        }
        let rate = Int64(answered) * 1_000_000 / max(1, attack_now() - begun)
        let detail = "\(asked) asked, \(rate) answered a second"
        return rate > 700 ? .succeeded(detail) : Said("bounded", detail)
    }
}

extension Substring {
    fileprivate var trimmed: String { String(drop { " |+-".contains($0) }) }
}
