import Contract
import GRDB

extension SQLiteTransaction {
    func node(_ id: NodeID) throws -> NodeRecord? {
        try Row.fetchOne(database, sql: "SELECT * FROM nodes WHERE id = ?", arguments: [id.rawValue])
            .map(nodeRecord)
    }

    func node(keyDigest: Digest256) throws -> NodeRecord? {
        try Row.fetchOne(
            database, sql: "SELECT * FROM nodes WHERE key_digest = ? ORDER BY id DESC LIMIT 1",
            arguments: [keyDigest.description]
        ).map(nodeRecord)
    }

    func admittedNodes(identity: String) throws -> [NodeRecord] {
        try Row.fetchAll(
            database,
            sql: """
                SELECT * FROM nodes WHERE identity = ? AND was_admitted = 1 AND state <> 'RETIRED' ORDER BY id LIMIT 16
                """,
            arguments: [identity]
        ).map(nodeRecord)
    }

    func nodes(after id: NodeID?, limit: Int) throws -> [NodeRecord] {
        try Row.fetchAll(
            database, sql: "SELECT * FROM nodes WHERE id > ? ORDER BY id LIMIT ?",
            arguments: [id?.rawValue ?? "", limit]
        ).map(nodeRecord)
    }

    func nodes(needing release: Digest256, limit: Int) throws -> [NodeRecord] {
        // Statuses that name it are read: they may name it as quarantined, too.
        let rows = try Row.fetchCursor(
            database,
            sql: """
                SELECT * FROM nodes WHERE state <> 'RETIRED' AND (desired_release = ?1 OR instr(status, ?1) > 0)
                ORDER BY id
                """,
            arguments: [release.description])
        var found: [NodeRecord] = []
        while found.count < limit, let row = try rows.next() {
            let node = try nodeRecord(row)
            if node.need(of: release) != nil { found.append(node) }
        }
        return found
    }

    func countOfUnadmittedNodes() throws -> Int {
        try Int.fetchOne(database, sql: "SELECT COUNT(*) FROM nodes WHERE was_admitted = 0") ?? 0
    }

    func save(_ node: NodeRecord) throws {
        try database.execute(
            sql: """
                INSERT INTO nodes (id, state, reason, key_digest, identity, labels, inventory, status, desired_release,
                    probation, generation, plan_generation, registration_id, token_id, was_admitted, was_online,
                    wipe_requested, registered, last_seen)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT (id) DO UPDATE SET state = excluded.state, reason = excluded.reason,
                    key_digest = excluded.key_digest, identity = excluded.identity, labels = excluded.labels,
                    inventory = excluded.inventory, status = excluded.status,
                    desired_release = excluded.desired_release, probation = excluded.probation,
                    generation = excluded.generation, plan_generation = excluded.plan_generation,
                    registration_id = excluded.registration_id, token_id = excluded.token_id,
                    was_admitted = excluded.was_admitted, was_online = excluded.was_online,
                    wipe_requested = excluded.wipe_requested, last_seen = excluded.last_seen
                """,
            arguments: [
                node.id.rawValue, node.state.rawValue, node.reason, node.keyDigest.description, node.identity,
                try documentText(node.labels), try documentText(node.inventory), try node.status.map(documentText),
                node.desiredRelease?.description, try node.probation.map(documentText), node.generation,
                node.planGeneration, node.registrationID, node.tokenID, node.wasAdmitted, node.wasOnline,
                node.wipeRequested, node.registeredSeconds, node.lastSeenSeconds,
            ])
    }

    func removeNode(_ id: NodeID) throws {
        try database.execute(sql: "DELETE FROM nodes WHERE id = ?", arguments: [id.rawValue])
    }

    private func nodeRecord(_ row: Row) throws -> NodeRecord {
        var node = NodeRecord(
            id: try row.nodeID("id"), state: try row.word("state", as: NodeState.self), reason: try row.text("reason"),
            keyDigest: try row.digest("key_digest"), identity: row["identity"],
            labels: try row.document("labels", as: [String: String].self),
            inventory: try row.document("inventory", as: Inventory.self),
            registeredSeconds: try row.number("registered"))
        node.status = try row.optionalDocument("status", as: NodeStatus.self)
        node.desiredRelease = try row.optionalDigest("desired_release")
        node.probation = try row.optionalDocument("probation", as: ProbationRule.self)
        node.generation = try row.integer("generation")
        node.planGeneration = try row.integer("plan_generation")
        node.registrationID = row["registration_id"]
        node.tokenID = row["token_id"]
        node.wasAdmitted = try row.flag("was_admitted")
        node.wasOnline = try row.flag("was_online")
        node.wipeRequested = try row.flag("wipe_requested")
        node.lastSeenSeconds = try row.number("last_seen")
        return node
    }
}
