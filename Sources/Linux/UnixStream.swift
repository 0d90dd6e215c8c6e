internal import CLinux
internal import Glibc

/// A stream to whoever listens at a path (unix(7)).
public struct UnixStream: ~Copyable, Sendable {
    private let descriptor: OwnedDescriptor

    /// Connects at once or throws; nobody is waited for.
    public init(connectingTo path: String) throws(SystemError) {
        // Who goes away while it is written to must not end this program (pipe(7)).
        signal(SIGPIPE, SIG_IGN)
        descriptor = OwnedDescriptor(adopting: try check(apus_unix_connect(path), "connect to", path), path: path)
    }

    /// What came, at most 32 KiB; empty at the stream's end, nil where nothing came in time.
    public borrowing func read(waitingMilliseconds: Int) throws(SystemError) -> [UInt8]? {
        let ready = apus_poll_read([descriptor.rawValue], 1, Int32(clamping: waitingMilliseconds))
        guard ready & 1 != 0 else { return nil }
        return try descriptor.read(atMost: 32 << 10)
    }

    /// Writes all of it.
    public borrowing func write(_ bytes: [UInt8]) throws(SystemError) { try descriptor.write(bytes) }

    /// Carries what one descriptor gives to the stream, and what the stream gives to another, until the stream ends.
    ///
    /// What the other does not take at once is dropped: whoever reads slowly holds nobody up.
    public borrowing func relay(from input: Int32, to output: Int32) throws(SystemError) {
        try check(apus_set_nonblocking(output, 1), "relay", descriptor.path)
        var isFed = true
        while true {
            let ready = apus_poll_read([descriptor.rawValue, isFed ? input : -1], 2, 60_000)
            if ready & 1 != 0 {
                let bytes = try descriptor.read(atMost: 32 << 10)
                if bytes.isEmpty { return }
                var done = 0
                while done < bytes.count {
                    let from = done
                    let put = bytes.withUnsafeBytes { buffer in
                        apus_write(output, buffer.baseAddress.map { $0 + from }, bytes.count - from)
                    }
                    if put == -Int64(EAGAIN) { break }
                    done += Int(try check(put, "write", "standard output"))
                }
            }
            guard isFed, ready & 2 != 0 else { continue }
            var bytes = [UInt8](repeating: 0, count: 4096)
            let got = apus_read(input, &bytes, bytes.count)
            if got > 0 { try write(Array(bytes.prefix(Int(got)))) } else { isFed = false }
        }
    }
}
