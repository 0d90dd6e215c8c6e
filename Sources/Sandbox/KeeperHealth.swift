internal import Contract
internal import Linux
internal import Workloads

/// Asking what runs whether it is well: at most a few questions at once, each on a thread of its own.
extension KeeperCore {
    /// Most questions under way at once.
    private static let probesAtOnce = 8

    func watch(
        _ key: RevisionKey, _ check: HealthCheck, _ since: Int64, _ unit: UnitStatus, _ bundle: BundleRecord,
        _ now: Int64
    ) -> InstanceFacts.Health {
        var watched =
            health[key]
            ?? Watched(
                machine: HealthMachine(check, startedMilliseconds: since), sinceMilliseconds: since)
        // systemd's times and this clock are read apart: a second is no new start.
        if abs(watched.sinceMilliseconds - since) > 1000 {
            watched = Watched(machine: HealthMachine(check, startedMilliseconds: since), sinceMilliseconds: since)
        }
        defer { health[key] = watched }
        guard probes.count < Self.probesAtOnce, watched.machine.next(now) == .probe else {
            return watched.machine.health
        }
        let prober = HealthProber(
            places: effects.places, units: effects.units, runtimeRoot: effects.runtimeRoot,
            isMachine: bundle.accelerator != nil, nodeNetwork: effects.networkNamespace)
        let wire = bundle.wire.flatMap { NetworkPlan(index: $0) }
        let post = effects.post
        let started = watched.sinceMilliseconds
        do {
            try WorkerThread {
                let failure = prober.ask(check, of: key, wire: wire, unit: unit)
                post(.probed(key, sinceMilliseconds: started, failure: failure))
            }.detach()
            probes.insert(key)
        } catch {
            watched.machine.answered("\(error)", now)
        }
        return watched.machine.health
    }

    func probed(_ key: RevisionKey, _ since: Int64, _ failure: String?) {
        probes.remove(key)
        guard health[key]?.sinceMilliseconds == since else { return }
        health[key]?.machine.answered(failure, effects.now().bootMilliseconds)
    }
}
