import Contract
import HTTPTypes
import Store
import Workloads

/// What nodes ask and tell about workloads.
struct NodeWorkloads: Sendable {
    let core: Core

    /// The assignment of a node, encoded; it holds secrets, so it goes nowhere but into the reply.
    func assignment(for id: NodeID) async throws -> [UInt8] {
        try await core.store.read { transaction in
            let node = try NodeService.find(id, transaction)
            let assignment = try SiteWorkloads(transaction).assignment(
                of: PlaceableNode(id: id, labels: node.labels),
                generation: try transaction.assignment(of: id)?.generation ?? 0, transaction)
            let bytes = try Wire.encode(assignment)
            guard bytes.count <= WorkloadWireLimit.assignment else {
                throw Assigner.tooMuch("the assignment of node \(id) has \(bytes.count) bytes")
            }
            return bytes
        }
    }

    /// Takes what a node says of its workloads.
    func receive(_ reports: WorkloadReports, from id: NodeID) async throws {
        let reports = try Self.clean(reports)
        let core = core
        try await core.change { transaction, announcements in
            _ = try NodeService.find(id, transaction)
            let now = core.now()
            let before = Dictionary(try transaction.reports(node: id).map { ($0.report.name, $0.report) }) { $1 }
            let news = reports.reports.filter { Self.isNews($0, before[$0.name]) }
            for report in news.prefix(Self.eventLimit) {
                try announcements.event(
                    transaction, at: now, node: id, kind: "workload", Self.sentence(report))
            }
            if news.count > Self.eventLimit {
                try announcements.event(
                    transaction, at: now, node: id, kind: "workload",
                    "\(news.count - Self.eventLimit) other workloads changed too")
            }
            try transaction.replaceReports(reports.reports, node: id, timeSeconds: now)
            guard var assignment = try transaction.assignment(of: id) else { return }
            let stored = assignment
            assignment.reportedGeneration = reports.generation
            assignment.images = reports.images ?? assignment.images
            if assignment != stored { try transaction.save(assignment) }
        }
    }

    /// Events of one message.
    private static let eventLimit = 32

    /// Reports within their bounds, with clean texts.
    private static func clean(_ reports: WorkloadReports) throws -> WorkloadReports {
        guard reports.reports.count <= 2 * WorkloadLimit.workloadsPerNode else {
            throw APIFailure.malformed("field 'reports' has at most \(2 * WorkloadLimit.workloadsPerNode) reports")
        }
        guard (reports.images?.count ?? 0) <= WorkloadWireLimit.reportedImages else {
            throw APIFailure.malformed("field 'images' has at most \(WorkloadWireLimit.reportedImages) images")
        }
        guard Set(reports.reports.map(\.name)).count == reports.reports.count else {
            throw APIFailure.malformed("field 'reports' has one report a workload")
        }
        var reports = reports
        for index in reports.reports.indices {
            reports.reports[index].reason = CleanText.line(
                reports.reports[index].reason, limit: WorkloadWireLimit.reason)
        }
        reports.images = reports.images?.map { image in
            NodeImage(
                digest: image.digest, reference: image.reference.map { CleanText.line($0, limit: 512) },
                bytes: min(image.bytes, 1 << 60))
        }
        return reports
    }

    /// Whether a report is worth an event: an end of a change, not its steps.
    private static func isNews(_ report: WorkloadReport, _ before: WorkloadReport?) -> Bool {
        guard report.phase != before?.phase || report.revision != before?.revision else { return false }
        switch report.phase {
        case .running, .completed, .failed, .stuck: return true
        case .stopped: return before != nil
        case .waiting, .pulling, .preparing, .starting, .restarting: return false
        }
    }

    private static func sentence(_ report: WorkloadReport) -> String {
        let revision = report.revision.map { ", revision \(WorkloadService.short($0))" } ?? ""
        let reason = report.reason.isEmpty ? "" : ": \(report.reason)"
        return "workload '\(report.name)' is \(report.phase.rawValue)\(revision)\(reason)"
    }
}
