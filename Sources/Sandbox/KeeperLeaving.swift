internal import Contract
internal import Linux
internal import Workloads

/// Stopping everything before the machine restarts.
extension KeeperCore {
    func beginLeaving(_ deadlineMilliseconds: Int64) {
        let running = BundleRecord.all(in: effects.places).keys.compactMap { document($0) }
        leaving = ShutdownMachine(running, deadlineMilliseconds: deadlineMilliseconds)
        hasLeft = false
    }

    /// One step; what is remembered stays as it was, so that after the restart the same workloads run again.
    func leave(
        _ instances: [RevisionKey: InstanceFacts], _ bundles: [RevisionKey: BundleRecord],
        _ now: (bootMilliseconds: Int64, monotonicMicroseconds: UInt64)
    ) -> Int {
        let alive = instances.filter { _, facts in
            switch facts.phase {
            case .running, .restarting, .stopping: true
            case .ended, .stopped: false
            }
        }
        let calls = functions?.present ?? [:]
        let remaining = Set(alive.keys.map(\.workload)).union(calls.keys.map(\.workload))
        for action in leaving?.next(now.bootMilliseconds, remaining: remaining) ?? [.finished] {
            switch action {
            case .finished: hasLeft = true
            case .abandoned(let names):
                tell(
                    "leaving",
                    "the machine restarts while these still run: \(names.map(\.rawValue).joined(separator: ", "))")
                hasLeft = true
            case .stop(let name, let grace):
                for key in calls.keys where key.workload == name {
                    functions?.retire(key, graceMilliseconds: grace)
                }
                for key in alive.keys where key.workload == name {
                    carryOut(.stop(key, graceMilliseconds: grace, reason: "the machine restarts"), bundles[key])
                }
            case .kill(let name):
                for key in calls.keys where key.workload == name { functions?.retire(key, graceMilliseconds: 0) }
                for key in alive.keys where key.workload == name {
                    do { try effects.units.kill(SystemdUnit.name(key.workload, key.revision)) } catch {
                        tell("kill-\(key)", "\(error)")
                    }
                }
            }
        }
        return hasLeft ? 1000 : 200
    }

    /// Workloads that ran before and do not run yet, with why.
    func missing() -> [WorkloadName: String] {
        Dictionary(expected.map { name in (name, reasons[name] ?? "it has not been looked at yet") }) { first, _ in
            first
        }
    }

    /// How fetching an image ended; nil where the store has it now.
    func pulled(_ digest: Digest256, _ failure: PullFacts?) {
        pulls[digest] = nil
        switch failure {
        case .failed(let reason):
            let sentence = Text.clean(reason, limit: WorkloadWireLimit.reason)
            pulls[digest] = .failed(sentence)
            tell("pull-\(digest)", "image sha256:\(digest): \(sentence)")
        case .refused(let reason):
            let sentence = Text.clean(reason, limit: WorkloadWireLimit.reason)
            pulls[digest] = .refused(sentence)
            tell("pull-\(digest)", "image sha256:\(digest) cannot be used: \(sentence)")
        case .queued, .running, nil: break
        }
        do {
            try fetchNext()
        } catch {
            tell("pull", "\(error)")
        }
    }
}
