internal import CLinux
internal import Glibc

/// What a path is and how large, as in statx(2).
public struct FileStatus: Sendable, Equatable {
    /// What kinds of file there are.
    public enum Kind: Sendable, Equatable {
        /// An ordinary file.
        case regular
        /// A directory.
        case directory
        /// A symbolic link.
        case symbolicLink
        /// A block device with its numbers.
        case blockDevice(major: UInt32, minor: UInt32)
        /// A character device with its numbers.
        case characterDevice(major: UInt32, minor: UInt32)
        /// A pipe or a socket.
        case other
    }

    /// The kind.
    public var kind: Kind
    /// The size in bytes; 0 for devices.
    public var sizeBytes: UInt64
    /// The permission bits.
    public var mode: UInt32
    /// The owner's user id.
    public var owner: UInt32
    /// The number of the file system that it lies on.
    public var fileSystem: UInt64
    /// Its number within that file system.
    public var inode: UInt64
    /// Whether it is the root of a mounted file system.
    public var isMountPoint: Bool
    /// When its content last changed, in seconds since 1970.
    public var modifiedSeconds: Int64

    init(_ status: apus_status) {
        if status.is_regular != 0 {
            kind = .regular
        } else if status.is_directory != 0 {
            kind = .directory
        } else if status.is_symlink != 0 {
            kind = .symbolicLink
        } else if status.is_block != 0 {
            kind = .blockDevice(major: status.rdev_major, minor: status.rdev_minor)
        } else if status.is_character != 0 {
            kind = .characterDevice(major: status.rdev_major, minor: status.rdev_minor)
        } else {
            kind = .other
        }
        sizeBytes = status.size
        mode = status.mode
        owner = status.owner
        fileSystem = status.device
        inode = status.inode
        isMountPoint = status.is_mount_point != 0
        modifiedSeconds = status.modified_seconds
    }
}

/// Whole small files and directories. Every read is bounded, every durable write survives a power cut at any instant.
public enum Files {
    /// Reads a whole file, or throws `EFBIG` where it is larger than `limitBytes`.
    public static func read(_ path: String, limitBytes: Int = 1 << 20) throws(SystemError) -> [UInt8] {
        let file = try OwnedDescriptor(opening: path, .read)
        var bytes: [UInt8] = []
        // Files of /proc and /sys have no size beforehand: read until the end, one byte beyond the limit at most.
        while true {
            let part = try file.read(atMost: min(64 << 10, limitBytes + 1 - bytes.count))
            if part.isEmpty { return bytes }
            bytes += part
            if bytes.count > limitBytes {
                throw SystemError("read", path, code: EFBIG, detail: "more than \(limitBytes) bytes")
            }
        }
    }

    /// Reads at most the first `count` bytes of a file, in one go.
    public static func readPrefix(_ path: String, bytes count: Int) throws(SystemError) -> [UInt8] {
        let file = try OwnedDescriptor(opening: path, .read)
        var bytes: [UInt8] = []
        while bytes.count < count {
            let part = try file.read(atMost: count - bytes.count)
            if part.isEmpty { break }
            bytes += part
        }
        return bytes
    }

    /// Reads a whole small text file without the white space at its ends; invalid UTF-8 is replaced.
    public static func readText(_ path: String, limitBytes: Int = 64 << 10) throws(SystemError) -> String {
        String(decoding: trimmed(try read(path, limitBytes: limitBytes)), as: UTF8.self)
    }

    /// Writes into an existing file in one call, as the files of /proc and /sys want it.
    public static func overwrite(_ path: String, with text: String) throws(SystemError) {
        let file = try OwnedDescriptor(opening: path, .write)
        try file.write(Array(text.utf8))
        try file.close()
    }

    /// Makes a file with exactly these bytes; after it returns they survive a power cut, and before that the old ones.
    ///
    /// Written to a temporary file beside it, flushed, renamed over it, and the folder flushed. Owner-only by default.
    public static func writeDurably(_ bytes: [UInt8], to path: String, mode: UInt32 = 0o600) throws(SystemError) {
        // One name per target, so that what a power cut leaves behind is used up by the next write.
        let temporary = path + ".new"
        let file = try OwnedDescriptor(opening: temporary, [.write, .create, .truncate, .noFollow], mode: mode)
        do {
            try check(apus_chmod(temporary, mode), "set the mode of", temporary)
            try file.write(bytes)
            try file.sync()
            try file.close()
            try check(apus_rename(temporary, path), "rename to", path)
        } catch {
            _ = apus_unlink(temporary)
            throw error
        }
        try syncDirectory(parent(of: path))
    }

    /// Waits until the names in a directory are on the medium.
    public static func syncDirectory(_ path: String) throws(SystemError) {
        let directory = try OwnedDescriptor(opening: path, [.read, .directory])
        try directory.sync()
    }

    /// Writes back the whole file system that a path lies on.
    public static func syncFileSystem(containing path: String) throws(SystemError) {
        let file = try OwnedDescriptor(opening: path, .read)
        try check(apus_sync_filesystem(file.rawValue), "flush the file system of", path)
    }

    /// Whether something is there, a broken symbolic link included.
    public static func exists(_ path: String) -> Bool {
        var status = apus_status()
        return apus_stat(path, 0, &status) == 0
    }

    /// Gives a file or directory another name on the same file system, over a file that has it; after it returns the
    /// new name survives a power cut.
    public static func renameDurably(_ path: String, to newPath: String) throws(SystemError) {
        try check(apus_rename(path, newPath), "rename to", newPath)
        try syncDirectory(parent(of: newPath))
        if parent(of: path) != parent(of: newPath) { try syncDirectory(parent(of: path)) }
    }

    /// The facts about a path, or nil where nothing is there.
    public static func status(_ path: String, followSymbolicLinks: Bool = true) -> FileStatus? {
        var status = apus_status()
        guard apus_stat(path, followSymbolicLinks ? 1 : 0, &status) == 0 else { return nil }
        return FileStatus(status)
    }

    /// Makes a directory, with those above it where they are missing; one that exists is fine.
    public static func makeDirectory(_ path: String, mode: UInt32 = 0o755) throws(SystemError) {
        let result = apus_mkdir(path, mode)
        if result == 0 { return }
        if result == -EEXIST, case .directory? = status(path)?.kind { return }
        let above = parent(of: path)
        guard result == -ENOENT, above != path, above != "." else {
            throw SystemError("make the directory", path, code: result)
        }
        try makeDirectory(above, mode: mode)
        let second = apus_mkdir(path, mode)
        if second != -EEXIST { try check(second, "make the directory", path) }
    }

    /// Removes a file; one that is not there is fine.
    public static func remove(_ path: String) throws(SystemError) {
        let result = apus_unlink(path)
        if result != -ENOENT { try check(result, "remove", path) }
    }

    /// Removes a directory and what is in it, without leaving its file system and without following links.
    public static func removeTree(_ path: String) throws(SystemError) {
        guard let status = status(path, followSymbolicLinks: false) else { return }
        guard case .directory = status.kind else { return try remove(path) }
        let directory = try OwnedDescriptor(opening: path, [.read, .directory, .noFollow])
        try emptyDirectory(directory.rawValue, path: path, fileSystem: status.fileSystem, depth: 0)
        try check(apus_rmdir(path), "remove the directory", path)
    }

    /// Removes what is in an open directory; mount points are left as they are.
    static func emptyDirectory(_ fd: Int32, path: String, fileSystem: UInt64, depth: Int) throws(SystemError) {
        guard depth < 64 else { throw SystemError("remove", path, code: ELOOP, detail: "nested too deeply") }
        for name in try names(inDirectory: fd, path: path, limit: 1 << 20) {
            var status = apus_status()
            guard apus_statat(fd, name, &status) == 0 else { continue }
            guard status.device == fileSystem else { continue }
            if status.is_directory != 0 {
                let child = OwnedDescriptor(
                    adopting: try check(
                        apus_openat(
                            fd, name, UInt32(APUS_READ.rawValue | APUS_DIRECTORY.rawValue | APUS_NOFOLLOW.rawValue), 0),
                        "open", path + "/" + name),
                    path: path + "/" + name)
                try emptyDirectory(child.rawValue, path: child.path, fileSystem: fileSystem, depth: depth + 1)
            }
            let result = apus_unlinkat(fd, name, status.is_directory)
            // A directory that still holds a mount point stays.
            if result != -EBUSY && result != -ENOTEMPTY && result != -ENOENT {
                try check(result, "remove", path + "/" + name)
            }
        }
    }

    /// The names in a directory, sorted; throws `EFBIG` where there are more than `limit`.
    public static func list(_ path: String, limit: Int = 1 << 16) throws(SystemError) -> [String] {
        let directory = try OwnedDescriptor(opening: path, [.read, .directory])
        return try names(inDirectory: directory.rawValue, path: path, limit: limit).sorted()
    }

    private static func names(inDirectory fd: Int32, path: String, limit: Int) throws(SystemError) -> [String] {
        final class Names {
            var found: [String] = []
            var limit: Int
            init(limit: Int) { self.limit = limit }
        }
        let names = Names(limit: limit)
        let result = withExtendedLifetime(names) {
            apus_list(
                fd,
                { name, context in
                    guard let name, let context else { return 1 }
                    let names = Unmanaged<Names>.fromOpaque(context).takeUnretainedValue()
                    names.found.append(String(cString: name))
                    return names.found.count > names.limit ? 1 : 0
                }, Unmanaged.passUnretained(names).toOpaque())
        }
        try check(result, "list", path)
        guard names.found.count <= limit else {
            throw SystemError("list", path, code: EFBIG, detail: "more than \(limit) names")
        }
        return names.found
    }

    /// What a symbolic link points to.
    public static func readLink(_ path: String) throws(SystemError) -> String {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = buffer.withUnsafeMutableBytes { bytes in
            apus_readlink(path, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count)
        }
        try check(count, "read the link", path)
        return String(decoding: buffer.prefix(Int(count)), as: UTF8.self)
    }

    /// The path without links and `..`.
    public static func resolve(_ path: String) throws(SystemError) -> String {
        var buffer = [CChar](repeating: 0, count: 4096)
        try check(apus_realpath(path, &buffer, buffer.count), "resolve", path)
        return String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// Makes a symbolic link in place of what is at `path`, in one step.
    public static func link(_ path: String, to target: String) throws(SystemError) {
        let temporary = path + ".new"
        _ = apus_unlink(temporary)
        try check(apus_symlink(target, temporary), "link", temporary)
        try check(apus_rename(temporary, path), "rename to", path)
    }

    /// Sets the permission bits.
    public static func setMode(_ path: String, to mode: UInt32) throws(SystemError) {
        try check(apus_chmod(path, mode), "set the mode of", path)
    }

    /// Free and total bytes of the file system that a path lies on.
    public static func space(at path: String) throws(SystemError) -> (totalBytes: UInt64, availableBytes: UInt64) {
        var space = apus_space()
        try check(apus_space(path, &space), "inspect the file system of", path)
        return (space.total_bytes, space.available_bytes)
    }

    /// The directory that a path lies in.
    public static func parent(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    private static func trimmed(_ bytes: [UInt8]) -> ArraySlice<UInt8> {
        func isSpace(_ byte: UInt8) -> Bool { byte == 0 || byte == 32 || (9...13).contains(byte) }
        guard let first = bytes.firstIndex(where: { !isSpace($0) }),
            let last = bytes.lastIndex(where: { !isSpace($0) })
        else { return [] }
        return bytes[first...last]
    }
}
