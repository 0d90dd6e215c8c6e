import Access
import Contract
import Cryptography
import HTTPTypes
import Store
import Workloads

/// What operators do with workloads.
struct WorkloadService: Sendable {
    let core: Core
    let resolver: any TagResolver

    /// Takes a document: a new workload, a new revision of one, or nothing new.
    func apply(_ name: WorkloadName, document: [UInt8], by principal: Principal) async throws -> AppliedWorkload {
        let wanted = try Self.read(document, name: name)
        let resolved = try await resolve(wanted)
        let text = String(decoding: resolved.document.json, as: UTF8.self)
        guard text.utf8.count <= WorkloadLimit.documentBytes else {
            throw Self.refused([
                "the document is larger than \(WorkloadLimit.documentBytes) bytes once every default is written out"
            ])
        }
        let revision = try Self.revision(of: resolved)
        return try await change { transaction, announcements, now in
            let site = try SiteWorkloads(transaction)
            try Self.demand(resolved, beside: site)
            try Self.demand(.workloadWrite, principal, resolved, transaction)
            let before = try transaction.workload(name)
            var stored =
                before
                ?? StoredWorkload(
                    name: name, document: text, revision: revision, createdSeconds: now)
            let isChanged = before == nil || stored.document != text
            if isChanged {
                stored.document = text
                stored.revision = revision
                stored.changedSeconds = now
                try transaction.save(stored)
                try transaction.append(
                    StoredRevision(revision: revision, document: text, appliedSeconds: now), to: name,
                    keeping: WorkloadWireLimit.revisions)
                let what = before == nil ? "is new, with" : before?.revision == revision ? "keeps" : "gets"
                try announcements.event(
                    transaction, at: now, node: nil, kind: "workload",
                    "workload '\(name)' \(what) revision \(Self.short(revision)), image \(resolved.revision.image)")
                try Assigner(transaction: transaction, now: now).refresh(&announcements)
            }
            let nodes = WorkloadPlacer.nodes(
                for: resolved.revision.placement, among: try transaction.placeableNodes())
            return AppliedWorkload(
                name: name, revision: revision, image: resolved.revision.image.description, isChanged: isChanged,
                nodes: nodes.map(\.id), notes: try Self.notes(resolved, on: nodes, site))
        }
    }

    /// Removes a workload; nodes stop it, and keep its volumes.
    func delete(_ name: WorkloadName) async throws -> Acknowledgement {
        try await change { transaction, announcements, now in
            _ = try Self.find(name, transaction)
            let users = try SiteWorkloads(transaction).workloads.filter { $0.revision.dependencies.contains(name) }
            guard users.isEmpty else {
                let names = users.prefix(8).map { "'\($0.name)'" }.joined(separator: ", ")
                throw APIFailure(
                    .conflict, "workload-in-use",
                    "workload '\(name)' is needed by \(names); delete or change those first")
            }
            try transaction.removeWorkload(name)
            try announcements.event(
                transaction, at: now, node: nil, kind: "workload", "workload '\(name)' was deleted")
            try Assigner(transaction: transaction, now: now).refresh(&announcements)
            return Acknowledgement(message: "workload '\(name)' is deleted; its nodes stop it and keep its volumes")
        }
    }

    /// What an operator asks of a workload beside its document.
    enum Order: String, Sendable { case stop, start, restart }

    /// Stops, starts or restarts a workload on all its nodes.
    func order(_ order: Order, _ name: WorkloadName) async throws -> WorkloadDetail {
        try await change { transaction, announcements, now in
            var stored = try Self.find(name, transaction)
            let before = stored
            stored.isStopped = order == .stop
            if order == .restart { stored.restarts += 1 }
            if stored != before {
                stored.changedSeconds = now
                try transaction.save(stored)
                try announcements.event(
                    transaction, at: now, node: nil, kind: "workload",
                    "an operator asked to \(order.rawValue) workload '\(name)'")
                try Assigner(transaction: transaction, now: now).refresh(&announcements)
            }
            return try WorkloadViews(transaction).detail(name)
        }
    }

    /// Goes back to a revision that is kept; to the newest before the present one where none is named.
    func rollBack(_ name: WorkloadName, to digits: String?, by principal: Principal) async throws -> WorkloadDetail {
        try await change { transaction, announcements, now in
            var stored = try Self.find(name, transaction)
            let target = try Self.target(digits, of: stored, transaction)
            let workload: Workload
            do throws(DocumentError) {
                workload = try Workload(parsing: Array(target.document.utf8))
            } catch {
                throw Self.refused(error.problems.map(\.description))
            }
            try Self.demand(workload, beside: try SiteWorkloads(transaction))
            try Self.demand(.workloadWrite, principal, workload, transaction)
            stored.document = target.document
            stored.revision = target.revision
            stored.changedSeconds = now
            try transaction.save(stored)
            try transaction.append(
                StoredRevision(revision: target.revision, document: target.document, appliedSeconds: now), to: name,
                keeping: WorkloadWireLimit.revisions)
            try announcements.event(
                transaction, at: now, node: nil, kind: "workload",
                "workload '\(name)' goes back to revision \(Self.short(target.revision))")
            try Assigner(transaction: transaction, now: now).refresh(&announcements)
            return try WorkloadViews(transaction).detail(name)
        }
    }

    // MARK: - Reading

    /// Workloads that somebody may see by name after one, as many as fit a reply.
    func list(after name: WorkloadName?, for principal: Principal) async throws -> WorkloadList {
        try await core.store.read { transaction in
            var room = ServerLimit.listReplyBytes
            var views: [WorkloadView] = []
            for view in try WorkloadViews(transaction).all(for: principal)
            where name.map({ view.name > $0 }) ?? true {
                room -= try Wire.encode(view).count
                guard room > 0 || views.isEmpty else { break }
                views.append(view)
            }
            return WorkloadList(workloads: views)
        }
    }

    /// One workload.
    func show(_ name: WorkloadName, for principal: Principal) async throws -> WorkloadDetail {
        try await core.store.read { transaction in
            var detail = try WorkloadViews(transaction).detail(name)
            detail.workload = try WorkloadReach(transaction).seen(detail.workload, principal.permissions)
            return detail
        }
    }

    /// The revisions of a workload.
    func revisions(_ name: WorkloadName) async throws -> WorkloadRevisionList {
        try await core.store.read { WorkloadRevisionList(revisions: try WorkloadViews($0).revisions(name)) }
    }

    /// Brings all assignments up to date, for a database of an earlier version.
    func refreshAll() async throws {
        try await change { transaction, announcements, now in
            _ = try Assigner(transaction: transaction, now: now).refresh(&announcements, isRefusing: false)
        }
    }

    // MARK: - Parts

    private func change<Value: Sendable>(
        _ body: @escaping @Sendable (any StoreTransaction, inout Announcements, Int64) throws -> Value
    ) async throws -> Value {
        let core = core
        return try await core.change { transaction, announcements in
            try body(transaction, &announcements, core.now())
        }
    }

    /// Demands a verb on every node that a workload may come to run on.
    private static func demand(
        _ verb: Verb, _ principal: Principal, _ workload: Workload, _ transaction: any StoreTransaction
    ) throws {
        guard !principal.permissions.allows(verb) else { return }
        guard try WorkloadReach(transaction).allows(verb, workload, principal.permissions) else {
            throw principal.refusal(
                verb,
                "wherever workload '\(workload.name)' may run: its 'deploy.placement' must demand the labels of your "
                    + "scope, or name nodes that have them")
        }
    }

    static func find(_ name: WorkloadName, _ transaction: any StoreTransaction) throws -> StoredWorkload {
        guard let workload = try transaction.workload(name) else {
            throw APIFailure(
                .notFound, "workload-unknown",
                "there is no workload '\(name)'; 'apus workload list' shows those there are")
        }
        return workload
    }

    /// The first digits of a revision's name.
    static func short(_ revision: Digest256) -> String { String(revision.description.prefix(12)) }

    private static func revision(of workload: Workload) throws -> Digest256 {
        try Secrets.digest(SHA256.digest(workload.revision.canonical))
    }

    private static func target(
        _ digits: String?, of stored: StoredWorkload, _ transaction: any StoreTransaction
    ) throws -> StoredRevision {
        let kept = try transaction.revisions(of: stored.name)
        guard let digits else {
            guard let before = kept.first(where: { $0.revision != stored.revision }) else {
                throw APIFailure(
                    .conflict, "no-revision", "workload '\(stored.name)' has no revision before the present one")
            }
            return before
        }
        guard digits.utf8.count >= 8 else {
            throw APIFailure.malformed("field 'revision' has the first 8 digits of a revision's name, or more")
        }
        let matching = kept.filter { $0.revision.description.hasPrefix(digits) }
        guard let only = matching.first, matching.count == 1 else {
            throw APIFailure(
                .notFound, "revision-unknown",
                "workload '\(stored.name)' has no revision of that name, or several; "
                    + "'apus workload revisions \(stored.name)' shows those that are kept")
        }
        return only
    }
}
