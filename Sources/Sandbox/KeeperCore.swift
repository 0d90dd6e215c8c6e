internal import Contract
internal import Images
internal import Linux
internal import Workloads

/// The keeper's whole mind and hands on one thread: looks, asks the planner, stores, acts, reports.
///
/// A failure of one workload is that workload's alone: it is told and looked at again, and never leaves `step`.
final class KeeperCore {
    let effects: KeeperEffects
    let store: AssignmentStore
    let workbench: Workbench
    let machines: MachineBench
    let wires: Wires
    let shelf: ImageShelf

    var content = AssignmentStore.Content()
    var memory: KeeperMemory
    var documents: [RevisionKey: Workload] = [:]
    /// Workloads that ran before this boot, and have not yet run again in it.
    var expected: Set<WorkloadName> = []

    var pulls: [Digest256: PullFacts] = [:]
    /// Images that wait until another one has been fetched, the next one first.
    var queuedPulls: [WorkloadImage] = []
    var health: [RevisionKey: Watched] = [:]
    var failures: [RevisionKey: Failures] = [:]
    /// The rules that stand, by wire.
    var applied: [Int: String] = [:]
    var isNodeReady = false
    var hasNetwork = false
    /// The resolver, while a workload may look names up, and for whom it answers on which wire.
    var names: NameService?
    var servedNames: [Int: RevisionKey] = [:]
    var appArmorProfile: String?
    /// Serves functions; nil before there is one.
    var functions: FunctionHost?
    /// Wires of functions' instances.
    var functionWires: [InstanceKey: NetworkPlan] = [:]
    /// Operators' restarts that the functions served have seen.
    var functionRestarts: [RevisionKey: Int] = [:]
    var functionCounts: (counts: [RevisionKey: FunctionCounts], takenMilliseconds: Int64) = ([:], 0)
    /// Health checks under way.
    var probes: Set<RevisionKey> = []
    /// What was reported last of each workload, in words.
    var reasons: [WorkloadName: String] = [:]
    /// Set while everything is being stopped because the machine restarts.
    var leaving: ShutdownMachine?
    var hasLeft = false
    private var told: [String: String] = [:]

    /// A health check in progress.
    struct Watched {
        var machine: HealthMachine
        var sinceMilliseconds: Int64
    }

    /// What went wrong in a row while a revision was made ready or started.
    struct Failures {
        var count = 0
        var reason = ""
        var isPermanent = false
        var nextMilliseconds: Int64 = 0
    }

    /// Attempts at making a revision ready before it counts as failed.
    static let attempts = 3
    /// The wait after an attempt that failed, in milliseconds.
    static let attemptWaitMilliseconds: Int64 = 3000
    /// What must stay free on the state's disk, in bytes.
    static let reserveBytes: UInt64 = 64 << 20

    init(_ effects: KeeperEffects, bootID: String) throws {
        self.effects = effects
        store = AssignmentStore(places: effects.places)
        workbench = Workbench(places: effects.places, mounter: effects.mounter)
        machines = MachineBench(places: effects.places, mounter: effects.mounter)
        wires = Wires(places: effects.places, prefix: effects.networkPrefix)
        shelf = ImageShelf(path: effects.places.imageStore)
        memory = store.memory()
        if memory.bootID != bootID { expected = memory.running }
        memory.began(bootID: bootID)
        documents = store.documents()
        if let found = try store.load() { take(found) }
    }

    /// Whether there is anything to look after.
    var isIdle: Bool {
        content.desired.isEmpty && memory.records.isEmpty && BundleRecord.all(in: effects.places).isEmpty
    }

    /// A new assignment arrived: on the disk first.
    func accept(_ assignment: WorkloadAssignment) throws {
        var keeping: [WorkloadName: Set<String>] = [:]
        for (key, document) in documents {
            keeping[key.workload, default: []].formUnion(document.revision.secrets.map(\.source.rawValue))
        }
        let before = content.secrets.secrets
        try store.save(assignment, keeping: keeping)
        guard let found = try store.load() else { return }
        take(found)
        // What failed for want of a secret may be tried again.
        var records = memory.plannerRecords
        for name in records.keys where before[name.rawValue] != content.secrets.secrets[name.rawValue] {
            records[name]?.failed = nil
        }
        memory.plannerRecords = records
    }

    private func take(_ found: AssignmentStore.Content) {
        content = found
        failures = [:]
        for reason in found.refused { tell("workload", reason) }
        let wanted = content.desired.map(\.workload.name)
        let withVolumes = Set(((try? Files.list(effects.places.volumes)) ?? []).compactMap { WorkloadName($0) })
        if !memory.assignRanges(wanted, withVolumes: withVolumes) {
            tell("workload", "this node has no user ids left for another workload")
        }
        expected.formIntersection(content.desired.filter { !$0.isStopped }.map(\.workload.name))
    }

    // MARK: One step

    /// Looks, plans and acts once; returns how long nothing is to be done, in milliseconds.
    func step() -> Int {
        guard !isIdle else { return 60_000 }
        do {
            try prepareNode()
            let bundles = BundleRecord.all(in: effects.places)
            let units = Dictionary(try effects.units.units().map { ($0.name, $0) }) { first, _ in first }
            stopOrphans(units, bundles)
            let now = effects.now()
            let instances = look(bundles, units, now)
            if leaving != nil { return leave(instances, bundles, now) }
            let snapshot = snapshot(instances, bundles, now)
            var plan = WorkloadPlanner.plan(snapshot, memory.plannerRecords)
            plan.reports = withAccelerators(plan.reports)
            try remember(plan)
            for action in plan.actions { carryOut(action, action.key.flatMap { bundles[$0] }) }
            reasons = Dictionary(
                plan.reports.map {
                    ($0.name, "it is \($0.phase.rawValue)" + ($0.reason.isEmpty ? "" : ": \($0.reason)"))
                }
            ) { first, _ in first }
            tidy(plan)
            tidyDisks()
            applyRules(BundleRecord.all(in: effects.places))
            let areFunctionsQuiet = lookAfterFunctions(plan, bundles)
            let reports = counted(plan.reports, now.bootMilliseconds)
            effects.report(WorkloadReports(generation: content.generation, reports: reports, images: images()))
            told["step"] = nil
            return areFunctionsQuiet ? pace(plan) : 500
        } catch {
            tell("step", "\(error)")
            return 5000
        }
    }

    private func pace(_ plan: WorkloadPlan) -> Int {
        let isQuiet =
            plan.actions.isEmpty
            && plan.reports.allSatisfy { report in
                [.running, .completed, .stopped, .failed].contains(report.phase)
            }
        return isQuiet ? 5000 : 500
    }

    /// Once before the first workload: the guard against packets, the slice, the profile.
    private func prepareNode() throws {
        guard !isNodeReady else { return }
        let memory = try Machine.memory()
        // The node's own programs keep a quarter of small machines, and half a gigabyte of larger ones.
        let reserved = min(512 << 20, memory.totalBytes / 4)
        try effects.units.limitSlice(
            SystemdUnit.sliceProperties(totalMemoryBytes: memory.totalBytes, reservedMemoryBytes: reserved))
        do {
            appArmorProfile = try effects.loadProfile()
        } catch {
            tell("workload", "workloads run without an AppArmor profile: \(error)")
        }
        isNodeReady = true
    }

    /// Units of ours without a bundle were started by nobody that still knows of them.
    private func stopOrphans(_ units: [String: UnitStatus], _ bundles: [RevisionKey: BundleRecord]) {
        let known = Set(bundles.keys.map { SystemdUnit.name($0.workload, $0.revision) })
        for unit in units.values where !known.contains(unit.name) && functions?.owns(unit: unit.name) != true {
            // What an earlier agent froze would not even end.
            if unit.name.contains(SystemdUnit.instanceMark) { try? effects.units.setFrozen(unit.name, false) }
            do {
                if unit.activeState == "failed" {
                    try effects.units.forget(unit.name)
                } else {
                    try effects.units.stop(unit.name, graceMilliseconds: 10_000)
                }
            } catch {
                tell(unit.name, "\(error)")
            }
        }
    }

    private func look(
        _ bundles: [RevisionKey: BundleRecord], _ units: [String: UnitStatus],
        _ now: (bootMilliseconds: Int64, monotonicMicroseconds: UInt64)
    ) -> [RevisionKey: InstanceFacts] {
        var found: [RevisionKey: InstanceFacts] = [:]
        for (key, bundle) in bundles {
            let unit = units[SystemdUnit.name(key.workload, key.revision)]
            var facts = bundle.facts(unit, health: .unknown, now: now) {
                unit.flatMap { WaitChannel.describe(controlGroup: $0.controlGroup) }
            }
            if case .running(let since) = facts?.phase, let unit, let check = document(key)?.revision.healthCheck {
                facts?.health = watch(key, check, since, unit, bundle, now.bootMilliseconds)
            } else {
                health[key] = nil
            }
            found[key] = facts
        }
        return found
    }

    private func snapshot(
        _ instances: [RevisionKey: InstanceFacts], _ bundles: [RevisionKey: BundleRecord],
        _ now: (bootMilliseconds: Int64, monotonicMicroseconds: UInt64)
    ) -> NodeSnapshot {
        let failed = failures.filter { $0.value.isPermanent || $0.value.count >= Self.attempts }
        return NodeSnapshot(
            nowMilliseconds: now.bootMilliseconds, desired: content.desired, documents: documents,
            instances: instances, images: Set(shelf.entries().keys), pulls: pulls, prepared: Set(bundles.keys),
            preparationFailures: failed.mapValues(\.reason), diskFull: diskFull())
    }

    private func diskFull() -> String? {
        guard let space = try? Files.space(at: effects.places.state), space.availableBytes < Self.reserveBytes else {
            return nil
        }
        return "the state disk has \(space.availableBytes >> 20) MiB left; delete volumes or workloads"
    }

    // MARK: Remembering

    /// Stores what the plan decided before anything of it is done.
    private func remember(_ plan: WorkloadPlan) throws {
        var next = memory
        next.plannerRecords = plan.records
        let running = plan.reports.filter { [.running, .completed].contains($0.phase) }.map(\.name)
        expected.subtract(running)
        next.running = Set(running).union(expected)
        for desired in content.desired where plan.records[desired.workload.name]?.proven == desired.revision {
            try store.keepDocument(desired.workload, desired.revision)
            documents[RevisionKey(desired.workload.name, desired.revision)] = desired.workload
        }
        guard next != memory else { return }
        try store.save(next)
        memory = next
    }

    /// Forgets documents that nobody goes back to and that do not run.
    private func tidy(_ plan: WorkloadPlan) {
        var kept = Set(BundleRecord.all(in: effects.places).keys)
        for (name, record) in plan.records {
            if let proven = record.proven { kept.insert(RevisionKey(name, proven)) }
        }
        guard !Set(documents.keys).isSubset(of: kept) else { return }
        store.forgetDocuments(except: kept)
        documents = documents.filter { kept.contains($0.key) }
    }

    func document(_ key: RevisionKey) -> Workload? {
        content.desired.first { $0.workload.name == key.workload && $0.revision == key.revision }?.workload
            ?? documents[key]
    }

    private func images() -> [NodeImage] {
        var found: [Digest256: NodeImage] = [:]
        for entry in shelf.entries().values {
            found[entry.image.digest] = NodeImage(
                digest: entry.image.digest, reference: entry.image.reference, bytes: entry.image.sizeBytes)
        }
        return Array(found.values.sorted { "\($0.digest)" < "\($1.digest)" }.prefix(WorkloadWireLimit.reportedImages))
    }

    /// Tells something once until it changes.
    func tell(_ topic: String, _ sentence: String) {
        guard told[topic] != sentence else { return }
        if told.count > 1024 { told = [:] }
        told[topic] = sentence
        effects.tell(sentence)
    }
}
