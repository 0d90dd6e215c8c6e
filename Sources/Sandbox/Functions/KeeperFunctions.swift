internal import Contract
internal import Linux
internal import Workloads

/// The keeper's part of functions: which are served, their wires, their numbers.
extension KeeperCore {
    /// How often numbers go into reports, in milliseconds: every call would be news otherwise.
    private static let countsMilliseconds: Int64 = 15_000

    /// What a function cannot have is refused, not left out.
    func checkFunction(_ revision: Revision) throws {
        let settings = revision.function ?? FunctionSettings()
        var reason: String?
        if !revision.ports.isEmpty || !revision.exposedPorts.isEmpty {
            reason = "a function has no ports: it is called at function.url, by schedule and by events"
        } else if !revision.isRootReadOnly {
            reason = "a function writes to /tmp only, within function.tmp_size: leave 'writable-root' out"
        } else if revision.hasTerminal {
            reason = "a function has no terminal: leave tty out"
        }
        for expression in settings.schedules where reason == nil {
            do { _ = try CronSchedule(expression) } catch { reason = "function.schedule: \(error)" }
        }
        if let reason { throw SandboxError(reason, isPermanent: true) }
    }

    /// Serves the functions that are wanted and ready, and ends others. True where nothing is under way.
    func lookAfterFunctions(_ plan: WorkloadPlan, _ bundles: [RevisionKey: BundleRecord]) -> Bool {
        let isFunction: (RevisionKey) -> Bool = { self.document($0)?.revision.kind == .function }
        let ready = bundles.keys.filter(isFunction)
        let present = functions?.present ?? [:]
        guard !ready.isEmpty || !present.isEmpty else { return true }
        var wanted: [RevisionKey: DesiredWorkload] = [:]
        var awaited: Set<RevisionKey> = []
        for desired in content.desired where !desired.isStopped {
            let name = desired.workload.name
            awaited.insert(RevisionKey(name, desired.revision))
            if let proven = plan.records[name]?.proven { wanted[RevisionKey(name, proven)] = desired }
        }
        var isQuiet = true
        for key in Set(ready).union(present.keys) {
            do {
                if present[key] == true { isQuiet = false }
                if let desired = wanted[key], bundles[key] != nil {
                    try keep(key, desired, isPresent: present[key])
                } else if let isRetired = present[key] {
                    isQuiet = false
                    if !isRetired { functions?.retire(key, graceMilliseconds: grace(key)) }
                } else if !awaited.contains(key) {
                    try workbench.remove(key)
                    functionRestarts[key] = nil
                }
            } catch {
                isQuiet = false
                tell("function-\(key)", "function '\(key.workload)': \(error)")
            }
        }
        return isQuiet
    }

    private func grace(_ key: RevisionKey) -> Int64 { document(key)?.revision.stopGraceMilliseconds ?? 10_000 }

    private func keep(_ key: RevisionKey, _ desired: DesiredWorkload, isPresent: Bool?) throws {
        if isPresent == nil { return try serve(key, desired) }
        guard isPresent == false, desired.restarts > functionRestarts[key] ?? 0 else { return }
        functions?.retire(key, graceMilliseconds: grace(key))
    }

    private func serve(_ key: RevisionKey, _ desired: DesiredWorkload) throws {
        guard let workload = document(key), let images = try images(of: workload),
            let ids = memory.ranges[key.workload.rawValue]
        else { throw SandboxError("what it needs is no longer there") }
        let host = try functions ?? startHost()
        functions = host
        functionRestarts[key] = desired.restarts
        host.serve(
            FunctionOrder(
                order: try containerOrder(
                    Job(key: key, workload: workload, image: images.root, task: images.task, ids: ids)),
                needsWire: workload.revision.hasNetwork))
    }

    private func startHost() throws -> FunctionHost {
        // Names of an earlier agent's instances are not used again, whatever is left of them.
        let maker = InstanceMaker(
            places: effects.places, units: effects.units,
            epoch: String(UInt64(max(0, Clock.bootMilliseconds())), radix: 36))
        removeForeignWires()
        return try FunctionHost(
            FunctionEffects(
                maker: maker, port: effects.functionPort, log: effects.functionLog, tell: effects.tell,
                post: effects.post))
    }

    /// The numbers of functions in their reports.
    func counted(_ reports: [WorkloadReport], _ now: Int64) -> [WorkloadReport] {
        guard let functions else { return reports }
        if functionCounts.counts.isEmpty || now - functionCounts.takenMilliseconds >= Self.countsMilliseconds {
            functionCounts = (functions.counts, now)
        }
        return reports.map { report in
            var report = report
            report.calls = report.revision.flatMap { functionCounts.counts[RevisionKey(report.name, $0)] }
            return report
        }
    }

    // MARK: Wires of instances

    /// Makes a wire for an instance, with its rules.
    func wireInstance(_ key: InstanceKey) {
        do {
            guard let workload = document(key.function) else { throw SandboxError("the function is no longer there") }
            let wire = try freeWire()
            do {
                try connect(key.function, workload.revision, wire)
            } catch {
                releaseNames(wire)
                try? wires.remove(wire)
                throw error
            }
            functionWires[key] = wire
            functions?.wired(key, wire, failure: "")
        } catch {
            functions?.wired(key, nil, failure: "\(error)")
        }
    }

    /// An instance is no more, and neither is its wire.
    func instanceGone(_ key: InstanceKey) {
        guard let wire = functionWires.removeValue(forKey: key) else { return }
        applied[wire.index] = nil
        releaseNames(wire)
        do { try wires.remove(wire) } catch { tell("wire-\(wire.index)", "\(error)") }
    }

    /// Wires of instances that an earlier agent started.
    private func removeForeignWires() {
        let names = Set((try? Files.list(effects.places.namespaces)) ?? [])
        let taken = Set(BundleRecord.all(in: effects.places).values.compactMap(\.wire))
        for index in 1...WorkloadLimit.workloadsPerNode * 4 where !names.isEmpty && !taken.contains(index) {
            guard let wire = NetworkPlan(index: index), names.contains(wire.hostInterface) else { continue }
            do { try wires.remove(wire) } catch { tell("wire-\(index)", "\(error)") }
        }
    }
}
