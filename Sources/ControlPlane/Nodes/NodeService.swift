import Contract
import Cryptography
import HTTPTypes
import Release
import Store

/// What nodes ask and tell, once they have a certificate.
struct NodeService: Sendable {
    let core: Core
    let streams: StreamHub

    /// A plan for a node that is to be provisioned, signed with the CA's key.
    func plan(for id: NodeID) async throws -> [UInt8] {
        let core = core
        return try await core.change { transaction, announcements in
            var node = try Self.find(id, transaction)
            let now = core.now()
            guard [.admitted, .provisioning, .failed].contains(node.state), let registration = node.registrationID
            else {
                throw APIFailure(
                    .conflict, "not-provisioning",
                    "node \(id) is \(node.state.rawValue) and gets no plan; a machine that is to be provisioned "
                        + "registers first")
            }
            let release = try Self.releaseToInstall(on: node, transaction)
            let options = try Self.options(of: node)
            try Self.check(release, fits: options.layout)
            node.planGeneration += 1
            node.lastSeenSeconds = now
            if node.desiredRelease != release.name {
                node.desiredRelease = release.name
                node.generation += 1
                announcements.add(.desired(id))
            }
            try announcements.event(
                transaction, at: now, node: id, kind: "plan",
                "it gets plan \(node.planGeneration): install version \(release.version)")
            try transaction.save(node)
            let plan = ProvisioningPlan(
                generation: node.planGeneration, nodeID: id, registrationID: registration, release: release.name,
                releaseVersion: release.version, disk: options.disk, layout: options.layout,
                wipeState: node.wipeRequested, handOver: options.handOver, clockSeconds: now)
            return try plan.signed(with: .p256(core.authority.issuer.key))
        }
    }

    /// What the node should be and do, once that is newer than what it knows or the time is over.
    func desired(for id: NodeID, after generation: Int, waitSeconds: Int64) async throws -> DesiredState {
        let (core, streams) = (core, streams)
        @Sendable func look() async throws -> DesiredState {
            try await core.store.read { transaction in
                let node = try Self.find(id, transaction)
                let release = try node.desiredRelease.flatMap { try transaction.release($0) }
                return DesiredState(
                    generation: node.generation, release: release?.name, releaseVersion: release?.version,
                    commands: try transaction.commands(node: id), probation: node.probation ?? ProbationRule(),
                    workloads: try transaction.assignment(of: id)?.generation, streams: streams.waiting(for: id))
            }
        }
        let newer = try await core.poll(.desired(id), waitSeconds: waitSeconds) {
            let state = try await look()
            return state.generation > generation ? state : nil
        }
        if let newer { return newer }
        return try await look()
    }

    /// Takes a status: moves the node between its states and tells operators what is new.
    func receive(_ status: NodeStatus, from id: NodeID) async throws -> StatusReply {
        let status = CleanText.status(status)
        let core = core
        return try await core.change { transaction, announcements in
            var node = try Self.find(id, transaction)
            let now = core.now()
            let outcome = NodeLife.receive(status, from: node)
            for news in outcome.news {
                try announcements.event(transaction, at: now, node: id, kind: news.kind, news.message)
            }
            if outcome.wasOnline, !node.wasOnline { node.wipeRequested = false }
            node.wasOnline = outcome.wasOnline
            for command in status.acknowledgedCommands where try transaction.removeCommand(command, node: id) {
                try announcements.event(
                    transaction, at: now, node: id, kind: "command", "command \(command) was carried out")
                node.generation += 1
            }
            try announcements.move(
                &node, to: outcome.standing.state, outcome.standing.reason, in: transaction, at: now)
            node.status = status
            node.lastSeenSeconds = now
            try transaction.save(node)
            return StatusReply(
                clockSeconds: now, generation: node.generation, auditHead: try transaction.auditHead())
        }
    }

    /// Takes reports of steps.
    func receive(_ reports: StepReports, from id: NodeID) async throws {
        guard (1...64).contains(reports.steps.count) else {
            throw APIFailure.malformed("field 'steps' has 1 to 64 reports")
        }
        let steps = reports.steps.map(CleanText.step)
        let core = core
        try await core.change { transaction, announcements in
            var node = try Self.find(id, transaction)
            let now = core.now()
            for step in steps {
                try transaction.removeProgress(node: id, sequence: step.sequence, step: step.step)
                try transaction.save(step, node: id, timeSeconds: now)
                try announcements.event(
                    transaction, at: now, node: id, kind: "step", Self.sentence(step), step: step)
                guard let standing = NodeLife.receive(step, from: node) else { continue }
                try announcements.move(&node, to: standing.state, standing.reason, in: transaction, at: now)
            }
            node.lastSeenSeconds = now
            try transaction.save(node)
        }
    }

    /// Takes a piece of log.
    func receive(_ chunk: LogChunk, from id: NodeID) async throws {
        try Self.demandSource(chunk.source, "field")
        let text = CleanText.lines(chunk.text, limit: WireLimit.logChunk)
        guard !text.isEmpty else { return }
        let core = core
        try await core.change { transaction, announcements in
            _ = try Self.find(id, transaction)
            try transaction.append(
                LogChunk(source: chunk.source, text: text), node: id, timeSeconds: core.now(),
                keepBytes: ServerLimit.logBytes)
            announcements.add(.log(id))
        }
    }

    /// Takes news.
    func receive(_ event: NodeEvent, from id: NodeID) async throws {
        let kind = event.kind
        guard (1...32).contains(kind.utf8.count), kind.utf8.allSatisfy({ (0x61...0x7a).contains($0) || $0 == 0x2d })
        else { throw APIFailure.malformed("field 'kind' has 1 to 32 characters of a-z and '-'") }
        guard !Self.ownKinds.contains(kind) else {
            throw APIFailure.malformed("events of kind '\(kind)' are the server's own; send another kind")
        }
        let core = core
        try await core.change { transaction, announcements in
            _ = try Self.find(id, transaction)
            try announcements.event(transaction, at: core.now(), node: id, kind: kind, event.message)
        }
    }

    // MARK: - Parts

    /// Kinds of events that only the server tells of.
    private static let ownKinds: Set = [
        "state", "step", "token", "release", "registration", "plan", "secret", "registry", "policy", "stream",
    ]

    /// Refuses a source of logs that there is none of; `place` says where it stood.
    static func demandSource(_ source: String, _ place: String) throws {
        guard ["init", "agent", "journal"].contains(source) else {
            throw APIFailure.malformed("\(place) 'source' is one of init, agent and journal")
        }
    }

    static func find(_ id: NodeID, _ transaction: any StoreTransaction) throws -> NodeRecord {
        guard let node = try transaction.node(id) else {
            throw APIFailure(
                .notFound, "node-unknown", "there is no node \(id); 'apus node list' shows those there are")
        }
        return node
    }

    static func options(of node: NodeRecord) throws -> PlanOptions {
        do {
            return try PlanOptions(labels: node.labels)
        } catch {
            throw APIFailure(.conflict, "labels", "node \(node.id) has an unusable label: \(error.message)")
        }
    }

    /// Refuses a release that the layout has no room for.
    static func check(_ release: ReleaseRecord, fits layout: DiskLayout) throws {
        let parts: [(String, UInt64, UInt64)] = [
            ("root file system", release.rootBytes, layout.rootBytes),
            ("hash tree", release.treeBytes, layout.treeBytes),
            ("slot's kernel image", release.ukiBytes + (4 << 20), layout.bootBytes),
            ("boot artifact", release.bootBytes + (4 << 20), layout.recoveryBytes),
        ]
        for (part, bytes, room) in parts where bytes > room {
            throw APIFailure(
                .conflict, "release-too-large",
                "version \(release.version) does not fit the node's layout: its \(part) needs \(bytes) bytes of \(room); "
                    + "publish a smaller one, or give the node 'apus.layout' labels and provision it again")
        }
    }

    /// The release that was chosen for a node, or else the default of its architecture.
    private static func releaseToInstall(
        on node: NodeRecord, _ transaction: any StoreTransaction
    ) throws -> ReleaseRecord {
        let architecture = node.inventory.architecture
        if let release = try node.desiredRelease.flatMap({ try transaction.release($0) }),
            release.architecture == architecture
        {
            return release
        }
        guard let release = try ReleaseService.defaultRelease(for: architecture, transaction) else {
            throw APIFailure(
                .serviceUnavailable, "no-release",
                "this server has no release for \(architecture.rawValue); publish one with 'apus release publish'",
                headers: [.retryAfter: "30"])
        }
        return release
    }

    private static func sentence(_ step: StepReport) -> String {
        let name = "\(step.sequence): \(step.step)"
        let detail = step.detail.isEmpty ? "" : ": \(step.detail)"
        return switch step.state {
        case .started: "\(name) begins\(detail)"
        case .progress: "\(name) is under way\(detail)"
        case .finished: "\(name) is done\(detail)"
        case .skipped: "\(name) is not needed\(detail)"
        case .failed: "\(name) failed\(detail)"
        }
    }
}
