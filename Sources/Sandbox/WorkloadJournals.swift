internal import Linux
internal import Workloads

/// The journals of workloads: systemd starts one with the first unit that names it, and ends it with the last.
struct WorkloadJournals: Sendable {
    /// Where systemd reads settings that last until the machine restarts.
    var settings = "/run/systemd"
    /// Where journals are.
    var logs = "/var/log/journal"
    /// Has a journal that runs read its settings anew; what its units write meanwhile waits.
    var restart: @Sendable (_ unit: String) throws -> Void = { unit in
        let outcome = try Processes.run(
            "/usr/bin/systemctl", ["try-restart", unit], timeoutSeconds: SystemdUnits.timeoutSeconds)
        guard outcome.succeeded else { throw SandboxError("systemctl try-restart of '\(unit)' \(outcome.summary)") }
    }

    /// Bounds a workload's journal, before a unit of it starts.
    func keep(_ workload: WorkloadName, bytes: UInt64) throws {
        let directory = settings + "/" + WorkloadJournal.settingsDirectory(workload)
        let path = directory + "/apus.conf"
        let wanted = Array(WorkloadJournal.settings(bytes: bytes).utf8)
        let old = try? Files.read(path, limitBytes: 4096)
        guard old != wanted else { return }
        try Files.makeDirectory(directory, mode: 0o755)
        try Files.writeDurably(wanted, to: path, mode: 0o644)
        // Without settings nothing was started that wrote into it.
        guard let old else { return }
        do {
            try restart("systemd-journald@\(WorkloadJournal.namespace(workload)).service")
        } catch {
            // It goes on with its old bound: the next attempt finds that there is something to do.
            try Files.writeDurably(old, to: path, mode: 0o644)
            throw error
        }
    }

    /// Removes the journals of all other workloads, and their settings.
    func forget(except kept: Set<WorkloadName>) throws {
        func remove(_ directory: String, _ owner: (String) -> WorkloadName?) throws {
            guard let names = try? Files.list(directory) else { return }
            for name in names {
                guard let workload = owner(name), !kept.contains(workload) else { continue }
                try Files.removeTree(directory + "/" + name)
            }
        }
        try remove(logs, WorkloadJournal.workload(directory:))
        try remove(settings) { name in
            guard name.hasPrefix("journald@"), name.hasSuffix(".conf.d") else { return nil }
            return WorkloadJournal.workload(directory: "." + name.dropFirst(9).dropLast(7))
        }
    }
}
