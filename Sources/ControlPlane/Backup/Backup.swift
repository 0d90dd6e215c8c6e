import Contract
import Foundation
import Store

/// Backups of everything that a server remembers, its CA included, in one archive for its owner only.
public enum Backup {
    /// What a backup holds, for whoever made it.
    public struct Summary: Sendable, Equatable {
        /// How many files.
        public var files: Int
        /// The archive's size in bytes.
        public var bytes: Int64
    }

    /// Writes a backup of a data directory to a new file. The server may run meanwhile.
    ///
    /// The database comes first, as it stands at one instant; the files that it names never change.
    public static func write(dataDirectory: String, to path: String) throws -> Summary {
        let directory = DataDirectory(at: dataDirectory)
        guard FileManager.default.fileExists(atPath: directory.database) else {
            throw ServerProblem("there is no server's data in '\(directory.path)'; name its directory with --data")
        }
        guard !FileManager.default.fileExists(atPath: path) else {
            throw ServerProblem("'\(path)' exists already; choose another name")
        }
        let partial = path + ".partial"
        let copy = path + ".database"
        defer {
            unlink(copy)
            unlink(partial)
        }
        unlink(copy)
        unlink(partial)
        let before = try names(in: directory).filter { $0.hasPrefix("releases/") }
        try SQLiteStore.copy(from: directory.database, to: copy)
        var writer = try ArchiveWriter(path: partial)
        try writer.add(copy, as: "apusd.sqlite")
        var count = 1
        let names = try names(in: directory)
        guard Set(before).isSubset(of: names) else {
            throw ServerProblem("a release was removed while the backup was made; try the backup again")
        }
        for name in names {
            try writer.add("\(directory.path)/\(name)", as: name)
            count += 1
        }
        try writer.finish()
        try DurableFile.move(partial, to: path)
        return Summary(files: count, bytes: FileReply.size(of: path) ?? 0)
    }

    /// Unpacks a backup into a data directory that holds no server's data yet.
    public static func restore(from path: String, dataDirectory: String) throws {
        let directory = DataDirectory(at: dataDirectory)
        let manager = FileManager.default
        let present = (try? manager.contentsOfDirectory(atPath: directory.path)) ?? []
        guard present.isEmpty else {
            throw ServerProblem(
                "'\(directory.path)' is not empty; a restore never overwrites: move it away, or choose another with --data"
            )
        }
        let staging = directory.path + ".restoring"
        try? manager.removeItem(atPath: staging)
        try makeStaging(staging)
        do {
            try ArchiveReader.unpack(path, into: staging, isAllowed: isAllowed)
            let staged = DataDirectory(at: staging)
            for file in [staged.database, staged.authority] where !manager.fileExists(atPath: file) {
                throw ServerProblem("the backup '\(path)' lacks '\(file.dropFirst(staging.count + 1))'")
            }
            try SQLiteStore.check(path: staged.database)
            do {
                _ = try Authority(in: staged)
            } catch {
                throw ServerProblem("the CA in the backup '\(path)' cannot be used (\(error)); use another copy")
            }
            if manager.fileExists(atPath: directory.path) { try manager.removeItem(atPath: directory.path) }
            try DurableFile.move(staging, to: directory.path)
        } catch {
            try? manager.removeItem(atPath: staging)
            throw error
        }
    }

    /// Makes a new directory: one that somebody puts there first, or a link, is refused.
    private static func makeStaging(_ path: String) throws {
        try? FileManager.default.createDirectory(
            atPath: DurableFile.parent(of: path), withIntermediateDirectories: true)
        guard mkdir(path, 0o700) == 0 else { throw DurableFile.failure("create", path) }
    }

    /// The files beside the database that matter, relative to the directory.
    private static func names(in directory: DataDirectory) throws -> [String] {
        let manager = FileManager.default
        func exists(_ name: String) -> Bool { manager.fileExists(atPath: "\(directory.path)/\(name)") }
        var names = ["ca.pem", "ca.crt", "admin.token"].filter(exists)
        for name in try manager.contentsOfDirectory(atPath: directory.boot).sorted() where isAllowed("boot/" + name) {
            names.append("boot/" + name)
        }
        for release in try manager.contentsOfDirectory(atPath: directory.releases).sorted() {
            for file in ReleaseShelf.File.allCases {
                let name = "releases/\(release)/\(file.rawValue)"
                if isAllowed(name), exists(name) { names.append(name) }
            }
        }
        return names
    }

    /// Whether a name is one that backups have: nothing else is written or unpacked.
    private static func isAllowed(_ name: String) -> Bool {
        let parts = name.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        switch (parts.count, parts.first) {
        case (1, _): return ["apusd.sqlite", "ca.pem", "ca.crt", "admin.token"].contains(name)
        case (2, "boot"): return BootShelf.isFileName(parts[1])
        case (3, "releases"):
            return Digest256(hex: parts[1]) != nil && ReleaseShelf.File(rawValue: parts[2]) != nil
        default: return false
        }
    }
}
