internal import CLinux
internal import Glibc

/// TCP sockets that do not block, for one thread that waits for many of them.
public enum Sockets {
    /// What is waited for, and what came.
    public struct Readiness: OptionSet, Sendable, Hashable {
        /// The bits that CLinux maps to those of poll(2).
        public let rawValue: UInt8
        /// Takes raw bits.
        public init(rawValue: UInt8) { self.rawValue = rawValue }
        /// Bytes, a connection, or the end have come.
        public static let readable = Readiness(rawValue: 1)
        /// Bytes would be taken.
        public static let writable = Readiness(rawValue: 2)
        /// The other side is gone, or there was an error; always told.
        public static let broken = Readiness(rawValue: 4)
    }

    /// What a read or a write came to.
    public enum Progress: Sendable, Equatable {
        /// That many bytes.
        case bytes(Int)
        /// Not now.
        case later
        /// The other side is gone.
        case gone
    }

    /// Listens at a numeric address; port 0 lets the kernel choose, and `::` takes version 4 as well.
    public static func listen(
        _ address: String, port: UInt16, backlog: Int = 128
    ) throws(SystemError) -> OwnedDescriptor {
        let result = apus_listen_tcp(address, Int32(port), Int32(clamping: backlog))
        return OwnedDescriptor(
            adopting: try check(result, "listen on port", "\(port)"), path: "port \(port) of \(address)")
    }

    /// The port that a socket has.
    public static func port(of socket: borrowing OwnedDescriptor) throws(SystemError) -> UInt16 {
        UInt16(clamping: try check(apus_socket_port(socket.rawValue), "ask the port of", socket.path))
    }

    /// The next connection with the numeric address that it came from; nil where none waits, or it is gone again.
    public static func accept(_ listener: borrowing OwnedDescriptor) -> (socket: Int32, peer: String)? {
        var peer = [CChar](repeating: 0, count: 64)
        let socket = apus_accept(listener.rawValue, &peer, peer.count)
        guard socket >= 0 else { return nil }
        return (socket, String(decoding: peer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self))
    }

    /// Reads what is there into a buffer.
    public static func receive(_ socket: borrowing OwnedDescriptor, into buffer: inout [UInt8]) -> Progress {
        let got = apus_read(socket.rawValue, &buffer, buffer.count)
        if got == -Int64(EAGAIN) { return .later }
        return got > 0 ? .bytes(Int(got)) : .gone
    }

    /// Sends what the kernel takes.
    public static func send(_ bytes: ArraySlice<UInt8>, to socket: borrowing OwnedDescriptor) -> Progress {
        let number = socket.rawValue
        let put = bytes.withUnsafeBytes { apus_send(number, $0.baseAddress, $0.count) }
        if put == -Int64(EAGAIN) { return .later }
        return put >= 0 ? .bytes(Int(put)) : .gone
    }

    /// Tells the other side that nothing more comes.
    public static func endSending(_ socket: borrowing OwnedDescriptor) { _ = apus_end_sending(socket.rawValue) }

    /// Waits for any of many descriptors, which the caller lends; -1 is passed over.
    public static func wait(
        _ descriptors: [Int32], _ wanted: [Readiness], milliseconds: Int
    ) throws(SystemError) -> [Readiness] {
        var ready = [UInt8](repeating: 0, count: descriptors.count)
        try check(
            apus_poll_many(
                descriptors, wanted.map(\.rawValue), &ready, Int32(min(descriptors.count, wanted.count)),
                Int32(clamping: max(0, milliseconds))), "wait for connections")
        return ready.map(Readiness.init(rawValue:))
    }
}

extension Processes {
    /// Moves the calling thread, and it alone, into a new network namespace with nothing but loopback, which stays for
    /// as long as it is mounted at `path`. The thread is not to be used for anything else afterwards.
    public static func makeNetwork(at path: String) throws(SystemError) {
        try Files.writeDurably([], to: path)
        try check(apus_new_network(), "make a network namespace for", path)
        try Mounts.bindFile("/proc/thread-self/ns/net", over: path)
    }

    /// A descriptor that becomes readable when a process ends (pidfd_open(2)).
    public static func watch(_ process: Int32) throws(SystemError) -> OwnedDescriptor {
        OwnedDescriptor(
            adopting: try check(apus_pidfd_open(process), "watch process", "\(process)"), path: "process \(process)")
    }

    /// Sends a datagram to a UNIX socket; false where nobody takes it.
    @discardableResult
    public static func datagram(_ bytes: [UInt8], to path: String) -> Bool {
        apus_unix_send(path, bytes, bytes.count) >= 0
    }
}
