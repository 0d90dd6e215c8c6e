internal import Contract
internal import Linux
internal import Workloads

/// What the keeper remembers across restarts, in `workload-records.json`: written before what it is about is done.
struct KeeperMemory: Sendable, Codable, Equatable {
    var format = wireFormat
    /// The boot that times in the records belong to.
    var bootID = ""
    var records: [String: WorkloadRecord] = [:]
    /// Each workload's ids: its volumes belong to them, so they outlive it where volumes do.
    var ranges: [String: IDRange] = [:]
    /// The project of each directory with a quota, by its path below the volumes' or roots' directory.
    var projects: [String: UInt32] = [:]
    /// The number of each machine's wire: its disk remembers the addresses that it was first given.
    var machineWires: [String: Int]?
    /// The workloads that ran when something last changed: after a restart they are to run again.
    var running: Set<WorkloadName> = []

    /// Project numbers are the node's own; those of other programs are small.
    static let firstProject: UInt32 = 0x7000_0000

    /// The records as the planner takes them.
    var plannerRecords: [WorkloadName: WorkloadRecord] {
        get {
            Dictionary(records.compactMap { name, record in WorkloadName(name).map { ($0, record) } }) { first, _ in
                first
            }
        }
        set { records = Dictionary(newValue.map { ($0.key.rawValue, $0.value) }) { first, _ in first } }
    }

    /// Takes what was read after a start of the agent: in another boot, times begin anew.
    mutating func began(bootID: String) {
        guard self.bootID != bootID else { return }
        self.bootID = bootID
        for name in records.keys { records[name]?.machineRestarted() }
    }

    /// The project of a directory, a new one where it has none.
    mutating func project(for directory: String) -> UInt32? {
        if let known = projects[directory] { return known }
        let taken = Set(projects.values)
        for number in 0..<UInt32(1 << 20) where !taken.contains(Self.firstProject + number) {
            projects[directory] = Self.firstProject + number
            return Self.firstProject + number
        }
        return nil
    }

    /// Gives ranges to the workloads that are wanted; those of others are kept while they have volumes.
    mutating func assignRanges(_ wanted: [WorkloadName], withVolumes: Set<WorkloadName>) -> Bool {
        let existing = Dictionary(ranges.compactMap { name, range in WorkloadName(name).map { ($0, range) } }) {
            first, _ in first
        }
        guard let assigned = IDRangePlanner.assign(wanted, existing: existing, kept: withVolumes) else { return false }
        ranges = Dictionary(assigned.map { ($0.key.rawValue, $0.value) }) { first, _ in first }
        return true
    }
}

/// Secrets and passwords of an assignment, kept apart from the rest.
struct AssignmentSecrets: Sendable, Codable, Equatable, CustomStringConvertible, CustomReflectable {
    var format = wireFormat
    /// By workload, then by the secret's name.
    var secrets: [String: [String: SecretValue]] = [:]
    /// By registry.
    var passwords: [String: SecretValue] = [:]

    var description: String { "secrets" }
    var customMirror: Mirror { Mirror(self, children: []) }
}
