import Contract
import Store

/// The audit log, as it is read.
struct AuditService: Sendable {
    let core: Core

    /// Records after a sequence, as many as fit a reply.
    func page(after sequence: Int64) async throws -> AuditPage {
        try await core.store.read { transaction in
            var room = ServerLimit.listReplyBytes
            var records: [AuditRecord] = []
            for record in try transaction.auditRecords(after: sequence, limit: 2048) {
                // JSON in JSON: quotes and backslashes take two bytes.
                room -= 2 * record.entry.utf8.count + 100
                guard room > 0 || records.isEmpty else { break }
                records.append(record)
            }
            return AuditPage(records: records, head: try transaction.auditHead())
        }
    }

    /// What nodes remember of the log.
    func witnesses() async throws -> AuditWitnessList {
        try await core.store.read { transaction in
            var witnesses: [AuditWitnessList.Witness] = []
            var last: NodeID?
            while true {
                let nodes = try transaction.nodes(after: last, limit: 512)
                guard let end = nodes.last else { return AuditWitnessList(witnesses: witnesses) }
                last = end.id
                witnesses += nodes.flatMap { node in
                    (node.status?.auditHeads ?? []).map { AuditWitnessList.Witness(node: node.id, head: $0) }
                }
            }
        }
    }
}
