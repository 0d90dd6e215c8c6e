import Contract
import Foundation
import GRDB
import Workloads

extension SQLiteTransaction {
    func workload(_ name: WorkloadName) throws -> StoredWorkload? {
        try Row.fetchOne(database, sql: "SELECT * FROM workloads WHERE name = ?", arguments: [name.rawValue])
            .map(storedWorkload)
    }

    func workloads() throws -> [StoredWorkload] {
        try Row.fetchAll(database, sql: "SELECT * FROM workloads ORDER BY name").map(storedWorkload)
    }

    func save(_ workload: StoredWorkload) throws {
        try database.execute(
            sql: """
                INSERT INTO workloads (name, document, revision, is_stopped, restarts, created, changed)
                VALUES (?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT (name) DO UPDATE SET document = excluded.document, revision = excluded.revision,
                    is_stopped = excluded.is_stopped, restarts = excluded.restarts, changed = excluded.changed
                """,
            arguments: [
                workload.name.rawValue, workload.document, workload.revision.description, workload.isStopped,
                workload.restarts, workload.createdSeconds, workload.changedSeconds,
            ])
    }

    @discardableResult
    func removeWorkload(_ name: WorkloadName) throws -> Bool {
        try database.execute(sql: "DELETE FROM workloads WHERE name = ?", arguments: [name.rawValue])
        return database.changesCount > 0
    }

    func revisions(of name: WorkloadName) throws -> [StoredRevision] {
        try Row.fetchAll(
            database, sql: "SELECT * FROM revisions WHERE workload = ? ORDER BY position DESC",
            arguments: [name.rawValue]
        ).map { row in
            StoredRevision(
                revision: try row.digest("revision"), document: try row.text("document"),
                appliedSeconds: try row.number("applied"))
        }
    }

    func append(_ revision: StoredRevision, to name: WorkloadName, keeping count: Int) throws {
        try database.execute(
            sql: """
                INSERT OR REPLACE INTO revisions (workload, revision, document, applied) VALUES (?, ?, ?, ?)
                """,
            arguments: [name.rawValue, revision.revision.description, revision.document, revision.appliedSeconds])
        try database.execute(
            sql: """
                DELETE FROM revisions WHERE workload = ?1 AND position <= (
                    SELECT position FROM revisions WHERE workload = ?1 ORDER BY position DESC LIMIT 1 OFFSET ?2)
                """,
            arguments: [name.rawValue, count])
    }

    private func storedWorkload(_ row: Row) throws -> StoredWorkload {
        var workload = StoredWorkload(
            name: try row.workloadName("name"), document: try row.text("document"),
            revision: try row.digest("revision"), isStopped: try row.flag("is_stopped"),
            restarts: try row.integer("restarts"), createdSeconds: try row.number("created"))
        workload.changedSeconds = try row.number("changed")
        return workload
    }
}

extension SQLiteTransaction {
    func secrets() throws -> [SecretEntry] {
        try Row.fetchAll(
            database, sql: "SELECT name, position, length(value) AS bytes, changed FROM secrets ORDER BY name"
        ).map { row in
            SecretEntry(
                name: try row.workloadName("name"), version: try row.number("position"),
                bytes: try row.integer("bytes"), changedSeconds: try row.number("changed"))
        }
    }

    func secret(_ name: WorkloadName) throws -> SecretValue? {
        guard
            let bytes = try Data.fetchOne(
                database, sql: "SELECT value FROM secrets WHERE name = ?", arguments: [name.rawValue])
        else { return nil }
        guard let value = SecretValue(bytes: Array(bytes)) else { throw StoreError("a secret is too long") }
        return value
    }

    func setSecret(_ name: WorkloadName, to value: SecretValue, timeSeconds: Int64) throws {
        try database.execute(
            sql: "INSERT OR REPLACE INTO secrets (name, value, changed) VALUES (?, ?, ?)",
            arguments: [name.rawValue, Data(value.bytes), timeSeconds])
    }

    @discardableResult
    func removeSecret(_ name: WorkloadName) throws -> Bool {
        try database.execute(sql: "DELETE FROM secrets WHERE name = ?", arguments: [name.rawValue])
        return database.changesCount > 0
    }

    func registries() throws -> [StoredRegistry] {
        try Row.fetchAll(database, sql: "SELECT * FROM registries ORDER BY host").map { row in
            StoredRegistry(
                account: try row.document("account", as: RegistryAccount.self), version: try row.number("position"),
                changedSeconds: try row.number("changed"))
        }
    }

    func setRegistry(_ account: RegistryAccount, timeSeconds: Int64) throws {
        try database.execute(
            sql: "INSERT OR REPLACE INTO registries (host, account, changed) VALUES (?, ?, ?)",
            arguments: [account.host, try documentText(account), timeSeconds])
    }

    @discardableResult
    func removeRegistry(_ host: String) throws -> Bool {
        try database.execute(sql: "DELETE FROM registries WHERE host = ?", arguments: [host])
        return database.changesCount > 0
    }
}

extension Row {
    func workloadName(_ column: String) throws -> WorkloadName {
        guard let value = WorkloadName(try text(column)) else {
            throw StoreError("column '\(column)' is no workload's name")
        }
        return value
    }
}
