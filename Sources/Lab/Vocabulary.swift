import Contract
import Operator

// The words for what is awaited and asked of the node.
extension Rehearsal {
    /// The only node that the server knows.
    func node() throws -> NodeView {
        let nodes = try server.api().nodes()
        guard let first = nodes.first else { throw LabError("the server knows no node") }
        try expect(nodes.count == 1, "the server knows one node, not \(nodes.count)")
        return first
    }

    /// The node, or nil while there is none.
    func nodeIfKnown() throws -> NodeView? { try server.api().nodes().first }

    /// Waits until the server has the node in a state.
    @discardableResult
    func waitForState(_ state: NodeState, within seconds: Double) throws -> NodeView {
        try wait(for: "the node to be \(state.rawValue)", within: seconds) {
            guard let node = try nodeIfKnown() else { return nil }
            guard node.state != .failed || state == .failed else {
                throw LabError("the node is FAILED: \(node.reason)")
            }
            return node.state == state ? node : nil
        }
    }

    /// Waits until the node's newest status is as wanted.
    @discardableResult
    func waitForStatus(
        _ what: String, within seconds: Double, where matches: (NodeStatus) -> Bool
    ) throws -> NodeStatus {
        try wait(for: what, within: seconds) {
            guard let status = try nodeIfKnown()?.status, matches(status) else { return nil }
            return status
        }
    }

    /// Waits for the end of an upgrade to a release.
    func waitForOutcome(
        _ result: UpgradeOutcome.Result, of release: Digest256, within seconds: Double
    ) throws -> UpgradeOutcome {
        try wait(for: "the upgrade to be reported as '\(result.rawValue)'", within: seconds) {
            guard let outcome = try nodeIfKnown()?.status?.lastUpgrade, outcome.release == release else { return nil }
            guard outcome.result == result else {
                throw LabError("the upgrade ended as '\(outcome.result.rawValue)': \(outcome.reason)")
            }
            return outcome
        }
    }

    /// Waits for a line on the console past those that were awaited before.
    @discardableResult
    func waitForConsole(_ text: String, within seconds: Double) throws -> String {
        try wait(for: "the console line '\(text)'", within: seconds) { machine.console.next(containing: text) }
    }

    /// Waits for an event at the server, after the event `after`, whose message contains `text`.
    @discardableResult
    func waitForEvent(_ kind: String, containing text: String, after: Int64 = 0, within seconds: Double) throws -> Event
    {
        try wait(for: "an event '\(kind)' with '\(text)'", within: seconds) {
            events.first { $0.sequence > after && $0.kind == kind && $0.message.contains(text) }
        }
    }

    /// Waits until the machine has been reset more often than `count`.
    func waitForReset(moreThan count: Int, within seconds: Double) throws {
        _ = try wait(for: "the machine to be reset", within: seconds) { machine.resets > count ? true : nil }
    }

    /// The number of the newest event.
    var newestEvent: Int64 { events.last?.sequence ?? 0 }

    /// Publishes a release and tells the node to run it; returns its name.
    @discardableResult
    func upgrade(to release: LabRelease, probation: ProbationRule = .lab) throws -> Digest256 {
        let built = try publish(release)
        try server.api().upgrade(node().id, to: built.name, probation: probation)
        return built.name
    }

    /// Builds a release, where it is not built yet, and publishes it.
    func publish(_ release: LabRelease) throws -> BuiltRelease {
        let built = try site.build(release, say: timeline.say)
        try server.api().publish(directory: built.directory, name: built.name)
        return built
    }

    /// Has the agent switch the machine off, and waits until it is off.
    func switchOffNode(within seconds: Double = 180) throws {
        try server.api().command(try node().id, .powerOff)
        machine.allowPowerOff()
        _ = try wait(for: "the machine to switch itself off", within: seconds) { machine.isRunning ? nil : true }
    }

    /// The firmware's variables as they stand in the machine's file.
    func nvram() throws -> NVRAM { try NVRAM(path: machine.spec.nvramPath) }

    /// Edits the firmware's variables while the machine is off.
    func editNVRAM(_ change: (inout NVRAM) throws -> Void) throws {
        try expect(!machine.isRunning, "the machine is off while its firmware's memory is edited")
        var variables = try nvram()
        try change(&variables)
        try variables.write(to: machine.spec.nvramPath)
    }
}

extension ProbationRule {
    /// Short enough for rehearsals, long enough for emulated machines.
    static let lab = ProbationRule(holdSeconds: 10, deadlineSeconds: Int(180 * Deadline.patience), attempts: 2)
    /// One attempt and a near deadline: for releases that never become healthy, however long they are given.
    static let labOnce = ProbationRule(holdSeconds: 10, deadlineSeconds: 60, attempts: 1)
}
