import Contract
import GRDB
import Workloads

extension SQLiteTransaction {
    func placeableNodes() throws -> [PlaceableNode] {
        try Row.fetchAll(
            database,
            sql: "SELECT id, labels FROM nodes WHERE was_admitted = 1 AND state <> 'RETIRED' ORDER BY id"
        ).map { row in
            PlaceableNode(id: try row.nodeID("id"), labels: try row.document("labels", as: [String: String].self))
        }
    }

    func raiseGeneration(of node: NodeID) throws {
        try database.execute(
            sql: "UPDATE nodes SET generation = generation + 1 WHERE id = ?", arguments: [node.rawValue])
    }

    func assignment(of node: NodeID) throws -> NodeAssignment? {
        try Row.fetchOne(database, sql: "SELECT * FROM assignments WHERE node = ?", arguments: [node.rawValue])
            .map(nodeAssignment)
    }

    func assignments() throws -> [NodeAssignment] {
        try Row.fetchAll(database, sql: "SELECT * FROM assignments ORDER BY node").map(nodeAssignment)
    }

    func save(_ assignment: NodeAssignment) throws {
        try database.execute(
            sql: """
                INSERT INTO assignments (node, generation, fingerprint, reported_generation, images)
                VALUES (?, ?, ?, ?, ?)
                ON CONFLICT (node) DO UPDATE SET generation = excluded.generation,
                    fingerprint = excluded.fingerprint, reported_generation = excluded.reported_generation,
                    images = excluded.images
                """,
            arguments: [
                assignment.node.rawValue, assignment.generation, assignment.fingerprint.description,
                assignment.reportedGeneration, try documentText(assignment.images),
            ])
    }

    func reports(node: NodeID) throws -> [StoredReport] {
        try Row.fetchAll(
            database, sql: "SELECT * FROM workload_reports WHERE node = ? ORDER BY workload",
            arguments: [node.rawValue]
        ).map(storedReport)
    }

    func reports(workload: WorkloadName?) throws -> [StoredReport] {
        try Row.fetchAll(
            database,
            sql: "SELECT * FROM workload_reports WHERE workload = coalesce(?, workload) ORDER BY workload, node",
            arguments: [workload?.rawValue]
        ).map(storedReport)
    }

    func replaceReports(_ reports: [WorkloadReport], node: NodeID, timeSeconds: Int64) throws {
        let before = Dictionary(try self.reports(node: node).map { ($0.report.name, $0.report) }) { $1 }
        let names = Set(reports.map(\.name))
        for name in before.keys where !names.contains(name) {
            try database.execute(
                sql: "DELETE FROM workload_reports WHERE node = ? AND workload = ?",
                arguments: [node.rawValue, name.rawValue])
        }
        for report in reports where before[report.name] != report {
            try database.execute(
                sql: "INSERT OR REPLACE INTO workload_reports (node, workload, report, since) VALUES (?, ?, ?, ?)",
                arguments: [node.rawValue, report.name.rawValue, try documentText(report), timeSeconds])
        }
    }

    private func nodeAssignment(_ row: Row) throws -> NodeAssignment {
        var assignment = NodeAssignment(
            node: try row.nodeID("node"), generation: try row.integer("generation"),
            fingerprint: try row.digest("fingerprint"))
        let reported: Int64? = row["reported_generation"]
        assignment.reportedGeneration = reported.map(Int.init)
        assignment.images = try row.document("images", as: [NodeImage].self)
        return assignment
    }

    private func storedReport(_ row: Row) throws -> StoredReport {
        StoredReport(
            node: try row.nodeID("node"), report: try row.document("report", as: WorkloadReport.self),
            sinceSeconds: try row.number("since"))
    }
}
