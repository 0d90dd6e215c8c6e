public import Contract
public import Linux
internal import Workloads

/// What streams carry: a workload's log, or a command that runs inside it. The conversation itself is the agent's.
public struct WorkloadStreams: Sendable {
    private let effects: KeeperEffects

    /// Makes it over a node's effects.
    public init(_ effects: KeeperEffects) { self.effects = effects }

    /// Whether the operator's input goes anywhere: to a command, or to a machine's console.
    public func takesInput(_ request: StreamRequest) -> Bool {
        switch request.kind {
        case .logs: false
        case .exec: true
        case .attach: WorkloadName(request.workload).flatMap { try? running($0) }?.bundle.accelerator != nil
        }
    }

    /// Starts the program whose output is the stream's. `attach` is a machine's serial console; of a container, whose
    /// standard input is empty, it shows what it writes from now on.
    public func start(_ request: StreamRequest) throws -> PipedProcess {
        guard let name = WorkloadName(request.workload) else {
            throw SandboxError("'\(Text.clean(request.workload))' is no workload's name")
        }
        switch request.kind {
        case .logs: return try logs(name, lines: request.tail, follows: request.follow)
        case .attach:
            // What does not run yet shows what it writes once it does.
            if let found = try? running(name), found.bundle.accelerator != nil { return try console(found) }
            return try logs(name, lines: 0, follows: true)
        case .exec: return try exec(name, request.command ?? [], tty: request.tty)
        }
    }

    // MARK: Logs

    private func logs(_ name: WorkloadName, lines: Int?, follows: Bool) throws -> PipedProcess {
        let units = units(of: name)
        guard !units.isEmpty else { throw SandboxError("this node has no workload '\(name)'") }
        return try PipedProcess(
            "/usr/bin/journalctl",
            Self.journal(units: units, functions: functions(name), lines: lines, follows: follows))
    }

    /// What the processes of units wrote, and nothing that systemd says of them.
    ///
    /// - Parameter functions: what functions' lines are marked with: their instances' units come and go.
    static func journal(units: [String], functions: [String] = [], lines: Int?, follows: Bool) -> [String] {
        let count = lines.map { "\(min(max($0, 0), StreamLimit.tailLines))" } ?? "all"
        return ["--no-pager", "--quiet", "--output=cat", "--lines=\(count)"] + (follows ? ["--follow"] : [])
            + units.map { "_SYSTEMD_UNIT=\($0)" }
            + functions.flatMap { name in
                [
                    "+", "SYSLOG_IDENTIFIER=\(name)", "_SYSTEMD_SLICE=\(SystemdUnit.slice)", "+",
                    "\(FunctionJournal.field)=\(name)", "_UID=0",
                ]
            }
    }

    /// What the lines of a function's revisions are marked with; none for other kinds.
    private func functions(_ name: WorkloadName) -> [String] {
        let store = AssignmentStore(places: effects.places)
        let wanted = ((try? store.load())?.desired ?? []).map {
            (RevisionKey($0.workload.name, $0.revision), $0.workload)
        }
        let all = wanted + store.documents().map { ($0.key, $0.value) }
        let keys = all.filter { $0.0.workload == name && $0.1.revision.kind == .function }.map(\.0)
        return Set(keys).sorted().map { effects.places.name($0) }
    }

    /// The units of the revisions that the node knows.
    private func units(of name: WorkloadName) -> [String] {
        let store = AssignmentStore(places: effects.places)
        let wanted = ((try? store.load())?.desired ?? []).map { RevisionKey($0.workload.name, $0.revision) }
        let keys = wanted + Array(store.documents().keys) + Array(BundleRecord.all(in: effects.places).keys)
        return Set(keys.filter { $0.workload == name }).sorted().map { SystemdUnit.name($0.workload, $0.revision) }
    }

    // MARK: Commands

    private func exec(_ name: WorkloadName, _ words: [String], tty: Bool) throws -> PipedProcess {
        let bytes = words.reduce(0) { $0 + $1.utf8.count + 1 }
        guard !words.isEmpty, words.count <= StreamLimit.commandWords, bytes <= StreamLimit.command,
            !words.contains(where: { $0.utf8.contains(0) })
        else { throw SandboxError("a command has 1 to \(StreamLimit.commandWords) words without zero bytes") }
        let (bundle, unit) = try running(name)
        guard bundle.accelerator == nil else {
            throw SandboxError(
                "'\(name)' is a virtual machine, in which the node runs nothing: use 'apus workload attach \(name)' for "
                    + "its console, or its own services")
        }
        let command = try Entering.words(
            words, bundle: effects.places.bundle(bundle.key), name: effects.places.name(bundle.key),
            runtimeRoot: effects.runtimeRoot, isTerminal: tty)
        return try PipedProcess(
            "/usr/bin/env", effects.units.inside(unit, tty ? Self.withTerminal(command) : command),
            environment: Processes.defaultEnvironment + ["TERM=xterm"])
    }

    /// The revision that runs; the one with the published ports where two do.
    private func running(_ name: WorkloadName) throws -> (bundle: BundleRecord, unit: UnitStatus) {
        let units = Dictionary(try effects.units.units().map { ($0.name, $0) }) { first, _ in first }
        let bundles = BundleRecord.all(in: effects.places).values.filter { $0.workload == name }.sorted { one, two in
            (one.holdsPorts ? 1 : 0, one.launch?.sinceMilliseconds ?? 0)
                > (two.holdsPorts ? 1 : 0, two.launch?.sinceMilliseconds ?? 0)
        }
        for bundle in bundles {
            let unit = units[SystemdUnit.name(bundle.workload, bundle.revision)]
            if let unit, unit.activeState == "active" { return (bundle, unit) }
        }
        throw SandboxError("'\(name)' does not run on this node")
    }

    /// A machine's console, within the machine's limits and as its user.
    private func console(_ found: (bundle: BundleRecord, unit: UnitStatus)) throws -> PipedProcess {
        let key = found.bundle.key
        let memory = AssignmentStore(places: effects.places).memory()
        guard let ids = memory.ranges[key.workload.rawValue] else {
            throw SandboxError("this node does not know whose '\(key.workload)' is")
        }
        let words = MachineConsoleProgram.words(
            agent: effects.agentProgram, paths: MachinePaths(bundle: effects.places.bundle(key)),
            user: ids.outer(MachinePlan.innerUser))
        return try PipedProcess("/usr/bin/env", effects.units.inside(found.unit, words))
    }

    /// A terminal between, by `script(1)`, which takes a line for a shell.
    static func withTerminal(_ words: [String]) -> [String] {
        let line = words.map { word in
            "'" + word.split(separator: "'", omittingEmptySubsequences: false).joined(separator: #"'\''"#) + "'"
        }.joined(separator: " ")
        return ["/usr/bin/script", "--quiet", "--return", "--flush", "--command", "exec " + line, "/dev/null"]
    }

    // MARK: Frames

    /// A piece of a program's output as a frame of its stream.
    public static func frame(_ piece: PipedProcess.Piece) -> StreamFrame {
        switch piece {
        case .output(let bytes): StreamFrame(.output, bytes)
        case .error(let bytes): StreamFrame(.error, bytes)
        case .nothing: StreamFrame(.idle)
        case .ended(.exited(let status)): StreamFrame(.exit, Array("\(status)".utf8))
        case .ended(.signalled(let signal)): StreamFrame(.exit, Array("\(128 + signal)".utf8))
        case .ended(.timedOut): StreamFrame(.failure, Array("it did not end in time".utf8))
        }
    }
}
