import Foundation
import Linux
import Synchronization
import TestSupport
import Testing

@testable import Sandbox
@testable import Workloads

/// A network outside of a node's: a server of names with good and bad manners, and services that echo.
///
/// Its own addresses are 192.0.2.53, which answers, and 192.0.2.54, where nothing listens.
final class Town: Sendable {
    /// What it does with a question, beside keeping it.
    enum Manner: Sendable {
        case answer([CraftedDNS.Record])
        /// First what an attacker would send, with these records, and then the answer.
        case spoofed([CraftedDNS.Record], thenAnswer: [CraftedDNS.Record])
        /// Nothing but what does not fit, unless it is asked by TCP.
        case large([CraftedDNS.Record])
        case silence
        case code(UInt16)
    }

    private let manners: [String: Manner]
    private let stop: Mailbox<Void>
    private let stopped: Mailbox<Void>
    private let asked = Mutex<[String]>([])
    private let network: String

    /// Names, types and ways that it was asked, such as `api.example.com 1 udp`.
    var questions: [String] { asked.withLock { $0 } }

    static let services: [[UInt8]] = [[203, 0, 113, 7], [203, 0, 113, 8]]

    /// Joins a network to the node's.
    init(beside node: String, at path: String, _ manners: [String: Manner]) throws {
        self.manners = manners
        network = path
        stop = try Mailbox(limit: 1)
        stopped = try Mailbox(limit: 1)
        try Files.writeDurably([], to: path)
        let script = """
            set -e
            unshare --net=\(path) true
            on_node="nsenter --net=\(node)"
            $on_node ip link set lo up
            $on_node ip link add up0 type veth peer name out0 netns \(path)
            $on_node ip addr add 192.0.2.1/24 dev up0
            $on_node ip link set up0 up
            nsenter --net=\(path) ip -batch - <<'END'
            link set lo up
            addr add 192.0.2.53/24 dev out0
            addr add 192.0.2.54/24 dev out0
            addr add 203.0.113.7/32 dev out0
            addr add 203.0.113.8/32 dev out0
            link set out0 up
            END
            $on_node ip route add 203.0.113.0/24 via 192.0.2.53
            """
        let made = Tool.run(["sh", "-c", script])
        try #require(made.status == 0, "\(made.output)")
        let ready = try Mailbox<String?>(limit: 1)
        try WorkerThread {
            do {
                try Processes.enterNetwork(path)
                let sockets = try Sockets()
                ready.post(nil)
                while self.turn(sockets) {}
            } catch {
                ready.post("\(error)")
            }
            self.stopped.post(())
        }.detach()
        try #require(ready.take(waitingMilliseconds: 60_000) == [nil])
    }

    /// Ends its thread. The namespace goes with what is mounted.
    func close() {
        stop.post(())
        _ = stopped.take(waitingMilliseconds: 60_000)
    }

    private final class Sockets {
        let datagrams: NetworkSocket
        let stream: NetworkSocket
        let forger: NetworkSocket
        let services: [NetworkSocket]
        var connections: [(socket: NetworkSocket, isName: Bool)] = []

        init() throws {
            func listen(_ address: [UInt8], _ port: UInt16, isStream: Bool) throws -> NetworkSocket {
                try NetworkSocket(
                    listeningAt: NetworkEndpoint(address: address, port: port), interface: "out0", isStream: isStream)
            }
            datagrams = try listen([192, 0, 2, 53], 53, isStream: false)
            stream = try listen([192, 0, 2, 53], 53, isStream: true)
            forger = try listen([192, 0, 2, 54], 5353, isStream: false)
            services = try Town.services.map { try listen($0, 443, isStream: true) }
        }
    }

    private func turn(_ sockets: Sockets) -> Bool {
        let listeners = [sockets.datagrams, sockets.stream] + sockets.services
        let descriptors = [stop.descriptor] + (listeners + sockets.connections.map(\.socket)).map(\.descriptor)
        let ready = NetworkSocket.wait(descriptors.map { ($0, false) }, milliseconds: nil)
        if ready[0] { return false }
        for (index, listener) in listeners.enumerated() where ready[index + 1] && index > 0 {
            if let (socket, _) = listener.accept() { sockets.connections.append((socket, isName: index == 1)) }
        }
        if ready[1], case .done(let (bytes, peer)) = sockets.datagrams.receiveDatagram(limit: 4096) {
            answer(bytes, isStream: false, from: sockets, to: peer).forEach { _ = sockets.datagrams.send($0, to: peer) }
        }
        let first = listeners.count + 1
        var open: [(socket: NetworkSocket, isName: Bool)] = []
        for (index, connection) in sockets.connections.enumerated() {
            guard index + first < ready.count, ready[index + first] else {
                open.append(connection)
                continue
            }
            guard case .done(let bytes) = connection.socket.read(limit: 4096) else { continue }
            open.append(connection)
            guard connection.isName else {
                _ = connection.socket.send(bytes)
                continue
            }
            for message in answer(Array(bytes.dropFirst(2)), isStream: true, from: sockets, to: nil) {
                _ = connection.socket.send(DNSStream.framed(message))
            }
        }
        sockets.connections = open
        return true
    }

    /// What is sent from where it was asked.
    private func answer(
        _ bytes: [UInt8], isStream: Bool, from sockets: Sockets, to peer: NetworkEndpoint?
    ) -> [[UInt8]] {
        guard let head = try? DNSHead(parsing: bytes), let name = head.name?.text else { return [] }
        asked.withLock { $0.append("\(name) \(head.type) \(isStream ? "tcp" : "udp")") }
        func right(_ records: [CraftedDNS.Record]) -> [UInt8] {
            CraftedDNS.answer(id: head.id, name, head.type, records)
        }
        switch manners[name] ?? .code(3) {
        case .answer(let records): return [right(head.type == 1 ? records : [])]
        case .large(let records):
            return [isStream ? right(records) : CraftedDNS.answer(id: head.id, flags: 0x8380, name, head.type)]
        case .silence: return []
        case .code(let code): return [CraftedDNS.answer(id: head.id, flags: 0x8180 | code, name, head.type)]
        case .spoofed(let wrong, let good):
            if let peer {
                _ = sockets.forger.send(right(wrong), to: peer)
                _ = sockets.forger.send(CraftedDNS.answer(id: head.id, name, head.type, wrong), to: peer)
            }
            return [
                CraftedDNS.answer(id: head.id &+ 1, name, head.type, wrong),
                CraftedDNS.answer(id: head.id, "other.example.com", head.type, wrong),
                CraftedDNS.answer(id: head.id, name, 28, wrong), CraftedDNS.question(name, head.type, id: head.id),
                right(good),
            ]
        }
    }
}

/// Does something on a thread of its own in a network namespace.
func inside<Value: Sendable>(_ network: String, _ work: @escaping @Sendable () throws -> Value) throws -> Value {
    let done = try Mailbox<Result<Value, any Error>>(limit: 1)
    try WorkerThread {
        done.post(
            Result {
                try Processes.enterNetwork(network)
                return try work()
            })
    }.join()
    return try #require(done.take(waitingMilliseconds: 0).first).get()
}

/// What a workload's C library does.
enum Guest {
    /// Asks a resolver once; nil where nothing came within a time.
    static func ask(
        _ network: String, _ server: NetworkAddress, _ name: String, _ type: UInt16 = 1, isStream: Bool = false,
        milliseconds: Int = 20_000
    ) throws -> DNSMessage? {
        let question = CraftedDNS.question(name, type, id: UInt16.random(in: 0...65_535))
        return try inside(network) {
            let socket = try NetworkSocket(
                connectingTo: NetworkEndpoint(address: server.bytes, port: 53), zone: nil, isStream: isStream)
            guard isStream else {
                // As every resolver's client asks again: the kernel throws away what is sent on a wire in the moment
                // before its carrier is seen.
                for _ in 0..<max(1, milliseconds / 1_000) {
                    guard socket.send(question) else { return nil }
                    guard wait(socket, min(milliseconds, 1_000)) else { continue }
                    guard case .done(let (bytes, _)) = socket.receiveDatagram(limit: 4096) else { return nil }
                    return try DNSMessage(parsing: bytes)
                }
                return nil
            }
            var stream = DNSStream(limit: 65_535)
            guard wait(socket, milliseconds, isForWriting: true), socket.send(DNSStream.framed(question)) else {
                return nil
            }
            while wait(socket, milliseconds), case .done(let bytes) = socket.read(limit: 4096) {
                stream.append(bytes)
                if let message = stream.next() { return try DNSMessage(parsing: message) }
            }
            return nil
        }
    }

    /// A connection to port 443 that is there; nil where none could be made.
    static func connect(_ network: String, _ address: [UInt8], milliseconds: Int = 800) throws -> NetworkSocket? {
        try inside(network) {
            let socket = try NetworkSocket(
                connectingTo: NetworkEndpoint(address: address, port: 443), zone: nil, isStream: true)
            return wait(socket, milliseconds, isForWriting: true) && echoes(socket) ? socket : nil
        }
    }

    /// Whether what is sent comes back.
    static func echoes(_ socket: NetworkSocket) -> Bool {
        guard socket.send([65]), wait(socket, 20_000), case .done([65]) = socket.read(limit: 16) else { return false }
        return true
    }

    private static func wait(_ socket: NetworkSocket, _ milliseconds: Int, isForWriting: Bool = false) -> Bool {
        NetworkSocket.wait([(socket.descriptor, isForWriting)], milliseconds: milliseconds) == [true]
    }
}

extension DNSMessage {
    /// The addresses of its answers.
    var addresses: [[UInt8]] {
        answers.compactMap { if case .address(let address) = $0.content { address.bytes } else { nil } }
    }
}
