import Contract
import Cryptography
import Foundation

/// Writes a backup's archive: files one after the other, and at its end a list with the SHA-256 of each.
///
/// The list comes last, so that an archive that was cut short is never taken for a whole one.
struct ArchiveWriter {
    private let handle: FileHandle
    private var digests: [String: String] = [:]

    /// The name of the list.
    static let listName = "apus-backup.json"

    /// Starts an archive in a file that must not be there yet, for its owner only.
    init(path: String) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw DurableFile.failure("create", path) }
        handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    }

    /// Adds a file as it is now.
    mutating func add(_ path: String, as name: String) throws {
        guard let size = FileReply.size(of: path) else {
            throw ServerProblem("'\(path)' is not a file, or is gone; try the backup again")
        }
        let source = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
        defer { try? source.close() }
        let bytes = UInt64(size)
        try handle.write(contentsOf: Tar.header(name: name, bytes: bytes, modified: 0))
        var hasher = SHA256Hasher()
        var left = bytes
        while left > 0 {
            guard let chunk = try source.read(upToCount: Int(min(left, 1 << 20))), !chunk.isEmpty else {
                throw ServerProblem("'\(path)' became shorter while it was read; try the backup again")
            }
            hasher.update(chunk)
            try handle.write(contentsOf: chunk)
            left -= UInt64(chunk.count)
        }
        try handle.write(contentsOf: Data(count: Tar.padding(after: bytes)))
        digests[name] = hasher.finish().lowercaseHex
    }

    /// Adds the list and flushes.
    mutating func finish() throws {
        let list = try Wire.encode(BackupList(format: 1, files: digests))
        try handle.write(contentsOf: Tar.header(name: Self.listName, bytes: UInt64(list.count), modified: 0))
        try handle.write(contentsOf: Data(list))
        try handle.write(contentsOf: Data(count: Tar.padding(after: UInt64(list.count)) + 2 * Tar.blockBytes))
        try handle.synchronize()
        try handle.close()
    }
}

/// The last file of an archive: the others' SHA-256.
struct BackupList: Codable, Equatable {
    var format: Int
    var files: [String: String]
}

/// Unpacks a backup's archive, believing nothing in it before the list at its end agrees.
enum ArchiveReader {
    /// Unpacks all files below a directory that exists; names are what `isAllowed` accepts.
    static func unpack(_ path: String, into directory: String, isAllowed: (String) -> Bool) throws {
        let handle: FileHandle
        do {
            handle = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
        } catch {
            throw ServerProblem("cannot read the backup '\(path)'; check its name and who may read it")
        }
        defer { try? handle.close() }
        var digests: [String: String] = [:]
        var list: BackupList?
        while let entry = try Tar.entry(try read(handle, Tar.blockBytes)) {
            guard list == nil else { throw ServerProblem("something follows the list at the backup's end") }
            if entry.name == ArchiveWriter.listName {
                guard entry.bytes <= 16 << 20 else { throw ServerProblem("the backup's list is too large") }
                list = try readList(try read(handle, Int(entry.bytes)))
            } else {
                guard isAllowed(entry.name), digests[entry.name] == nil else {
                    throw ServerProblem(
                        "the backup has a file '\(CleanText.line(entry.name))' that does not belong there")
                }
                digests[entry.name] = try copy(handle, entry, to: "\(directory)/\(entry.name)")
            }
            _ = try read(handle, Tar.padding(after: entry.bytes))
        }
        guard let list, list.format == 1, list.files == digests else {
            throw ServerProblem("the backup '\(path)' is not whole or was changed; use another copy")
        }
        try flushDirectories(of: digests.keys, in: directory)
    }

    private static func readList(_ bytes: [UInt8]) throws -> BackupList {
        do {
            return try Wire.decode(BackupList.self, from: bytes, limit: 16 << 20)
        } catch {
            throw ServerProblem("the list at the backup's end cannot be read (\(error)); use another copy")
        }
    }

    /// Makes durable in which folders the files lie: their contents are flushed one by one.
    private static func flushDirectories(of names: some Collection<String>, in directory: String) throws {
        var folders: Set<String> = [directory]
        for name in names {
            var folder = DurableFile.parent(of: "\(directory)/\(name)")
            while folder.count > directory.count, folders.insert(folder).inserted {
                folder = DurableFile.parent(of: folder)
            }
        }
        for folder in folders.sorted(by: { $0.count > $1.count }) { try DurableFile.flushDirectory(folder) }
    }

    private static func copy(_ handle: FileHandle, _ entry: Tar.Entry, to path: String) throws -> String {
        try FileManager.default.createDirectory(
            atPath: DurableFile.parent(of: path), withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o700])
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw DurableFile.failure("create", path) }
        let target = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        var hasher = SHA256Hasher()
        var left = entry.bytes
        while left > 0 {
            let chunk = try read(handle, Int(min(left, 1 << 20)))
            hasher.update(chunk)
            try target.write(contentsOf: chunk)
            left -= UInt64(chunk.count)
        }
        try target.synchronize()
        try target.close()
        return hasher.finish().lowercaseHex
    }

    private static func read(_ handle: FileHandle, _ count: Int) throws -> [UInt8] {
        guard count > 0 else { return [] }
        var bytes: [UInt8] = []
        do {
            while bytes.count < count, let chunk = try handle.read(upToCount: count - bytes.count), !chunk.isEmpty {
                bytes.append(contentsOf: chunk)
            }
        } catch {
            throw ServerProblem("the backup cannot be read: is it a file, and its disk sound? Use another copy")
        }
        guard bytes.count == count else {
            throw ServerProblem("the file ends in the middle: it is no whole backup of apusd; use another copy")
        }
        return bytes
    }
}
