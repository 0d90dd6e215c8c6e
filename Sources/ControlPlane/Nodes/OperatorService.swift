import Access
import Contract
import Cryptography
import HTTPTypes
import Store

/// What operators do with nodes.
struct OperatorService: Sendable {
    let core: Core

    /// Nodes that somebody may see, oldest first, as many as fit a reply; more follow `after` the last one's id.
    func nodes(after id: NodeID?, for principal: Principal) async throws -> NodeList {
        try await core.store.read { transaction in
            var views: [NodeView] = []
            var room = ServerLimit.listReplyBytes
            var last = id
            // A page where nothing may be seen is no end: the next one may be another.
            while true {
                let page = try transaction.nodes(after: last, limit: 512)
                guard let end = page.last else { return NodeList(nodes: views) }
                last = end.id
                for node in page where principal.permissions.allows(.nodeRead, on: node.labels) {
                    let view = try Self.view(node, transaction)
                    room -= try Wire.encode(view).count
                    guard room > 0 || views.isEmpty else { return NodeList(nodes: views) }
                    views.append(view)
                }
                guard views.isEmpty else { return NodeList(nodes: views) }
            }
        }
    }

    /// One node.
    func node(_ id: NodeID) async throws -> NodeView {
        try await core.store.read { try Self.view(try NodeService.find(id, $0), $0) }
    }

    /// Admits a node whose code a person read from its screen.
    func approve(_ id: NodeID, code: String) async throws -> NodeView {
        let core = core
        let given = ChallengeCode.normalized(code)
        let outcome: Result<NodeView, APIFailure> = try await core.change { transaction, announcements in
            let now = core.now()
            let node = try NodeService.find(id, transaction)
            guard node.state == .pending, var record = try node.registrationID.flatMap(transaction.registration) else {
                return .failure(Self.nothingToApprove(node))
            }
            var keeper = RegistrationKeeper(core: core, transaction: transaction, now: now)
            defer { announcements = keeper.announcements }
            let expected = try keeper.code(of: record).map(ChallengeCode.normalized) ?? []
            var machine = RegistrationMachine(phase: record.phase, wrongCodes: record.wrongCodes)
            let action = machine.code(matches: !expected.isEmpty && constantTimeEqual(expected, given))
            record.phase = machine.phase
            record.wrongCodes = machine.wrongCodes
            switch action {
            case .approve:
                let approved = try keeper.approveByHand(&record)
                return .success(try Self.view(approved, transaction))
            case .reject(let left):
                try transaction.save(record)
                try keeper.announcements.event(
                    transaction, at: now, node: id, kind: "registration",
                    "a wrong code was given; \(left) attempts are left")
                return .failure(
                    APIFailure(
                        .forbidden, "wrong-code",
                        "this is not the code on the node's screen; compare again, \(left) attempts are left"))
            case .close:
                try keeper.close(&record, .tooManyWrongCodes)
                keeper.announcements.add(.registration(record.id))
                return .failure(
                    APIFailure(.forbidden, Refusal.tooManyWrongCodes.rawValue, Refusal.tooManyWrongCodes.message))
            case .nothingToApprove: return .failure(Self.nothingToApprove(node))
            }
        }
        return try outcome.get()
    }

    /// Sets and removes labels. They decide who may do what with a node: nobody moves one to where they may not label.
    func label(_ id: NodeID, _ request: LabelRequest, by principal: Principal) async throws -> NodeView {
        try await change(id) { node, transaction, announcements, now in
            for (name, value) in request.labels { node.labels[name] = value }
            if let problem = LabelRule.problem(node.labels) { throw APIFailure(.badRequest, "label", problem) }
            try principal.demand(.nodeLabel, on: id, labels: node.labels)
            try announcements.event(
                transaction, at: now, node: id, kind: "label",
                "labels changed: \(request.labels.keys.sorted().joined(separator: ", "))")
            try transaction.save(node)
            // Labels say where workloads run.
            try Assigner(transaction: transaction, now: now).refresh(&announcements, only: id)
            node.generation = try NodeService.find(id, transaction).generation
        }
    }

    /// Shuts a node out for good: its certificate is refused from now on.
    func retire(_ id: NodeID) async throws -> NodeView {
        try await change(id) { node, transaction, announcements, now in
            try announcements.move(&node, to: .retired, "an operator retired it", in: transaction, at: now)
            try transaction.removeCommands(node: id, kind: nil)
            if let registration = node.registrationID {
                try transaction.removeRegistration(registration)
                announcements.add(.registration(registration))
            }
            node.registrationID = nil
            node.wipeRequested = false
            node.generation += 1
            announcements.add(.desired(id))
        }
    }

    /// Takes a node out of service, or back into it.
    func maintain(_ id: NodeID, _ request: MaintenanceRequest) async throws -> NodeView {
        try await change(id) { node, transaction, announcements, now in
            if request.enabled {
                try Self.demandAdmitted(node)
                let reason = CleanText.line(request.reason ?? "an operator took it out of service", limit: 512)
                try announcements.move(&node, to: .maintenance, reason, in: transaction, at: now)
            } else {
                guard node.state == .maintenance else {
                    throw APIFailure(.conflict, "not-in-maintenance", "node \(id) is not in maintenance")
                }
                let standing =
                    node.wasOnline
                    ? node.status.map(NodeLife.inService)
                        ?? NodeLife.Standing(state: .online, reason: "an operator put it back into service")
                    : NodeLife.Standing(state: .admitted, reason: "an operator put it back into service")
                try announcements.move(&node, to: standing.state, standing.reason, in: transaction, at: now)
            }
        }
    }

    /// Sets the release that a node should run.
    func upgrade(_ id: NodeID, _ request: UpgradeRequest) async throws -> NodeView {
        if let rule = request.probation {
            guard (0...86_400).contains(rule.holdSeconds), (rule.holdSeconds...604_800).contains(rule.deadlineSeconds),
                rule.deadlineSeconds > 0, (1...10).contains(rule.attempts)
            else {
                throw APIFailure(
                    .badRequest, "probation",
                    "a probation holds 0 to 86400 seconds, ends no earlier than that and within a week, and has 1 to 10 "
                        + "attempts")
            }
        }
        return try await change(id) { node, transaction, announcements, now in
            try Self.demandAdmitted(node)
            guard node.state != .maintenance else {
                throw APIFailure(
                    .conflict, "in-maintenance", "node \(id) is in maintenance; put it back into service first")
            }
            guard let release = try transaction.release(request.release) else {
                throw APIFailure(
                    .notFound, "release-unknown",
                    "there is no release \(request.release); 'apus release list' shows those there are")
            }
            try Self.check(release, suits: node, transaction)
            node.desiredRelease = release.name
            node.probation = request.probation
            node.generation += 1
            try announcements.event(
                transaction, at: now, node: id, kind: "desired", "it should run version \(release.version)")
            announcements.add(.desired(id))
        }
    }

    /// Asks a node to do something once.
    func command(_ id: NodeID, _ request: CommandRequest) async throws -> NodeCommand {
        let command = NodeCommand(id: try Secrets.word(characters: 16), kind: request.kind)
        _ = try await change(id) { node, transaction, announcements, now in
            try Self.demandAdmitted(node)
            if request.kind == .reprovision {
                node.wipeRequested = request.wipeState ?? false
                // Asked twice is asked once.
                try transaction.removeCommands(node: id, kind: .reprovision)
            }
            guard try transaction.commands(node: id).count < ServerLimit.commands else {
                throw APIFailure(
                    .conflict, "too-many-commands",
                    "node \(id) has not yet carried out \(ServerLimit.commands) commands; wait for it")
            }
            try transaction.insert(command, node: id, timeSeconds: now)
            node.generation += 1
            let wipe = request.kind == .reprovision && node.wipeRequested ? ", erasing its state" : ""
            try announcements.event(
                transaction, at: now, node: id, kind: "command", "an operator asked for \(command.kind.rawValue)\(wipe)"
            )
            announcements.add(.desired(id))
        }
        return command
    }

    /// A node's log after a sequence, oldest first and as much as fits a reply, once there is some or the time is over.
    func logs(_ id: NodeID, after sequence: Int64, source: String?, waitSeconds: Int64) async throws -> LogList {
        if let source { try NodeService.demandSource(source, "query parameter") }
        let core = core
        let entries = try await core.poll(.log(id), waitSeconds: waitSeconds) {
            let entries = try await core.store.read { transaction in
                _ = try NodeService.find(id, transaction)
                return try transaction.logs(
                    node: id, after: sequence, source: source, limitBytes: ServerLimit.logReplyBytes)
            }
            return entries.isEmpty ? nil : entries
        }
        return LogList(entries: entries ?? [])
    }

    /// Events after a sequence that somebody may see, once there are some or the time is over.
    func events(
        after sequence: Int64, node: NodeID?, waitSeconds: Int64, for principal: Principal
    ) async throws -> EventList {
        let core = core
        let events = try await core.poll(.events, waitSeconds: waitSeconds) {
            let events = try await core.store.read { transaction in
                try Self.events(after: sequence, node: node, for: principal, transaction)
            }
            return events.isEmpty ? nil : try Self.whatFits(events)
        }
        return EventList(events: events ?? [])
    }

    /// The first events that somebody may see: all of them, or those of nodes within their scope.
    private static func events(
        after sequence: Int64, node: NodeID?, for principal: Principal, _ transaction: any StoreTransaction
    ) throws -> [Event] {
        let seesAll = principal.permissions.allows(.eventRead)
        var isVisible: [NodeID: Bool] = [:]
        var last = sequence
        while true {
            let page = try transaction.events(after: last, node: node, limit: 1000)
            guard !seesAll, let end = page.last else { return page }
            last = end.sequence
            let visible = try page.filter { event in
                guard let id = event.node else { return false }
                if let known = isVisible[id] { return known }
                let labels = try transaction.node(id)?.labels
                let allowed = labels.map { principal.permissions.allows(.eventRead, on: $0) } ?? false
                isVisible[id] = allowed
                return allowed
            }
            if !visible.isEmpty { return visible }
        }
    }

    /// The newest report of each step of a node.
    func steps(_ id: NodeID) async throws -> StepReports {
        try await core.store.read { transaction in
            _ = try NodeService.find(id, transaction)
            return StepReports(steps: try transaction.steps(node: id))
        }
    }

    // MARK: - Parts

    /// The first of some events, as many as fit a reply; those left out come with the next.
    private static func whatFits(_ events: [Event]) throws -> [Event] {
        var room = ServerLimit.listReplyBytes
        var count = 0
        for event in events {
            room -= try Wire.encode(event).count
            guard room > 0 || count == 0 else { break }
            count += 1
        }
        return Array(events.prefix(count))
    }

    private func change(
        _ id: NodeID,
        _ body: @escaping @Sendable (inout NodeRecord, any StoreTransaction, inout Announcements, Int64) throws -> Void
    ) async throws -> NodeView {
        let core = core
        return try await core.change { transaction, announcements in
            var node = try NodeService.find(id, transaction)
            try body(&node, transaction, &announcements, core.now())
            try transaction.save(node)
            return try Self.view(node, transaction)
        }
    }

    private static func view(_ node: NodeRecord, _ transaction: any StoreTransaction) throws -> NodeView {
        NodeView(
            id: node.id, state: node.state, reason: node.reason, labels: node.labels, inventory: node.inventory,
            status: node.status, desiredRelease: node.desiredRelease,
            desiredVersion: try node.desiredRelease.flatMap { try transaction.release($0)?.version },
            registeredSeconds: node.registeredSeconds, lastSeenSeconds: node.lastSeenSeconds)
    }

    private static func demandAdmitted(_ node: NodeRecord) throws {
        guard node.wasAdmitted, node.state != .retired else {
            throw APIFailure(
                .conflict, "not-admitted",
                "node \(node.id) is \(node.state.rawValue); this needs a node that is admitted")
        }
    }

    private static func nothingToApprove(_ node: NodeRecord) -> APIFailure {
        APIFailure(
            .conflict, "nothing-to-approve",
            "node \(node.id) is \(node.state.rawValue) and waits for no approval; 'apus node list' shows those that do")
    }

    private static func check(
        _ release: ReleaseRecord, suits node: NodeRecord, _ transaction: any StoreTransaction
    ) throws {
        guard release.architecture == node.inventory.architecture else {
            throw APIFailure(
                .conflict, "release-architecture",
                "version \(release.version) is for \(release.architecture.rawValue), and node \(node.id) is "
                    + "\(node.inventory.architecture.rawValue)")
        }
        try NodeService.check(release, fits: try NodeService.options(of: node).layout)
        if let current = try node.desiredRelease.flatMap({ try transaction.release($0) }), release.epoch < current.epoch
        {
            throw APIFailure(
                .conflict, "release-epoch",
                "version \(release.version) has epoch \(release.epoch), and the node's has \(current.epoch): a lower one "
                    + "has known faults; publish it anew with a higher epoch")
        }
    }
}
