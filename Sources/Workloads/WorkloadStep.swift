import Contract

/// One workload's part of a plan.
struct WorkloadStep {
    let name: WorkloadName
    let desired: DesiredWorkload?
    let now: NodeSnapshot
    /// Nil once nothing of the workload is left.
    var record: WorkloadRecord?
    var actions: [WorkloadAction] = []
    var report: WorkloadReport?

    private var memory: WorkloadRecord

    init(_ name: WorkloadName, _ desired: DesiredWorkload?, _ now: NodeSnapshot, _ record: WorkloadRecord) {
        self.name = name
        self.desired = desired
        self.now = now
        memory = record
        self.record = record
    }

    /// - Parameters:
    ///   - reports: those of the workloads before this one in the order of dependencies.
    ///   - blocked: why it cannot be started whatever happens; what runs is left alone.
    mutating func run(reports: [WorkloadName: WorkloadReport], blocked: String?) {
        guard let desired, !desired.isStopped else { return end() }
        if memory.failed?.revision != desired.revision { memory.failed = nil }
        if memory.trial?.revision != desired.revision { memory.trial = nil }
        if desired.restarts > memory.restartsDone { restart(desired) }
        defer { record = memory }
        // After a failure the proven revision is the one to run.
        let goal = memory.failed == nil ? desired.revision : memory.proven
        removeOthers(keeping: [goal, memory.proven])
        guard let goal, let document = document(goal) else {
            return say(.failed, memory.failed?.reason ?? "the document of the revision to run is not on the disk")
        }
        if goal == memory.proven {
            keep(goal, document, reports, blocked)
        } else {
            introduce(goal, document, reports, blocked)
        }
    }

    // MARK: Ending

    /// Stops all that is there; the record goes with the last of it, unless the workload is only stopped.
    private mutating func end() {
        removeOthers(keeping: [])
        let stuck = instances.contains { isStuck($0.value, $0.key) }
        if !instances.isEmpty {
            say(stuck ? .stuck : .waiting, stuck ? "it was killed and does not end" : "it is being stopped")
        } else if desired != nil {
            say(.stopped, "")
        }
        if desired == nil, instances.isEmpty { record = nil } else { record = memory }
    }

    /// Stops and removes every instance but these.
    private mutating func removeOthers(keeping kept: [Digest256?]) {
        for (key, facts) in instances.sorted(by: { $0.key < $1.key }) where !kept.contains(key.revision) {
            stop(key, facts, desired == nil ? "it is no longer wanted" : "another revision runs")
        }
    }

    /// Stops what runs, removes what has ended, reports what does neither.
    private mutating func stop(_ key: RevisionKey, _ facts: InstanceFacts, _ reason: String) {
        switch facts.phase {
        case .running, .restarting:
            let grace = now.documents[key]?.revision.stopGraceMilliseconds ?? 10_000
            actions.append(.stop(key, graceMilliseconds: grace, reason: reason))
        case .ended, .stopped:
            actions.append(.remove(key))
        case .stopping(_, let waitingFor):
            guard isStuck(facts, key) else { return }
            actions.append(.reportStuck(key, waitingFor: waitingFor ?? "nothing that the kernel shows"))
        }
    }

    private func isStuck(_ facts: InstanceFacts, _ key: RevisionKey) -> Bool {
        guard case .stopping(let since, _) = facts.phase else { return false }
        let grace = now.documents[key]?.revision.stopGraceMilliseconds ?? 10_000
        return now.nowMilliseconds - since > grace + WorkloadPlanner.stuckMilliseconds
    }

    private mutating func restart(_ desired: DesiredWorkload) {
        memory.restartsDone = desired.restarts
        memory.failed = nil
        memory.restarts = WorkloadRecord.Attempts()
        for (key, facts) in instances.sorted(by: { $0.key < $1.key }) {
            stop(key, facts, "an operator asked for a restart")
        }
    }

    // MARK: The proven revision

    /// Keeps the proven revision running.
    private mutating func keep(
        _ goal: Digest256, _ document: Workload, _ reports: [WorkloadName: WorkloadReport], _ blocked: String?
    ) {
        let key = RevisionKey(name, goal)
        let failure = memory.failed.map { "revision \("\($0.revision)".prefix(12)) failed: \($0.reason)" } ?? ""
        guard let facts = instances[key] else {
            return makeReady(key, document, reports, blocked) { step in
                guard step.memory.restarts.isDue(step.now.nowMilliseconds) else {
                    return step.say(.restarting, "it waits before the next start")
                }
                step.actions.append(.start(key))
                step.say(.starting, failure)
            }
        }
        if wasToldToStop(key) { return say(.restarting, "an operator asked for a restart") }
        switch facts.phase {
        case .running(let since):
            if !facts.holdsPorts, !document.revision.ports.isEmpty { actions.append(.switchPorts(to: key)) }
            if case .unhealthy(let reason) = facts.health { return restartUnhealthy(key, document, reason) }
            let window = document.revision.restart.windowMilliseconds
            if now.nowMilliseconds - since >= window { memory.restarts = WorkloadRecord.Attempts() }
            say(.running, failure)
        case .restarting: say(.restarting, failure)
        case .ended(nil): say(.completed, failure)
        case .ended(let reason?): say(.failed, "it ended, and was restarted as often as its policy allows: \(reason)")
        case .stopped, .stopping: awaitEnd(key, facts)
        }
    }

    /// A proven revision that is no longer healthy is restarted as its policy says, with waits that double.
    private mutating func restartUnhealthy(_ key: RevisionKey, _ document: Workload, _ reason: String) {
        let policy = document.revision.restart
        let attempts = memory.restarts.count
        guard policy.condition != .no, attempts < policy.maximumAttempts ?? .max else {
            return say(.failed, "it is unhealthy, and was restarted \(attempts) times: \(reason)")
        }
        guard memory.restarts.isDue(now.nowMilliseconds) else {
            return say(.restarting, "it is unhealthy and waits for its restart: \(reason)")
        }
        memory.restarts.begin(
            now.nowMilliseconds, delay: policy.delayMilliseconds, maximum: policy.maximumDelayMilliseconds)
        actions.append(
            .stop(key, graceMilliseconds: document.revision.stopGraceMilliseconds, reason: "it is unhealthy: \(reason)")
        )
        say(.restarting, reason)
    }

    // MARK: A new revision

    /// Brings a new revision up beside the old one, or in its place. Until then the old one is kept as it was.
    private mutating func introduce(
        _ goal: Digest256, _ document: Workload, _ reports: [WorkloadName: WorkloadReport], _ blocked: String?
    ) {
        let key = RevisionKey(name, goal)
        let old = memory.proven.flatMap { revision in self.document(revision).map { (revision, $0) } }
        let isBeside = old.map { WorkloadPlanner.canRunBeside(document.revision, $0.1.revision) } ?? false
        if let old, isBeside || (instances[key] == nil && !isReady(key, document, reports, blocked)) {
            keep(old.0, old.1, reports, blocked)
        }
        guard let facts = instances[key] else {
            // A start that left nothing behind, as after a power cut, counts like one that failed.
            if let trial = memory.trial, trial.starts >= WorkloadPlanner.trialStarts {
                return fail(key, "it was started \(trial.starts) times and did not become healthy")
            }
            return makeReady(key, document, reports, blocked) { step in step.startTrial(key, isBeside: isBeside) }
        }
        if wasToldToStop(key) { return say(.restarting, "an operator asked for a restart") }
        switch facts.phase {
        case .running(let since):
            judge(key, document, facts, since)
        case .restarting where facts.restarts >= WorkloadPlanner.trialStarts:
            fail(key, "it ended \(facts.restarts) times in a row")
        case .restarting: say(.starting, "it ended and is started again")
        case .ended(nil) where document.revision.restart.condition != .always:
            prove(key, document, facts)
            say(.completed, "")
        case .ended(let reason): fail(key, "it ended: \(reason ?? "without an error, which its policy does not allow")")
        case .stopped, .stopping: awaitEnd(key, facts)
        }
    }

    /// Starts a revision on trial once nothing stands in its way.
    private mutating func startTrial(_ key: RevisionKey, isBeside: Bool) {
        if !isBeside, let old = memory.proven.map({ RevisionKey(name, $0) }), let facts = instances[old] {
            stop(old, facts, "a new revision takes its place")
            return say(isStuck(facts, old) ? .stuck : .waiting, "the revision before it is being stopped")
        }
        let starts = memory.trial?.starts ?? 0
        memory.trial = WorkloadRecord.Trial(
            revision: key.revision, starts: starts + 1, startedMilliseconds: now.nowMilliseconds)
        actions.append(.start(key))
        say(.starting, "")
    }

    /// Judges a revision on trial that runs.
    private mutating func judge(_ key: RevisionKey, _ document: Workload, _ facts: InstanceFacts, _ since: Int64) {
        let age = now.nowMilliseconds - since
        if facts.restarts >= WorkloadPlanner.trialStarts {
            return fail(key, "it ended \(facts.restarts) times in a row")
        }
        switch facts.health {
        case .healthy:
            prove(key, document, facts)
            say(.running, "")
        case .unhealthy(let reason): fail(key, "it is unhealthy: \(reason)")
        case .unknown where document.revision.healthCheck == nil && age >= WorkloadPlanner.settleMilliseconds:
            prove(key, document, facts)
            say(.running, "")
        case .unknown:
            let started = memory.trial?.startedMilliseconds ?? since
            guard now.nowMilliseconds - started > WorkloadPlanner.trialMilliseconds(document.revision) else {
                return say(.starting, "it has yet to become healthy")
            }
            fail(key, "it did not become healthy in time")
        }
    }

    /// A healthy new revision gets the ports first; then the old one stops.
    private mutating func prove(_ key: RevisionKey, _ document: Workload, _ facts: InstanceFacts) {
        let old = memory.proven
        if !facts.holdsPorts, !document.revision.ports.isEmpty { actions.append(.switchPorts(to: key)) }
        memory.proven = key.revision
        memory.trial = nil
        memory.restarts = WorkloadRecord.Attempts()
        if let old, old != key.revision, let running = instances[RevisionKey(name, old)] {
            stop(RevisionKey(name, old), running, "the new revision is healthy")
        }
    }

    /// Gives a revision up, and says which one is kept.
    private mutating func fail(_ key: RevisionKey, _ reason: String) {
        memory.failed = WorkloadRecord.Failure(revision: key.revision, reason: reason)
        memory.trial = nil
        memory.restarts = WorkloadRecord.Attempts()
        if let facts = instances[key] { stop(key, facts, reason) }
        actions.append(.rollBack(name, failed: key.revision, to: memory.proven, reason: reason))
        say(.failed, reason)
    }

    // MARK: Making ready

    /// Fetches and prepares; then, once the dependencies are there, does the rest.
    private mutating func makeReady(
        _ key: RevisionKey, _ document: Workload, _ reports: [WorkloadName: WorkloadReport], _ blocked: String?,
        _ rest: (inout WorkloadStep) -> Void
    ) {
        if let blocked { return say(.failed, blocked) }
        for (place, image) in document.revision.images.enumerated() {
            guard let digest = image.digest else { return say(.failed, "its image has no digest") }
            if !now.images.contains(digest) { return pull(key, image, digest, place) }
        }
        if key.revision == desired?.revision { memory.pulls = WorkloadRecord.Attempts() }
        if !now.prepared.contains(key) {
            if let full = now.diskFull { return say(.waiting, full) }
            if let reason = now.preparationFailures[key] {
                return key.revision == memory.proven ? say(.failed, reason) : fail(key, reason)
            }
            actions.append(.prepare(key))
            return say(.preparing, "")
        }
        // A function has no unit of its own: its instances begin with its calls.
        if document.revision.kind == .function { return serve(key) }
        if let missing = missingDependency(document, reports) { return say(.waiting, missing) }
        rest(&self)
    }

    /// Whether nothing but the revision before it stands in the way of a start.
    private func isReady(
        _ key: RevisionKey, _ document: Workload, _ reports: [WorkloadName: WorkloadReport], _ blocked: String?
    ) -> Bool {
        let images = document.revision.images.map(\.digest)
        return blocked == nil && images.allSatisfy { $0.map(now.images.contains) ?? false }
            && now.prepared.contains(key) && missingDependency(document, reports) == nil
    }

    private mutating func serve(_ key: RevisionKey) {
        memory.proven = key.revision
        memory.trial = nil
        say(.running, "")
    }

    private mutating func pull(_ key: RevisionKey, _ image: WorkloadImage, _ digest: Digest256, _ place: Int) {
        var reason = ""
        switch now.pulls[digest] {
        case .running: return say(.pulling, "")
        case .queued: return say(.pulling, "another image is fetched first")
        case .refused(let refusal):
            reason = "the image cannot be used: \(refusal)"
            return key.revision == memory.proven ? say(.failed, reason) : fail(key, reason)
        case .failed(let failure): reason = "the image could not be fetched: \(failure)"
        case nil: break
        }
        if let full = now.diskFull { return say(.waiting, full) }
        // The image before it came at the first attempt: this one need not wait.
        let isNext = place > 0 && memory.pulls.count == place && reason.isEmpty
        if isNext || memory.pulls.isDue(now.nowMilliseconds) {
            memory.pulls.begin(now.nowMilliseconds, delay: 5000, maximum: WorkloadPlanner.pullWaitMilliseconds)
            actions.append(.pull(image))
        }
        say(.pulling, reason)
    }

    private func missingDependency(_ document: Workload, _ reports: [WorkloadName: WorkloadReport]) -> String? {
        for other in document.revision.dependencies.sorted() {
            guard let report = reports[other] else { return "it depends on '\(other)', which is not on this node" }
            let needsHealth = document.revision.dependsOn[other] == .healthy
            let isThere: Set<WorkloadReport.Phase> =
                needsHealth ? [.running, .completed] : [.running, .completed, .starting]
            if !isThere.contains(report.phase) { return "it waits for '\(other)', which is \(report.phase.rawValue)" }
        }
        return nil
    }

    // MARK: Small things

    private var instances: [RevisionKey: InstanceFacts] { now.instances.filter { $0.key.workload == name } }

    private func document(_ revision: Digest256) -> Workload? {
        if let desired, desired.revision == revision { return desired.workload }
        return now.documents[RevisionKey(name, revision)]
    }

    private func wasToldToStop(_ key: RevisionKey) -> Bool {
        actions.contains { action in
            switch action {
            case .stop(key, _, _), .remove(key): true
            default: false
            }
        }
    }

    private mutating func awaitEnd(_ key: RevisionKey, _ facts: InstanceFacts) {
        stop(key, facts, "")
        say(isStuck(facts, key) ? .stuck : .waiting, "it is being stopped")
    }

    private mutating func say(_ phase: WorkloadReport.Phase, _ reason: String) {
        report = WorkloadReport(
            name: name, phase: phase, reason: reason, revision: memory.proven, desired: desired?.revision)
    }
}
