import Contract
import GRDB

extension SQLiteTransaction {
    func user(_ name: String) throws -> UserRecord? {
        try Row.fetchOne(database, sql: "SELECT * FROM users WHERE name = ?", arguments: [name]).map(userRecord)
    }

    func users() throws -> [UserRecord] {
        try Row.fetchAll(database, sql: "SELECT * FROM users ORDER BY name").map(userRecord)
    }

    func save(_ user: UserRecord) throws {
        try database.execute(
            sql: """
                INSERT INTO users (name, password, grants, is_disabled, failures, locked_until, created)
                VALUES (?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT (name) DO UPDATE SET password = excluded.password, grants = excluded.grants,
                    is_disabled = excluded.is_disabled, failures = excluded.failures,
                    locked_until = excluded.locked_until
                """,
            arguments: [
                user.name, user.password, try documentText(user.grants), user.isDisabled, user.failures,
                user.lockedUntilSeconds, user.createdSeconds,
            ])
    }

    func removeUser(_ name: String) throws {
        try database.execute(sql: "DELETE FROM users WHERE name = ?", arguments: [name])
    }

    func roles() throws -> [String: [String]] {
        let rows = try Row.fetchAll(database, sql: "SELECT name, verbs FROM roles")
        return Dictionary(
            uniqueKeysWithValues: try rows.map { (try $0.text("name"), try $0.document("verbs", as: [String].self)) })
    }

    func setRole(_ name: String, verbs: [String]?) throws {
        guard let verbs else {
            return try database.execute(sql: "DELETE FROM roles WHERE name = ?", arguments: [name])
        }
        try database.execute(
            sql:
                "INSERT INTO roles (name, verbs) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET verbs = excluded.verbs",
            arguments: [name, try documentText(verbs)])
    }

    func apiToken(_ id: String) throws -> APITokenRecord? {
        try Row.fetchOne(database, sql: "SELECT * FROM api_tokens WHERE id = ?", arguments: [id]).map(apiTokenRecord)
    }

    func apiToken(secretHash: Digest256) throws -> APITokenRecord? {
        try Row.fetchOne(
            database, sql: "SELECT * FROM api_tokens WHERE secret_hash = ?", arguments: [secretHash.description]
        ).map(apiTokenRecord)
    }

    func apiTokens(of user: String?) throws -> [APITokenRecord] {
        try Row.fetchAll(
            database, sql: "SELECT * FROM api_tokens WHERE user = coalesce(?, user) ORDER BY created, id",
            arguments: [user]
        ).map(apiTokenRecord)
    }

    func save(_ token: APITokenRecord) throws {
        try database.execute(
            sql: """
                INSERT INTO api_tokens (id, secret_hash, user, note, grants, created, expires, used, is_revoked)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT (id) DO UPDATE SET used = excluded.used, is_revoked = excluded.is_revoked
                """,
            arguments: [
                token.id, token.secretHash.description, token.user, token.note, try token.grants.map(documentText),
                token.createdSeconds, token.expiresSeconds, token.usedSeconds, token.isRevoked,
            ])
    }

    func removeAPITokens(endedBefore seconds: Int64) throws {
        try database.execute(sql: "DELETE FROM api_tokens WHERE expires < ?", arguments: [seconds])
    }

    private func userRecord(_ row: Row) throws -> UserRecord {
        var user = UserRecord(
            name: try row.text("name"), password: row["password"],
            grants: try row.document("grants", as: [RoleGrant].self), createdSeconds: try row.number("created"))
        user.isDisabled = try row.flag("is_disabled")
        user.failures = try row.integer("failures")
        user.lockedUntilSeconds = try row.number("locked_until")
        return user
    }

    private func apiTokenRecord(_ row: Row) throws -> APITokenRecord {
        var token = APITokenRecord(
            id: try row.text("id"), secretHash: try row.digest("secret_hash"), user: try row.text("user"),
            note: try row.text("note"), grants: try row.optionalDocument("grants", as: [RoleGrant].self),
            createdSeconds: try row.number("created"), expiresSeconds: try row.number("expires"))
        token.usedSeconds = row["used"]
        token.isRevoked = try row.flag("is_revoked")
        return token
    }
}

extension SQLiteTransaction {
    func auditHead() throws -> AuditHead {
        let row = try Row.fetchOne(database, sql: "SELECT sequence, hash FROM audit ORDER BY sequence DESC LIMIT 1")
        guard let row else { return AuditHead(count: 0, hash: .zero) }
        return AuditHead(count: try row.number("sequence"), hash: try row.digest("hash"))
    }

    func append(_ record: AuditRecord, sequence: Int64) throws {
        try database.execute(
            sql: "INSERT INTO audit (sequence, entry, hash) VALUES (?, ?, ?)",
            arguments: [sequence, record.entry, record.hash.description])
    }

    func auditRecords(after sequence: Int64, limit: Int) throws -> [AuditRecord] {
        try Row.fetchAll(
            database, sql: "SELECT entry, hash FROM audit WHERE sequence > ? ORDER BY sequence LIMIT ?",
            arguments: [sequence, limit]
        ).map { AuditRecord(entry: try $0.text("entry"), hash: try $0.digest("hash")) }
    }
}
