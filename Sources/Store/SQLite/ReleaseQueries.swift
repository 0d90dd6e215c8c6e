import Contract
import GRDB

extension SQLiteTransaction {
    func release(_ name: Digest256) throws -> ReleaseRecord? {
        try Row.fetchOne(database, sql: "SELECT * FROM releases WHERE name = ?", arguments: [name.description])
            .map(releaseRecord)
    }

    func releases() throws -> [ReleaseRecord] {
        try Row.fetchAll(database, sql: "SELECT * FROM releases ORDER BY position").map(releaseRecord)
    }

    func insert(_ release: ReleaseRecord) throws {
        func column(_ bytes: UInt64) throws -> Int64 {
            guard let value = Int64(exactly: bytes) else { throw StoreError("a size of \(bytes) bytes is impossible") }
            return value
        }
        try database.execute(
            sql: """
                INSERT INTO releases (name, product, version, epoch, architecture, pack_bytes, root_bytes, tree_bytes,
                    uki_bytes, boot_bytes, published)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO NOTHING
                """,
            arguments: [
                release.name.description, release.product, release.version, release.epoch,
                release.architecture.rawValue, try column(release.packBytes), try column(release.rootBytes),
                try column(release.treeBytes), try column(release.ukiBytes), try column(release.bootBytes),
                release.publishedSeconds,
            ])
    }

    func removeRelease(_ name: Digest256) throws {
        try database.execute(sql: "DELETE FROM releases WHERE name = ?", arguments: [name.description])
    }

    func releaseKeys() throws -> [ReleaseKey] {
        try Row.fetchAll(database, sql: "SELECT * FROM release_keys ORDER BY position")
            .map { try $0.document("key", as: ReleaseKey.self) }
    }

    func insert(_ key: ReleaseKey, id: String) throws {
        try database.execute(
            sql: "INSERT INTO release_keys (id, key) VALUES (?, ?) ON CONFLICT (id) DO NOTHING",
            arguments: [id, try documentText(key)])
    }

    private func releaseRecord(_ row: Row) throws -> ReleaseRecord {
        ReleaseRecord(
            name: try row.digest("name"), product: try row.text("product"), version: try row.text("version"),
            epoch: try row.integer("epoch"), architecture: try row.word("architecture", as: Architecture.self),
            packBytes: try row.bytes("pack_bytes"), rootBytes: try row.bytes("root_bytes"),
            treeBytes: try row.bytes("tree_bytes"), ukiBytes: try row.bytes("uki_bytes"),
            bootBytes: try row.bytes("boot_bytes"), publishedSeconds: try row.number("published"))
    }
}

extension SQLiteTransaction {
    func setting(_ name: String) throws -> String? {
        try String.fetchOne(database, sql: "SELECT value FROM settings WHERE name = ?", arguments: [name])
    }

    func setSetting(_ name: String, to value: String?) throws {
        guard let value else {
            return try database.execute(sql: "DELETE FROM settings WHERE name = ?", arguments: [name])
        }
        try database.execute(
            sql:
                "INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            arguments: [name, value])
    }
}
