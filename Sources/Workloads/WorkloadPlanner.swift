/// What is to be done now, and what to say and remember.
public struct WorkloadPlan: Sendable, Equatable {
    /// In this order.
    public var actions: [WorkloadAction]
    /// One for each workload that is wanted or still there, by name.
    public var reports: [WorkloadReport]
    /// To be stored before the actions are carried out.
    public var records: [WorkloadName: WorkloadRecord]
}

/// Brings what runs to what is wanted, one step at a time: a pure function of a snapshot and the records.
///
/// It promises that a proven revision is not stopped for a new one that can run beside it before the new one is
/// healthy; that a revision which failed is not started again until another is wanted; that starts are bounded; and
/// that what it answers does not change while nothing else does.
public enum WorkloadPlanner {
    /// How often a revision that never was healthy is started.
    public static let trialStarts = 3
    /// Without a health check, running this long counts as healthy, in milliseconds.
    public static let settleMilliseconds: Int64 = 5000
    /// The longest wait between two attempts at an image, in milliseconds.
    public static let pullWaitMilliseconds: Int64 = 300_000
    /// How long after the kill a unit that is still there counts as stuck, in milliseconds.
    public static let stuckMilliseconds: Int64 = 10_000

    /// Plans.
    public static func plan(_ now: NodeSnapshot, _ records: [WorkloadName: WorkloadRecord]) -> WorkloadPlan {
        var plan = WorkloadPlan(actions: [], reports: [], records: [:])
        let wanted = Dictionary(now.desired.map { ($0.workload.name, $0) }) { first, _ in first }
        var order: [WorkloadName] = []
        var circle: DependencyCycle?
        let edges = wanted.mapValues { $0.workload.revision.dependencies }
        do { order = try DependencyOrder.sorted(edges) } catch { circle = error }
        let gone = Set(records.keys).union(now.instances.keys.map(\.workload)).subtracting(wanted.keys)
        // What is no longer wanted gives its ports back before others ask for them.
        for name in gone.sorted() {
            var step = WorkloadStep(name, nil, now, records[name] ?? WorkloadRecord())
            step.run(reports: [:], blocked: nil)
            append(step, to: &plan)
        }
        var reports: [WorkloadName: WorkloadReport] = [:]
        var holders: [(port: PublishedPort, name: WorkloadName)] = []
        for name in circle == nil ? order : wanted.keys.sorted() {
            guard let desired = wanted[name] else { continue }
            var step = WorkloadStep(name, desired, now, records[name] ?? WorkloadRecord())
            step.run(reports: reports, blocked: circle?.description ?? conflict(desired, holders))
            append(step, to: &plan)
            reports[name] = step.report
            holders += desired.workload.revision.ports.map { ($0, name) }
        }
        plan.reports.sort { $0.name < $1.name }
        return plan
    }

    private static func append(_ step: WorkloadStep, to plan: inout WorkloadPlan) {
        plan.actions += step.actions
        if let report = step.report { plan.reports.append(report) }
        plan.records[step.name] = step.record
    }

    private static func conflict(
        _ desired: DesiredWorkload, _ holders: [(port: PublishedPort, name: WorkloadName)]
    ) -> String? {
        for port in desired.workload.revision.ports {
            if let holder = holders.first(where: { $0.port.conflicts(with: port) }) {
                return "port \(port.published)/\(port.transport.rawValue) of this node belongs to '\(holder.name)'"
            }
        }
        return nil
    }

    /// Whether two revisions of one workload can run at the same time. Ports are no obstacle: each revision has its
    /// own addresses, and the node's ports are switched. Something writable that both would have is one.
    public static func canRunBeside(_ new: Revision, _ old: Revision) -> Bool {
        switch new.updateOrder {
        case .stopFirst: return false
        case .startFirst: return true
        case nil: break
        }
        func writable(_ revision: Revision) -> Set<WorkloadName> {
            Set(
                revision.volumes.compactMap { volume in
                    guard case .persistent(let name, _, _) = volume.source, !volume.isReadOnly else { return nil }
                    return name
                })
        }
        return new.kind != .vm && old.kind != .vm && writable(new).isDisjoint(with: writable(old))
    }

    /// How long a revision on trial may take to become healthy, in milliseconds: its start period and all retries,
    /// and a minute.
    public static func trialMilliseconds(_ revision: Revision) -> Int64 {
        guard let check = revision.healthCheck else { return 60_000 }
        let round = check.intervalMilliseconds + check.timeoutMilliseconds
        return check.startPeriodMilliseconds + round * Int64(check.retries + 1) + 60_000
    }
}
