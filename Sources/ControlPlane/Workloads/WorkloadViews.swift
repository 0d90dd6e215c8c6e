import Access
import Contract
import Store
import Workloads

/// Workloads as operators see them.
struct WorkloadViews {
    private let transaction: any StoreTransaction
    private let nodes: [PlaceableNode]

    init(_ transaction: any StoreTransaction) throws {
        self.transaction = transaction
        nodes = try transaction.placeableNodes()
    }

    /// The workloads that somebody may see, by name.
    func all(for principal: Principal) throws -> [WorkloadView] {
        let reports = Dictionary(grouping: try transaction.reports(workload: nil), by: \.report.name)
        let reach = try WorkloadReach(transaction)
        return try transaction.workloads().compactMap { stored in
            let workload = try Self.read(stored)
            guard reach.touches(workload, principal.permissions) else { return nil }
            return reach.seen(try view(stored, workload, reports[stored.name] ?? []), principal.permissions)
        }
    }

    /// One workload with its document and revisions.
    func detail(_ name: WorkloadName) throws -> WorkloadDetail {
        let stored = try WorkloadService.find(name, transaction)
        let workload = try Self.read(stored)
        return WorkloadDetail(
            workload: try view(stored, workload, try transaction.reports(workload: name)),
            document: workload.document, revisions: try revisions(name))
    }

    /// The revisions of a workload, newest first.
    func revisions(_ name: WorkloadName) throws -> [WorkloadRevisionView] {
        let stored = try WorkloadService.find(name, transaction)
        return try transaction.revisions(of: name).map { kept in
            let document = try? Workload(parsing: Array(kept.document.utf8))
            return WorkloadRevisionView(
                revision: kept.revision, image: document?.revision.image.description ?? "",
                appliedSeconds: kept.appliedSeconds, isCurrent: kept.revision == stored.revision)
        }
    }

    static func read(_ stored: StoredWorkload) throws -> Workload {
        do throws(DocumentError) {
            return try Workload(parsing: Array(stored.document.utf8))
        } catch {
            throw StoreError("the document of workload '\(stored.name)' cannot be read: \(error)")
        }
    }

    private func view(
        _ stored: StoredWorkload, _ workload: Workload, _ reports: [StoredReport]
    ) throws -> WorkloadView {
        WorkloadView(
            name: stored.name, kind: workload.revision.kind, labels: workload.labels,
            image: workload.revision.image.description, revision: stored.revision, isStopped: stored.isStopped,
            createdSeconds: stored.createdSeconds, changedSeconds: stored.changedSeconds,
            nodes: places(workload, reports))
    }

    /// Where a workload runs, and where there is still something of it.
    private func places(_ workload: Workload, _ reports: [StoredReport]) -> [WorkloadOnNode] {
        let said = Dictionary(reports.map { ($0.node, $0) }) { $1 }
        return nodes.compactMap { node in
            let isPlaced = WorkloadPlacer.runs(workload.revision.placement, on: node)
            let report = said[node.id]
            guard isPlaced || report != nil else { return nil }
            return WorkloadOnNode(
                node: node.id, nodeName: node.name, isPlaced: isPlaced, phase: report?.report.phase,
                reason: report?.report.reason ?? "", revision: report?.report.revision,
                reportedSeconds: report?.sinceSeconds, calls: report?.report.calls)
        }
    }
}
