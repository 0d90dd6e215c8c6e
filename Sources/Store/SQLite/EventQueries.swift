import Contract
import GRDB

extension SQLiteTransaction {
    @discardableResult
    func append(_ event: Event) throws -> Int64 {
        // Only progress carries the key: it is what a newer report of the same step replaces.
        let key = event.step.flatMap { $0.state == .progress ? stepKey($0.sequence, $0.step) : nil }
        try database.execute(
            sql: "INSERT INTO events (time, node, kind, message, step, step_key, state) VALUES (?, ?, ?, ?, ?, ?, ?)",
            arguments: [
                event.timeSeconds, event.node?.rawValue, event.kind, event.message, try event.step.map(documentText),
                key, event.state?.rawValue,
            ])
        return database.lastInsertedRowID
    }

    func events(after sequence: Int64, node: NodeID?, limit: Int) throws -> [Event] {
        let rows =
            if let node {
                try Row.fetchAll(
                    database, sql: "SELECT * FROM events WHERE node = ? AND sequence > ? ORDER BY sequence LIMIT ?",
                    arguments: [node.rawValue, sequence, limit])
            } else {
                try Row.fetchAll(
                    database, sql: "SELECT * FROM events WHERE sequence > ? ORDER BY sequence LIMIT ?",
                    arguments: [sequence, limit])
            }
        return try rows.map { row in
            let state: String? = row["state"]
            return Event(
                sequence: try row.number("sequence"), timeSeconds: try row.number("time"),
                node: try row.optionalNodeID("node"), kind: try row.text("kind"), message: try row.text("message"),
                step: try row.optionalDocument("step", as: StepReport.self),
                state: state.flatMap(NodeState.init(rawValue:)))
        }
    }

    func newestEventSequence() throws -> Int64 {
        try Int64.fetchOne(database, sql: "SELECT MAX(sequence) FROM events") ?? 0
    }

    func removeProgress(node: NodeID, sequence: String, step: String) throws {
        try database.execute(
            sql: "DELETE FROM events WHERE node = ? AND step_key = ?",
            arguments: [node.rawValue, stepKey(sequence, step)])
    }

    func pruneEvents(keeping count: Int64) throws {
        try database.execute(
            sql: "DELETE FROM events WHERE sequence <= (SELECT MAX(sequence) FROM events) - ?", arguments: [count])
    }

    func save(_ step: StepReport, node: NodeID, timeSeconds: Int64) throws {
        try database.execute(
            sql: """
                INSERT INTO steps (node, step_key, report, time) VALUES (?, ?, ?, ?)
                ON CONFLICT (node, step_key) DO UPDATE SET report = excluded.report, time = excluded.time
                """,
            arguments: [node.rawValue, stepKey(step.sequence, step.step), try documentText(step), timeSeconds])
        // Names of steps are the node's to choose, so their number is bounded here.
        try database.execute(
            sql: """
                DELETE FROM steps WHERE node = ?1 AND position <= (
                    SELECT position FROM steps WHERE node = ?1 ORDER BY position DESC LIMIT 1 OFFSET ?2)
                """,
            arguments: [node.rawValue, Self.stepLimit])
    }

    func steps(node: NodeID) throws -> [StepReport] {
        try Row.fetchAll(
            database, sql: "SELECT report FROM steps WHERE node = ? ORDER BY position",
            arguments: [node.rawValue]
        ).map { try $0.document("report", as: StepReport.self) }
    }

    /// Steps that are kept of each node.
    private static var stepLimit: Int { 128 }

    private func stepKey(_ sequence: String, _ step: String) -> String { sequence + "/" + step }
}

extension SQLiteTransaction {
    func commands(node: NodeID) throws -> [NodeCommand] {
        try Row.fetchAll(
            database, sql: "SELECT id, kind FROM commands WHERE node = ? ORDER BY position LIMIT 64",
            arguments: [node.rawValue]
        ).map { NodeCommand(id: try $0.text("id"), kind: try $0.word("kind", as: NodeCommand.Kind.self)) }
    }

    func insert(_ command: NodeCommand, node: NodeID, timeSeconds: Int64) throws {
        try database.execute(
            sql: "INSERT INTO commands (id, node, kind, time) VALUES (?, ?, ?, ?)",
            arguments: [command.id, node.rawValue, command.kind.rawValue, timeSeconds])
    }

    @discardableResult
    func removeCommand(_ id: String, node: NodeID) throws -> Bool {
        try database.execute(
            sql: "DELETE FROM commands WHERE id = ? AND node = ?", arguments: [id, node.rawValue])
        return database.changesCount > 0
    }

    func removeCommands(node: NodeID, kind: NodeCommand.Kind?) throws {
        try database.execute(
            sql: "DELETE FROM commands WHERE node = ? AND kind = coalesce(?, kind)",
            arguments: [node.rawValue, kind?.rawValue])
    }
}

extension SQLiteTransaction {
    @discardableResult
    func append(_ chunk: LogChunk, node: NodeID, timeSeconds: Int64, keepBytes: Int) throws -> Int64 {
        try database.execute(
            sql: "INSERT INTO logs (node, source, time, text, bytes) VALUES (?, ?, ?, ?, ?)",
            arguments: [node.rawValue, chunk.source, timeSeconds, chunk.text, chunk.text.utf8.count])
        let sequence = database.lastInsertedRowID
        try database.execute(
            sql: """
                DELETE FROM logs WHERE node = ?1 AND sequence <= (
                    SELECT sequence FROM (
                        SELECT sequence, SUM(bytes) OVER (ORDER BY sequence DESC) AS total FROM logs WHERE node = ?1
                    ) WHERE total > ?2 ORDER BY sequence DESC LIMIT 1)
                """,
            arguments: [node.rawValue, keepBytes])
        return sequence
    }

    func logs(node: NodeID, after sequence: Int64, source: String?, limitBytes: Int) throws -> [LogEntry] {
        let rows = try Row.fetchAll(
            database,
            sql: """
                SELECT sequence, time, source, text FROM (
                    SELECT *, SUM(bytes) OVER (ORDER BY sequence) AS total FROM logs
                    WHERE node = ?1 AND sequence > ?2 AND source = coalesce(?3, source)
                ) WHERE total <= ?4 OR total = bytes ORDER BY sequence
                """,
            arguments: [node.rawValue, sequence, source, limitBytes])
        return try rows.map {
            LogEntry(
                sequence: try $0.number("sequence"), timeSeconds: try $0.number("time"),
                source: try $0.text("source"), text: try $0.text("text"))
        }
    }
}
