internal import CLinux
internal import Glibc

/// The kernel's messages (Documentation/ABI/testing/dev-kmsg).
public struct KernelLog: ~Copyable {
    /// One message.
    public struct Record: Sendable, Equatable {
        /// Its number.
        public var sequence: UInt64
        /// 0 (emergency) to 7 (debug).
        public var level: Int
        /// Microseconds since the kernel started.
        public var microseconds: UInt64
        /// The text, cleaned.
        public var text: String

        /// Parses `level,sequence,microseconds,flags;text`; nil for anything else.
        public init?(line: some StringProtocol) {
            guard let semicolon = line.firstIndex(of: ";") else { return nil }
            let head = line[..<semicolon].split(separator: ",")
            guard head.count >= 3, let prefix = Int(head[0]), let sequence = UInt64(head[1]), let time = UInt64(head[2])
            else { return nil }
            self.sequence = sequence
            level = prefix & 7
            microseconds = time
            // Lines after the first are the message's fields.
            let body = line[line.index(after: semicolon)...].split(separator: "\n", maxSplits: 1).first ?? ""
            text = Text.clean(body, limit: 1024)
        }
    }

    private let file: OwnedDescriptor

    /// The descriptor, to be waited for together with others.
    public var descriptor: Int32 { file.rawValue }

    /// Opens the log at its oldest message.
    public init() throws(SystemError) { file = try OwnedDescriptor(opening: "/dev/kmsg", [.read, .nonBlocking]) }

    /// The next message, or nil where there is none yet. Messages that were overwritten meanwhile are skipped.
    public borrowing func next() throws(SystemError) -> Record? {
        var buffer = [UInt8](repeating: 0, count: 8192)
        for _ in 0..<1024 {
            let got = apus_read(file.rawValue, &buffer, buffer.count)
            if got == -EAGAIN { return nil }
            if got == -EPIPE { continue }
            try check(got, "read", file.path)
            if let record = Record(line: String(decoding: buffer.prefix(Int(got)), as: UTF8.self)) { return record }
        }
        return nil
    }

    /// Writes a line into the kernel's log, where it appears on the console and survives into the log of the next
    /// system. At most 900 bytes of it.
    public static func write(_ line: String, level: Int = 6) {
        guard let file = try? OwnedDescriptor(opening: "/dev/kmsg", .write) else { return }
        try? file.write(Array("<\(level)>\(Text.clean(line, limit: 900))\n".utf8))
    }
}
