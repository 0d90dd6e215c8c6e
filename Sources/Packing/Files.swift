internal import Glibc

/// A file that is read, at any offset.
struct InputFile: ~Copyable {
    private let descriptor: Int32
    /// Its size in bytes when it was opened.
    let sizeBytes: UInt64
    private let path: String

    init(_ path: String) throws(PackingError) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .system("cannot open '\(path)'") }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            throw PackingError("'\(path)' is not a file")
        }
        self.descriptor = descriptor
        self.path = path
        sizeBytes = UInt64(status.st_size)
    }

    deinit { close(descriptor) }

    /// Reads exactly `count` bytes at `offset`.
    func read(at offset: UInt64, count: Int) throws(PackingError) -> [UInt8] {
        var failure: PackingError?
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            while filled < count {
                let done = pread(
                    descriptor, buffer.baseAddress.map { $0 + filled }, count - filled, off_t(offset) + off_t(filled))
                if done < 0, errno == EINTR { continue }
                guard done > 0 else {
                    failure = done < 0 ? .system("cannot read '\(path)'") : PackingError("'\(path)' ends too early")
                    return
                }
                filled += done
            }
        }
        if let failure { throw failure }
        return bytes
    }

    /// All of it, where it has at most `limit` bytes.
    func readAll(limit: Int) throws(PackingError) -> [UInt8] {
        guard sizeBytes <= UInt64(limit) else {
            throw PackingError("'\(path)' has \(sizeBytes) bytes; \(limit) are accepted")
        }
        return try read(at: 0, count: Int(sizeBytes))
    }
}

/// A new file that is written from its start.
struct OutputFile: ~Copyable {
    private let descriptor: Int32
    private let path: String
    /// Bytes written so far.
    private(set) var sizeBytes: UInt64 = 0

    /// Creates or replaces a file with the permissions `mode`.
    init(_ path: String, mode: mode_t = 0o644, exclusive: Bool = false) throws(PackingError) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (exclusive ? O_EXCL : O_TRUNC), mode)
        guard descriptor >= 0 else { throw .system("cannot write '\(path)'") }
        self.descriptor = descriptor
        self.path = path
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    mutating func write(_ bytes: UnsafeRawBufferPointer) throws(PackingError) {
        var rest = bytes
        while !rest.isEmpty {
            let done = Glibc.write(descriptor, rest.baseAddress, rest.count)
            if done < 0, errno == EINTR { continue }
            guard done > 0 else { throw .system("cannot write '\(path)'") }
            rest = UnsafeRawBufferPointer(rebasing: rest[done...])
        }
        sizeBytes += UInt64(bytes.count)
    }

    mutating func write(_ bytes: [UInt8]) throws(PackingError) {
        var failure: PackingError?
        bytes.withUnsafeBytes { buffer in
            do throws(PackingError) { try write(buffer) } catch { failure = error }
        }
        if let failure { throw failure }
    }

    /// Appends zeros until the size is a multiple of `alignment`.
    mutating func pad(to alignment: Int) throws(PackingError) {
        let over = Int(sizeBytes % UInt64(alignment))
        if over > 0 { try write([UInt8](repeating: 0, count: alignment - over)) }
    }

    /// Appends all of a file.
    mutating func append(contentsOf path: String) throws(PackingError) {
        let input = try InputFile(path)
        var offset: UInt64 = 0
        while offset < input.sizeBytes {
            let count = Int(min(1 << 20, input.sizeBytes - offset))
            try write(try input.read(at: offset, count: count))
            offset += UInt64(count)
        }
    }

    /// Goes on writing at the end of the file, which another call has moved.
    func seekToEnd() throws(PackingError) {
        guard lseek(descriptor, 0, Int32(SEEK_END)) >= 0 else { throw .system("cannot seek in '\(path)'") }
    }

    /// Returns when the bytes are on the medium.
    func flush() throws(PackingError) {
        guard fsync(descriptor) == 0 else { throw .system("cannot flush '\(path)'") }
    }
}

/// Operations on files by their paths.
enum Files {
    /// Reads a whole file of at most `limit` bytes.
    static func read(_ path: String, limit: Int) throws(PackingError) -> [UInt8] {
        let file = try InputFile(path)
        return try file.readAll(limit: limit)
    }

    /// Reads a small text file without the white space at its ends.
    static func text(_ path: String, limit: Int = 64 << 10) throws(PackingError) -> String {
        let bytes = try read(path, limit: limit)
        guard let text = String(validating: bytes, as: UTF8.self) else { throw PackingError("'\(path)' is not text") }
        let kept = text.drop { $0.isWhitespace }.reversed().drop { $0.isWhitespace }.reversed()
        return String(kept)
    }

    /// Creates or replaces a file.
    static func write(_ bytes: [UInt8], to path: String, mode: mode_t = 0o644) throws(PackingError) {
        var file = try OutputFile(path, mode: mode)
        try file.write(bytes)
    }

    /// Makes a directory and those above it, where they are missing.
    static func makeDirectory(_ path: String) throws(PackingError) {
        var made = path.hasPrefix("/") ? "/" : ""
        for part in path.split(separator: "/") {
            made += made.isEmpty || made == "/" ? String(part) : "/" + part
            guard mkdir(made, 0o777) == 0 || errno == EEXIST else { throw .system("cannot make directory '\(made)'") }
        }
    }

    /// Makes the directory that `path` is to lie in, where it is missing.
    static func makeParentDirectory(of path: String) throws(PackingError) {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false).dropLast()
        if !parts.isEmpty { try makeDirectory(parts.joined(separator: "/")) }
    }

    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    static func isDirectory(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }
}
