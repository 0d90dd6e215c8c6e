internal import Linux
public import Workloads

/// systemd, by its own programs: `systemctl(1)` and `systemd-run(1)`. No connection to its bus is kept open.
public struct SystemdUnits: UnitManager {
    /// How long each call may take, in seconds.
    static let timeoutSeconds = 30
    /// What is read of `systemctl show`.
    static let outputBytes = 1 << 20

    /// Makes it.
    public init() {}

    /// The words after `systemctl` that show all units of workloads.
    static let showArguments = [
        "show", "--no-pager", "--property=" + UnitListing.properties.joined(separator: ","), "apus-workload-*.service",
    ]

    /// `systemctl show` of all units of workloads.
    public func units() throws -> [UnitStatus] {
        let outcome = try Processes.run(
            "/usr/bin/systemctl", Self.showArguments, outputLimitBytes: Self.outputBytes,
            timeoutSeconds: Self.timeoutSeconds)
        guard outcome.succeeded else { throw SandboxError("systemctl show \(outcome.summary)") }
        guard outcome.output.count < Self.outputBytes else {
            throw SandboxError("systemctl shows more units than a node can have")
        }
        return UnitListing.parse(String(decoding: outcome.output, as: UTF8.self))
    }

    /// `systemctl set-property --runtime` of their slice.
    public func limitSlice(_ properties: [UnitProperty]) throws {
        try systemctl(["set-property", "--runtime", SystemdUnit.slice] + properties.map(\.description))
    }

    /// `systemd-run`, after `systemctl reset-failed`.
    public func start(_ unit: SystemdUnit) throws {
        // What failed earlier keeps its name until it is forgotten.
        _ = try? systemctl(["reset-failed", unit.name])
        let words = unit.systemdRun
        let outcome = try Processes.run(
            "/usr/bin/systemd-run", Array(words.dropFirst()), timeoutSeconds: Self.timeoutSeconds)
        guard outcome.succeeded else { throw SandboxError("systemd-run of '\(unit.name)' \(outcome.summary)") }
    }

    /// `systemctl stop --no-block`.
    public func stop(_ name: String, graceMilliseconds: Int64) throws {
        // The unit has its time to stop from its start; nothing to set here unless it is shorter now.
        try systemctl(["stop", "--no-block", name])
    }

    /// `systemctl kill` of the whole control group.
    public func kill(_ name: String) throws {
        try systemctl(["kill", "--kill-whom=all", "--signal=SIGKILL", name])
    }

    /// The unit's `cgroup.freeze`: a call that thaws an instance waits for no other program.
    public func setFrozen(_ name: String, _ isFrozen: Bool) throws {
        let path = "/sys/fs/cgroup/\(SystemdUnit.controlGroup(name))/cgroup.freeze"
        try Files.overwrite(path, with: isFrozen ? "1" : "0")
    }

    /// `systemctl reset-failed`; a unit that is not there is fine.
    public func forget(_ name: String) throws { _ = try? systemctl(["reset-failed", name]) }

    /// The words after a move into the unit's control group.
    public func inside(_ unit: UnitStatus, _ words: [String]) -> [String] {
        guard unit.controlGroup.hasPrefix("/"), unit.controlGroup != "/" else { return words }
        // A shell moves itself before it becomes the command, so that nothing of it ever counts to the agent.
        let script = #"echo $$ >"$0" && exec "$@""#
        return ["/bin/sh", "-c", script, "/sys/fs/cgroup\(unit.controlGroup)/cgroup.procs"] + words
    }

    private func systemctl(_ words: [String]) throws {
        let outcome = try Processes.run("/usr/bin/systemctl", words, timeoutSeconds: Self.timeoutSeconds)
        guard outcome.succeeded else {
            throw SandboxError("systemctl \(words.first ?? "") \(outcome.summary)")
        }
    }
}

/// The output of `systemctl show` with several units: lines `Name=Value`, an empty line between units.
enum UnitListing {
    static let properties = [
        "Id", "LoadState", "ActiveState", "SubState", "Result", "ExecMainStatus", "NRestarts", "MainPID",
        "ActiveEnterTimestampMonotonic", "StateChangeTimestampMonotonic", "ControlGroup", "Job",
    ]

    /// Units of workloads that are loaded; what is not understood is left out.
    static func parse(_ text: String) -> [UnitStatus] {
        var units: [UnitStatus] = []
        var fields: [String: String] = [:]
        let lines: [Substring] = text.split(separator: "\n", omittingEmptySubsequences: false) + [""]
        for line in lines {
            if line.isEmpty {
                if let unit = unit(fields) { units.append(unit) }
                fields = [:]
            } else if let equals = line.firstIndex(of: "=") {
                fields[String(line[..<equals])] = String(line[line.index(after: equals)...])
            }
        }
        return units
    }

    private static func unit(_ fields: [String: String]) -> UnitStatus? {
        guard let name = fields["Id"], name.hasPrefix("apus-workload-"), name.hasSuffix(".service"),
            fields["LoadState"] == "loaded", let state = fields["ActiveState"]
        else { return nil }
        let group = fields["ControlGroup"] ?? ""
        return UnitStatus(
            name: name, activeState: state, subState: fields["SubState"] ?? "", result: fields["Result"] ?? "",
            mainStatus: fields["ExecMainStatus"].flatMap { Int32($0) } ?? 0,
            restarts: fields["NRestarts"].flatMap { Int($0) } ?? 0,
            activeSinceMicroseconds: fields["ActiveEnterTimestampMonotonic"].flatMap { UInt64($0) } ?? 0,
            changedMicroseconds: fields["StateChangeTimestampMonotonic"].flatMap { UInt64($0) } ?? 0,
            mainProcess: fields["MainPID"].flatMap { Int32($0) } ?? 0,
            controlGroup: group.split(separator: "/").contains("..") ? "" : group,
            hasJob: !["", "0"].contains(fields["Job"] ?? ""))
    }
}
