import Contract
import FoundationEssentials
import Operator

/// Somebody who can write the server's database changes the audit log.
enum Auditing {
    static let scenarios = [
        Scenario(
            "audit-tamper", "a cut, an altered and a new-made audit log are found out by node and operator",
            needsInstalledNode: true
        ) { try tamper($0) }
    ]

    private static func tamper(_ lab: Rehearsal) throws {
        try lab.installedMachine()
        let database = lab.server.dataDirectory + "/apusd.sqlite"
        let kept = lab.directory + "/apusd.kept"
        try lab.step("an operator changes things, and the node remembers how the log ended") {
            let id = try lab.node().id
            for number in 1...4 { try lab.server.api().label(id, ["round": "\(number)"]) }
            let head = try lab.server.api().audit(after: 0).head
            try lab.waitForStatus("the node to remember entry \(head.count)", within: 120) { status in
                status.auditHeads?.contains(head) ?? false
            }
            let verdict = try verify(lab)
            try lab.expect(
                verdict.exitCode == 0 && verdict.output.contains("what 1 nodes remember agrees"),
                "the log is whole: \(verdict.output)")
        }
        lab.stopServer()
        // What was written last may lie beside the file: the last one who closes it puts it there.
        try edit(database, "PRAGMA wal_checkpoint(TRUNCATE)")
        try Files.copy(database, to: kept)

        try lab.step("its end is cut: the node says so, and whoever verifies it hears of the node") {
            let before = lab.newestEvent
            try change(database, "DELETE FROM audit WHERE sequence > (SELECT max(sequence) - 2 FROM audit)")
            try lab.startServer()
            try lab.waitForEvent("audit", containing: "its end was cut", after: before, within: 120)
            try expectFault(lab, "its tail was cut")
        }
        try lab.step("an entry is altered") {
            lab.stopServer()
            try restore(kept, database)
            try change(database, "UPDATE audit SET entry = entry || ' ' WHERE sequence = 2")
            try lab.startServer()
            try expectFault(lab, "entry 2 was altered")
        }
        try lab.step("the log is made anew, whole and longer than it was") {
            lab.stopServer()
            try restore(kept, database)
            try change(database, "DELETE FROM audit")
            try lab.startServer()
            let id = try lab.node().id
            for number in 1...12 { try lab.server.api().label(id, ["round": "again-\(number)"]) }
            try expectFault(lab, "remembers another entry")
        }
    }

    /// The operator's own program, on a machine that remembers nothing itself.
    private static func verify(_ lab: Rehearsal) throws -> ChildProcess.Result {
        let home = lab.directory + "/stranger"
        try? Files.remove(home + "/apus/audit-heads.json")
        return try ChildProcess.run(
            [lab.directory + "/apus", "audit", "verify"], environment: ["XDG_CONFIG_HOME": home])
    }

    private static func expectFault(_ lab: Rehearsal, _ words: String) throws {
        let verdict = try verify(lab)
        try lab.expect(verdict.exitCode == 1, "'apus audit verify' ends with 1, and did with \(verdict.exitCode)")
        try lab.expect(verdict.output.contains(words), "it says '\(words)': \(verdict.output)")
    }

    /// Puts the database back; what SQLite keeps beside it belongs to the other one.
    private static func restore(_ kept: String, _ database: String) throws {
        for end in ["-wal", "-shm"] { try Files.remove(database + end) }
        try Files.copy(kept, to: database)
    }

    /// Who can write the file can take its triggers away, too.
    private static func change(_ database: String, _ statement: String) throws {
        try edit(
            database,
            "DROP TRIGGER IF EXISTS audit_is_not_changed; DROP TRIGGER IF EXISTS audit_is_not_shortened; " + statement)
    }

    private static func edit(_ database: String, _ statements: String) throws {
        let script = """
            import sqlite3, sys
            connection = sqlite3.connect(sys.argv[1])
            connection.executescript(sys.argv[2])
            connection.commit()
            connection.close()
            """
        try ChildProcess.check(["python3", "-c", script, database, statements])
    }
}
