import Contract
import GRDB

extension SQLiteTransaction {
    func registration(_ id: String) throws -> RegistrationRecord? {
        try Row.fetchOne(database, sql: "SELECT * FROM registrations WHERE id = ?", arguments: [id])
            .map(registrationRecord)
    }

    func countOfOpenRegistrations() throws -> Int {
        try Int.fetchOne(database, sql: "SELECT COUNT(*) FROM registrations WHERE phase <> 'admitted'") ?? 0
    }

    func openRegistrations(idleSince seconds: Int64, orBriefly briefSeconds: Int64) throws -> [RegistrationRecord] {
        try Row.fetchAll(
            database,
            sql: """
                SELECT * FROM registrations WHERE phase IN ('waiting', 'approved') AND last_poll < ?
                    OR phase IN ('committed', 'refused') AND last_poll < ? LIMIT 256
                """,
            arguments: [seconds, briefSeconds]
        ).map(registrationRecord)
    }

    func save(_ registration: RegistrationRecord) throws {
        try database.execute(
            sql: """
                INSERT INTO registrations (id, secret_hash, node_key, certificate_request, commitment, server_nonce,
                    node_nonce, token_id, inventory, phase, node_id, certificate, wrong_codes, remote_address, created,
                    last_poll)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT (id) DO UPDATE SET node_nonce = excluded.node_nonce, phase = excluded.phase,
                    node_id = excluded.node_id, certificate = excluded.certificate,
                    wrong_codes = excluded.wrong_codes, last_poll = excluded.last_poll
                """,
            arguments: [
                registration.id, registration.secretHash.description, registration.nodeKey.description,
                registration.certificateRequest, registration.commitment.description,
                registration.serverNonce.lowercaseHex, registration.nodeNonce?.lowercaseHex, registration.tokenID,
                try documentText(registration.inventory), registration.phase.rawValue, registration.nodeID?.rawValue,
                registration.certificate, registration.wrongCodes, registration.remoteAddress,
                registration.createdSeconds, registration.lastPollSeconds,
            ])
    }

    func removeRegistration(_ id: String) throws {
        try database.execute(sql: "DELETE FROM registrations WHERE id = ?", arguments: [id])
    }

    private func registrationRecord(_ row: Row) throws -> RegistrationRecord {
        guard let serverNonce = [UInt8](lowercaseHex: try row.text("server_nonce")) else {
            throw StoreError("column 'server_nonce' is not hexadecimal")
        }
        var record = RegistrationRecord(
            id: try row.text("id"), secretHash: try row.digest("secret_hash"), nodeKey: try row.digest("node_key"),
            certificateRequest: try row.text("certificate_request"), commitment: try row.digest("commitment"),
            serverNonce: serverNonce, tokenID: row["token_id"],
            inventory: try row.document("inventory", as: Inventory.self),
            remoteAddress: try row.text("remote_address"), createdSeconds: try row.number("created"))
        let nodeNonce: String? = row["node_nonce"]
        record.nodeNonce = nodeNonce.flatMap { [UInt8](lowercaseHex: $0) }
        record.phase = try row.word("phase", as: RegistrationRecord.Phase.self)
        record.nodeID = try row.optionalNodeID("node_id")
        record.certificate = row["certificate"]
        record.wrongCodes = try row.integer("wrong_codes")
        record.lastPollSeconds = try row.number("last_poll")
        return record
    }
}

extension SQLiteTransaction {
    func token(_ id: String) throws -> TokenRecord? {
        try Row.fetchOne(database, sql: "SELECT * FROM tokens WHERE id = ?", arguments: [id]).map(tokenRecord)
    }

    func token(secretHash: Digest256) throws -> TokenRecord? {
        try Row.fetchOne(
            database, sql: "SELECT * FROM tokens WHERE secret_hash = ?", arguments: [secretHash.description]
        ).map(tokenRecord)
    }

    func tokens() throws -> [TokenRecord] {
        try Row.fetchAll(database, sql: "SELECT * FROM tokens ORDER BY created, id").map(tokenRecord)
    }

    func save(_ token: TokenRecord) throws {
        try database.execute(
            sql: """
                INSERT INTO tokens (id, secret_hash, note, uses_left, expires, is_revoked, labels, created)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT (id) DO UPDATE SET uses_left = excluded.uses_left, is_revoked = excluded.is_revoked
                """,
            arguments: [
                token.id, token.secretHash.description, token.note, token.usesLeft, token.expiresSeconds,
                token.isRevoked, try documentText(token.labels), token.createdSeconds,
            ])
    }

    private func tokenRecord(_ row: Row) throws -> TokenRecord {
        TokenRecord(
            id: try row.text("id"), secretHash: try row.digest("secret_hash"), note: try row.text("note"),
            usesLeft: try row.integer("uses_left"), expiresSeconds: try row.number("expires"),
            isRevoked: try row.flag("is_revoked"), labels: try row.document("labels", as: [String: String].self),
            createdSeconds: try row.number("created"))
    }
}
