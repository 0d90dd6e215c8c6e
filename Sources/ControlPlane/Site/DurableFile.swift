import Foundation

/// Small files that are either there as a whole or not at all, whenever the power goes.
enum DurableFile {
    /// Writes a file beside its place, flushes it, and moves it there.
    static func write(_ bytes: some Collection<UInt8>, to path: String, mode: mode_t = 0o600) throws {
        let partial = path + ".partial"
        let descriptor = open(partial, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, mode)
        guard descriptor >= 0 else { throw failure("create", partial) }
        defer { close(descriptor) }
        guard fchmod(descriptor, mode) == 0 else { throw failure("protect", partial) }
        let content = Array(bytes)
        var written = 0
        while written < content.count {
            let count = content[written...].withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 else { throw failure("write", partial) }
            written += count
        }
        guard fsync(descriptor) == 0 else { throw failure("flush", partial) }
        try move(partial, to: path)
    }

    /// Reads a file of at most `limit` bytes; nil where there is none.
    static func read(_ path: String, limit: Int) throws -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw failure("open", path)
        }
        defer { close(descriptor) }
        var facts = stat()
        guard fstat(descriptor, &facts) == 0 else { throw failure("examine", path) }
        var content = [UInt8](repeating: 0, count: min(limit, max(0, Int(facts.st_size))) + 1)
        var filled = 0
        while filled < content.count {
            let count = content[filled...].withUnsafeMutableBytes {
                Foundation.read(descriptor, $0.baseAddress, $0.count)
            }
            guard count >= 0 else { throw failure("read", path) }
            guard count > 0 else { break }
            filled += count
        }
        guard filled <= limit, filled < content.count else {
            throw ServerProblem("'\(path)' is larger than the \(limit) bytes expected of it")
        }
        return Array(content.prefix(filled))
    }

    /// Moves a file or a directory to its place and flushes the directory that it comes to lie in.
    static func move(_ source: String, to destination: String) throws {
        guard rename(source, destination) == 0 else { throw failure("move '\(source)' to", destination) }
        try flushDirectory(parent(of: destination))
    }

    /// Flushes a directory, so that what was moved into it stays there.
    static func flushDirectory(_ path: String) throws {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure("open", path) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw failure("flush", path) }
    }

    /// The directory that a path lies in.
    static func parent(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// What failed, with the system's reason and, where it helps, what to do.
    static func failure(_ action: String, _ path: String) -> ServerProblem {
        let code = errno
        let reason = String(cString: strerror(code))
        let advice =
            switch code {
            case ENOSPC, EDQUOT: "; make room on that disk"
            case EACCES, EPERM, EROFS: "; choose another place with --data, or run as a user that may write there"
            default: ""
            }
        return ServerProblem("cannot \(action) '\(path)': \(reason)\(advice)")
    }
}
