import FoundationEssentials
import Glibc

/// The lab's hands on a machine that runs the release `handedOver`: scripts that run there as root.
///
/// The machine asks for them, because nothing of the OS listens. No other release has the unit that asks, and the agent
/// knows nothing of it.
final class LabHands {
    /// Where the machine asks.
    static let port = 7001
    private static let outputBytes = 16 << 20
    private let listener: Int32

    /// Listens on the lab's side of the network.
    init(network: Network.Kind) throws(LabError) {
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard listener >= 0 else { throw LabError("cannot make a socket: \(lastError())") }
        var on: Int32 = 1
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(LabHands.port).bigEndian
        inet_pton(AF_INET, network == .namespace ? Network.serverAddress : "127.0.0.1", &address.sin_addr)
        let bound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard bound == 0, listen(listener, 4) == 0 else {
            throw LabError("cannot listen on port \(LabHands.port): \(lastError())")
        }
    }

    deinit { close(listener) }

    /// Runs a script and returns what it wrote.
    ///
    /// - Parameter rest: called while nothing happens; it throws to give up.
    func run(_ script: String, within seconds: Double, rest: () throws -> Void) throws -> String {
        let deadline = Deadline(seconds: seconds)
        var connection: Int32 = -1
        while connection < 0 {
            try rest()
            guard !deadline.isOver else { throw DeadlinePassed(awaited: "the machine to ask", seconds: Int(seconds)) }
            if ready(listener) { connection = accept(listener, nil, nil) }
        }
        defer { close(connection) }
        try send(Array((script + "\n").utf8), to: connection)
        shutdown(connection, Int32(SHUT_WR))
        var output: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 65536)
        while true {
            guard ready(connection) else {
                try rest()
                guard !deadline.isOver else {
                    throw DeadlinePassed(awaited: "the machine to finish a script", seconds: Int(seconds))
                }
                continue
            }
            let count = read(connection, &piece, piece.count)
            guard count > 0 else { return String(decoding: output, as: UTF8.self) }
            if output.count < LabHands.outputBytes { output += piece[..<count] }
        }
    }

    private func ready(_ descriptor: Int32) -> Bool {
        var item = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&item, 1, 100) > 0
    }

    private func send(_ bytes: [UInt8], to connection: Int32) throws(LabError) {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                Glibc.send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { throw LabError("the machine does not take a script: \(lastError())") }
            sent += count
        }
    }
}
