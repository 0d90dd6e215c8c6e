internal import CLinux
internal import Glibc

/// An address of 4 or 16 bytes in network order, and a port.
public struct NetworkEndpoint: Sendable, Hashable, CustomStringConvertible {
    /// The address.
    public var address: [UInt8]
    /// The port.
    public var port: UInt16

    /// Makes one.
    public init(address: [UInt8], port: UInt16) {
        self.address = address
        self.port = port
    }

    init(_ endpoint: apus_endpoint) {
        address = withUnsafeBytes(of: endpoint.address) { Array($0.prefix(Int(endpoint.length))) }
        port = endpoint.port
    }

    var raw: apus_endpoint {
        var endpoint = apus_endpoint()
        endpoint.length = UInt8(clamping: address.count)
        endpoint.port = port
        withUnsafeMutableBytes(of: &endpoint.address) { $0.copyBytes(from: address.prefix($0.count)) }
        return endpoint
    }

    /// The bytes and the port, for messages.
    public var description: String { "\(address.map { String($0) }.joined(separator: ".")) port \(port)" }
}

/// A UDP or TCP socket that never blocks, for one thread that waits for many of them.
public final class NetworkSocket: Sendable {
    private let socket: OwnedDescriptor

    /// What a call came to.
    public enum Progress<Value: Sendable>: Sendable {
        /// This.
        case done(Value)
        /// Nothing now.
        case later
        /// The other side is gone, or cannot be reached.
        case gone
    }

    private init(adopting number: Int32, _ what: String) {
        socket = OwnedDescriptor(adopting: number, path: what)
    }

    /// Takes what comes to an address through one interface, and from no other. The address need not be there yet.
    public convenience init(
        listeningAt endpoint: NetworkEndpoint, interface: String, isStream: Bool
    ) throws(SystemError) {
        var raw = endpoint.raw
        let number = apus_endpoint_listen(isStream ? 1 : 0, &raw, interface)
        self.init(
            adopting: try check(number, "listen on '\(interface)' at", "\(endpoint)"), "port \(endpoint.port)")
    }

    /// Speaks with one other from a port that the kernel chooses, and hears nobody else. A connection is still being
    /// made when this returns: it is writable once it is there.
    ///
    /// - Parameter zone: the interface of a link-local address.
    public convenience init(
        connectingTo endpoint: NetworkEndpoint, zone: String?, isStream: Bool
    ) throws(SystemError) {
        var raw = endpoint.raw
        let number = apus_endpoint_connect(isStream ? 1 : 0, &raw, zone)
        self.init(adopting: try check(number, "speak with", "\(endpoint)"), "\(endpoint)")
    }

    /// The number, to be lent to poll(2).
    public var descriptor: Int32 { socket.rawValue }

    /// The next connection, and who made it; nil where none waits.
    public func accept() -> (connection: NetworkSocket, peer: NetworkEndpoint)? {
        var peer = apus_endpoint()
        let number = apus_endpoint_accept(socket.rawValue, &peer)
        guard number >= 0 else { return nil }
        return (NetworkSocket(adopting: number, "a connection"), NetworkEndpoint(peer))
    }

    /// One datagram, cut to `limit` bytes, and whom it is from.
    public func receiveDatagram(limit: Int) -> Progress<(bytes: [UInt8], peer: NetworkEndpoint)> {
        var buffer = [UInt8](repeating: 0, count: limit)
        var peer = apus_endpoint()
        let got = apus_endpoint_receive(socket.rawValue, &buffer, limit, &peer)
        if got == -Int64(EAGAIN) { return .later }
        guard got >= 0 else { return .gone }
        buffer.removeLast(limit - Int(got))
        return .done((buffer, NetworkEndpoint(peer)))
    }

    /// What is there of a connection, at most `limit` bytes.
    public func read(limit: Int) -> Progress<[UInt8]> {
        var buffer = [UInt8](repeating: 0, count: limit)
        let got = apus_read(socket.rawValue, &buffer, limit)
        if got == -Int64(EAGAIN) { return .later }
        guard got > 0 else { return .gone }
        buffer.removeLast(limit - Int(got))
        return .done(buffer)
    }

    /// Sends all of it, to a peer or to the one that the socket speaks with; false where the kernel does not take it all
    /// at once.
    public func send(_ bytes: [UInt8], to peer: NetworkEndpoint? = nil) -> Bool {
        guard var raw = peer?.raw else {
            return apus_endpoint_send(socket.rawValue, bytes, bytes.count, nil) == bytes.count
        }
        return apus_endpoint_send(socket.rawValue, bytes, bytes.count, &raw) == bytes.count
    }

    /// Waits until any of these descriptors, which the caller lends, is readable, or writable where that is said, or
    /// broken, and returns which; or until the time is up. Nil waits for ever.
    public static func wait(
        _ descriptors: [(descriptor: Int32, isForWriting: Bool)], milliseconds: Int?
    ) -> [Bool] {
        var polls = descriptors.map {
            pollfd(fd: $0.descriptor, events: Int16($0.isForWriting ? POLLOUT : POLLIN), revents: 0)
        }
        let found = poll(&polls, nfds_t(polls.count), milliseconds.map { Int32(clamping: max(0, $0)) } ?? -1)
        return polls.map { found > 0 && $0.revents != 0 }
    }

    /// The addresses of the interfaces that the calling thread sees (getifaddrs(3)), at most 1024.
    public static func ownAddresses() throws(SystemError) -> [[UInt8]] {
        var found = [apus_endpoint](repeating: apus_endpoint(), count: 1024)
        let count = try check(apus_own_addresses(&found, Int32(found.count)), "list the addresses of this machine")
        return found.prefix(Int(count)).map { NetworkEndpoint($0).address }
    }
}
