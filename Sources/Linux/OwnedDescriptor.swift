internal import CLinux
internal import Glibc

/// An open file descriptor with one owner: closed exactly once, at the latest when it goes out of scope.
///
/// `close()` reports errors that a late write may only show there; letting it go out of scope swallows them.
public struct OwnedDescriptor: ~Copyable, Sendable {
    /// The number, to be lent to system calls and never closed by the borrower.
    public private(set) var rawValue: Int32
    /// What was opened, for error messages.
    public let path: String

    /// How to open: the flags of open(2). `O_CLOEXEC` is always set.
    public struct Options: OptionSet, Sendable {
        /// The bits that CLinux maps to the architecture's own.
        public let rawValue: UInt32
        /// Takes raw bits.
        public init(rawValue: UInt32) { self.rawValue = rawValue }
        /// For reading.
        public static let read = Options(rawValue: 1 << 0)
        /// For writing.
        public static let write = Options(rawValue: 1 << 1)
        /// Create where it does not exist.
        public static let create = Options(rawValue: 1 << 2)
        /// Fail where it exists; a block device: fail where it is in use.
        public static let exclusive = Options(rawValue: 1 << 3)
        /// Cut to no length.
        public static let truncate = Options(rawValue: 1 << 4)
        /// Each write goes to the end.
        public static let append = Options(rawValue: 1 << 5)
        /// Past the page cache; buffers, offsets and lengths must be aligned.
        public static let direct = Options(rawValue: 1 << 6)
        /// Do not wait.
        public static let nonBlocking = Options(rawValue: 1 << 7)
        /// Only a directory.
        public static let directory = Options(rawValue: 1 << 8)
        /// Not through a symbolic link.
        public static let noFollow = Options(rawValue: 1 << 9)
        /// Only a handle, not for reading or writing.
        public static let path = Options(rawValue: 1 << 10)
    }

    /// Opens a path; a created file gets `mode`, owner-only by default.
    public init(opening path: String, _ options: Options, mode: UInt32 = 0o600) throws(SystemError) {
        rawValue = try check(apus_open(path, options.rawValue, mode), "open", path)
        self.path = path
    }

    /// Takes ownership of an open descriptor.
    public init(adopting rawValue: Int32, path: String) {
        self.rawValue = rawValue
        self.path = path
    }

    /// Makes a nameless file in memory (memfd_create(2)).
    public static func inMemory(name: String) throws(SystemError) -> OwnedDescriptor {
        OwnedDescriptor(adopting: try check(apus_memfd(name), "make a file in memory", name), path: name)
    }

    deinit { if rawValue >= 0 { _ = apus_close(rawValue) } }

    /// Closes it and reports what the kernel says.
    public consuming func close() throws(SystemError) {
        let number = rawValue
        rawValue = -1
        try check(apus_close(number), "close", path)
    }

    /// Gives ownership away: the caller closes it.
    public consuming func release() -> Int32 {
        let number = rawValue
        rawValue = -1
        return number
    }

    /// Reads up to the buffer's size; 0 means the end.
    public borrowing func read(into buffer: UnsafeMutableRawBufferPointer) throws(SystemError) -> Int {
        Int(try check(apus_read(rawValue, buffer.baseAddress, buffer.count), "read", path))
    }

    /// Reads up to `count` bytes from the current position; empty means the end.
    public borrowing func read(atMost count: Int) throws(SystemError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let got = try check(apus_read(rawValue, &bytes, count), "read", path)
        bytes.removeLast(count - Int(got))
        return bytes
    }

    /// Reads exactly the buffer's size at an offset, or throws `EIO` at the end of the file.
    public borrowing func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(SystemError) {
        var done = 0
        while done < buffer.count {
            let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
            let got = try check(
                apus_pread(rawValue, rest.baseAddress, rest.count, offset + UInt64(done)), "read", path)
            guard got > 0 else {
                throw SystemError("read", path, code: EIO, detail: "it ends at byte \(offset + UInt64(done))")
            }
            done += Int(got)
        }
    }

    /// Writes all bytes at the current position.
    public borrowing func write(_ bytes: UnsafeRawBufferPointer) throws(SystemError) {
        var done = 0
        while done < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
            done += Int(try check(apus_write(rawValue, rest.baseAddress, rest.count), "write", path))
        }
    }

    /// Writes all bytes at the current position.
    public borrowing func write(_ bytes: [UInt8]) throws(SystemError) {
        var done = 0
        while done < bytes.count {
            let count = bytes.count - done
            let written = bytes.withUnsafeBytes { buffer in
                apus_write(rawValue, buffer.baseAddress.map { $0 + done }, count)
            }
            done += Int(try check(written, "write", path))
        }
    }

    /// Writes all bytes at an offset.
    public borrowing func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(SystemError) {
        var done = 0
        while done < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
            let put = try check(
                apus_pwrite(rawValue, rest.baseAddress, rest.count, offset + UInt64(done)), "write", path)
            guard put > 0 else { throw SystemError("write", path, code: EIO, detail: "the device took no bytes") }
            done += Int(put)
        }
    }

    /// Waits until data and metadata are on the medium.
    public borrowing func sync() throws(SystemError) { try check(apus_fsync(rawValue), "flush", path) }

    /// Waits until data is on the medium.
    public borrowing func syncData() throws(SystemError) { try check(apus_fdatasync(rawValue), "flush", path) }

    /// Cuts or extends to a size.
    public borrowing func truncate(to sizeBytes: UInt64) throws(SystemError) {
        try check(apus_truncate(rawValue, sizeBytes), "resize", path)
    }

    /// The facts about what is open.
    public borrowing func status() throws(SystemError) -> FileStatus {
        var status = apus_status()
        try check(apus_fstat(rawValue, &status), "inspect", path)
        return FileStatus(status)
    }

    /// Takes an exclusive advisory lock, or returns false where another program has it.
    public borrowing func lockExclusively() throws(SystemError) -> Bool {
        let result = apus_lock_exclusively(rawValue)
        if result == -EWOULDBLOCK { return false }
        try check(result, "lock", path)
        return true
    }
}
