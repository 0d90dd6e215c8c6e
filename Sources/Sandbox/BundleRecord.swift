internal import Contract
internal import Linux
internal import Workloads

/// What is known of a prepared revision, in its bundle's `bundle.json` in memory: there once all of it is ready, gone
/// with a restart of the machine.
struct BundleRecord: Sendable, Codable, Equatable {
    var format = wireFormat
    var workload: WorkloadName
    var revision: Digest256
    /// The image's manifest.
    var image: Digest256
    /// The number of its wire; nil without a network.
    var wire: Int?
    /// Whether the node's published ports lead to it.
    var holdsPorts = false
    /// What runs a machine's processors; nil for a container.
    var accelerator: Accelerator?
    /// What the agent last did with its unit; nil before the first start.
    var launch: Launch?

    struct Launch: Sendable, Codable, Equatable {
        var state: State
        /// When, in milliseconds of this boot.
        var sinceMilliseconds: Int64

        enum State: String, Sendable, Codable {
            /// systemd is being asked to start it: whether it did is not known after a crash of the agent.
            case starting
            /// systemd took it.
            case started
            /// It was told to stop.
            case stopping
        }
    }

    var key: RevisionKey { RevisionKey(workload, revision) }

    static func path(in bundle: String) -> String { bundle + "/bundle.json" }

    func save(in bundle: String) throws {
        try Files.writeDurably(try Wire.encode(self), to: Self.path(in: bundle))
    }

    /// All that are whole; what is not, is none: it is prepared again.
    static func all(in places: NodePlaces) -> [RevisionKey: BundleRecord] {
        guard let names = try? Files.list(places.bundles, limit: 4096) else { return [:] }
        var found: [RevisionKey: BundleRecord] = [:]
        for name in names {
            guard let bytes = try? Files.read(path(in: places.bundles + "/" + name), limitBytes: 64 << 10),
                let record = try? Wire.decode(BundleRecord.self, from: bytes), places.name(record.key) == name
            else { continue }
            found[record.key] = record
        }
        return found
    }
}

extension BundleRecord {
    /// What the planner is told of an instance: systemd's word, and what the agent did where systemd has forgotten.
    ///
    /// A transient unit that ended well, or was stopped, is no longer loaded; one that failed is, until it is
    /// forgotten. So a unit that is not there after it was started has ended well.
    ///
    /// - Parameters:
    ///   - unit: what systemd shows; nil where it knows no such unit.
    ///   - now: the clock of this boot in milliseconds, and systemd's monotonic clock in microseconds.
    ///   - waitingFor: what its processes wait for; asked only where it is stopping.
    func facts(
        _ unit: UnitStatus?, health: InstanceFacts.Health,
        now: (bootMilliseconds: Int64, monotonicMicroseconds: UInt64),
        waitingFor: () -> String?
    ) -> InstanceFacts? {
        guard let phase = phase(unit, now, waitingFor) else { return nil }
        return InstanceFacts(phase: phase, health: health, restarts: unit?.restarts ?? 0, holdsPorts: holdsPorts)
    }

    private func phase(
        _ unit: UnitStatus?, _ now: (bootMilliseconds: Int64, monotonicMicroseconds: UInt64),
        _ waitingFor: () -> String?
    ) -> InstanceFacts.Phase? {
        func since(_ microseconds: UInt64) -> Int64 {
            guard microseconds > 0, microseconds <= now.monotonicMicroseconds else { return now.bootMilliseconds }
            return now.bootMilliseconds - Int64((now.monotonicMicroseconds - microseconds) / 1000)
        }
        let stopping = launch.flatMap { $0.state == .stopping ? $0.sinceMilliseconds : nil }
        guard let unit else {
            switch launch?.state {
            case .started: return .ended(failure: nil)
            case .stopping: return .stopped
            case .starting, nil: return nil
            }
        }
        switch unit.activeState {
        case "failed", "inactive":
            if stopping != nil, !unit.hasJob { return .stopped }
            if unit.hasJob { return .running(sinceMilliseconds: now.bootMilliseconds) }
            return .ended(failure: Self.failure(unit))
        default: break
        }
        if let stopping { return .stopping(sinceMilliseconds: stopping, waitingFor: waitingFor()) }
        switch (unit.activeState, unit.subState) {
        case ("active", _), ("reloading", _): return .running(sinceMilliseconds: since(unit.activeSinceMicroseconds))
        // It ended by itself, and what follows its end is under way.
        case ("deactivating", _), ("activating", "auto-restart"), ("activating", "auto-restart-queued"):
            return .restarting
        default: return .running(sinceMilliseconds: since(unit.changedMicroseconds))
        }
    }

    /// Why it ended, or nil for success.
    static func failure(_ unit: UnitStatus) -> String? {
        switch unit.result {
        case "success", "": return nil
        case "exit-code": return "it ended with status \(unit.mainStatus)"
        case "signal", "core-dump": return "it was ended by signal \(unit.mainStatus)"
        case "oom-kill": return "it used more memory than its mem_limit"
        case "timeout": return "it did not start or stop in time"
        case "start-limit-hit": return "it ended more often than its restart policy allows"
        case "resources": return "the system had no resources left to start it"
        default: return "systemd says '\(Text.clean(unit.result))'"
        }
    }
}
