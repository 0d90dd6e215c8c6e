import Foundation
import GRDB

/// The embedded store: one SQLite file in WAL mode, where a returned `write` has reached the disk.
public final class SQLiteStore: ServerStore {
    /// Where the file lies.
    public let path: String
    private let pool: DatabasePool

    /// Opens the file, making it owner-only where it is not there, and brings its tables up to date.
    ///
    /// Refuses a file that a newer version of this program has written.
    public init(path: String) throws {
        self.path = path
        try Self.makeOwnerOnly(path)
        do {
            pool = try DatabasePool(path: path, configuration: Self.configuration)
        } catch {
            throw StoreError("cannot open the database '\(path)': \(Self.sentence(error)); restore it from a backup")
        }
        try Self.refuseNewerSchema(pool, path: path)
        do {
            try Schema.migrator.migrate(pool)
        } catch {
            throw StoreError("cannot bring the database '\(path)' up to date: \(Self.sentence(error))")
        }
    }

    /// Runs a body that only reads, on one consistent snapshot.
    public func read<Value: Sendable>(
        _ body: @escaping @Sendable (any StoreTransaction) throws -> Value
    ) async throws -> Value {
        try await pool.read { try body(SQLiteTransaction(database: $0)) }
    }

    /// Runs a body that may write, alone; its changes are durable on return, or undone if it throws.
    ///
    /// Throws `StoreFull` where the disk has no room for them, `StoreReadOnly` where it takes none.
    public func write<Value: Sendable>(
        _ body: @escaping @Sendable (any StoreTransaction) throws -> Value
    ) async throws -> Value {
        do {
            return try await pool.write { try body(SQLiteTransaction(database: $0)) }
        } catch let error as DatabaseError where error.resultCode == .SQLITE_FULL {
            throw StoreFull()
        } catch let error as DatabaseError where error.resultCode == .SQLITE_READONLY {
            throw StoreReadOnly()
        }
    }

    /// Closes the file; nothing may use the store afterwards.
    public func close() throws { try pool.close() }

    /// Copies a store that may be in use to a new, owner-only file, as it stands at one instant.
    ///
    /// Uses SQLite's online backup (<https://www.sqlite.org/backup.html>), so that a running server is not disturbed.
    public static func copy(from source: String, to destination: String) throws {
        guard FileManager.default.fileExists(atPath: source) else {
            throw StoreError("there is no database '\(source)'")
        }
        try makeOwnerOnly(destination)
        do {
            let from = try DatabaseQueue(path: source, configuration: configuration)
            let into = try DatabaseQueue(path: destination)
            try from.backup(to: into)
            // A copy stands alone: without the journal files that WAL mode keeps beside it.
            try into.writeWithoutTransaction { _ = try String.fetchOne($0, sql: "PRAGMA journal_mode = DELETE") }
            try into.close()
            try from.close()
        } catch {
            let reason = hasRoom(for: source, at: destination) ? sentence(error) : "there is no room for the copy"
            throw StoreError("cannot copy the database '\(source)' to '\(destination)': \(reason)")
        }
    }

    /// Checks that a file is a sound store of a version that this program can read.
    public static func check(path: String) throws {
        do {
            var readOnly = Configuration()
            readOnly.readonly = true
            let queue = try DatabaseQueue(path: path, configuration: readOnly)
            let verdict = try queue.read { try String.fetchOne($0, sql: "PRAGMA quick_check") }
            guard verdict == "ok" else { throw StoreError("the database '\(path)' is damaged: \(verdict ?? "")") }
            try refuseNewerSchema(queue, path: path)
            // An empty file is a sound database, too.
            guard try !queue.read({ try Schema.migrator.completedMigrations($0) }).isEmpty else {
                throw StoreError("the database '\(path)' is not one of apusd")
            }
            try queue.close()
        } catch let error as StoreError {
            throw error
        } catch {
            throw StoreError("cannot read the database '\(path)': \(sentence(error))")
        }
    }

    private static var configuration: Configuration {
        var configuration = Configuration()
        configuration.foreignKeysEnabled = true
        configuration.busyMode = .timeout(10)
        configuration.maximumReaderCount = 4
        configuration.prepareDatabase { database in
            // WAL defaults to losing the newest transactions with the power; a certificate that was handed out stays.
            try database.execute(sql: "PRAGMA synchronous = FULL")
        }
        return configuration
    }

    private static func refuseNewerSchema(_ reader: any DatabaseReader, path: String) throws {
        let isNewer = try reader.read { try Schema.migrator.hasBeenSuperseded($0) }
        guard !isNewer else {
            throw StoreError(
                "the database '\(path)' was written by a newer version of apusd; install that version, or restore a backup"
            )
        }
    }

    private static func makeOwnerOnly(_ path: String) throws {
        let manager = FileManager.default
        if !manager.fileExists(atPath: path) {
            guard manager.createFile(atPath: path, contents: nil, attributes: [.posixPermissions: 0o600]) else {
                throw StoreError("cannot create '\(path)'; check that its directory exists and can be written")
            }
        }
        try manager.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
    }

    /// Whether a file would fit beside another, so that a full disk is called that: SQLite's own words are vague here.
    private static func hasRoom(for source: String, at destination: String) -> Bool {
        let manager = FileManager.default
        let folder = URL(fileURLWithPath: destination).deletingLastPathComponent().path
        guard let free = try? manager.attributesOfFileSystem(forPath: folder)[.systemFreeSize] as? NSNumber,
            let size = try? manager.attributesOfItem(atPath: source)[.size] as? NSNumber
        else { return true }
        return free.int64Value > size.int64Value + 1 << 20
    }

    private static func sentence(_ error: any Error) -> String {
        (error as? DatabaseError).map { $0.message ?? "SQLite error \($0.resultCode.rawValue)" } ?? "\(error)"
    }
}
