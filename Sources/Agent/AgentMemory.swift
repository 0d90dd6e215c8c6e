public import Contract

/// What the agent remembers across restarts beside the boot record, in `agent.json`.
///
/// Losing it costs a repeated report, never the node: the boot record alone decides what is started.
public struct AgentMemory: Sendable, Codable, Equatable {
    /// The version of this format.
    public var format = wireFormat
    /// The newest desired state, acted on while the server is away.
    public var desired: DesiredState?
    /// Commands that were carried out, newest last; each is acknowledged until the server no longer asks for it.
    public var finishedCommands: [String] = []
    /// How the newest upgrade ended.
    public var lastUpgrade: UpgradeOutcome?
    /// The release whose trial was last reported, so that its failure is reported once.
    public var trialRelease: Digest256?
    /// That release's version.
    public var trialVersion: String?
    /// How often the desired release could not be installed for want of a network or a server, in a row.
    public var failedInstalls = 0

    /// At most so many finished commands are remembered.
    static let commandLimit = 64

    /// Makes an empty memory.
    public init() {}

    /// Notes that a command was carried out, or is about to be where it ends this system.
    public mutating func finish(_ command: NodeCommand) {
        guard !finishedCommands.contains(command.id) else { return }
        finishedCommands.append(command.id)
        if finishedCommands.count > Self.commandLimit { finishedCommands.removeFirst() }
    }

    /// Commands of the desired state that were not yet carried out, oldest first.
    public var openCommands: [NodeCommand] {
        (desired?.commands ?? []).filter { !finishedCommands.contains($0.id) }
    }

    /// Takes over a newer desired state, and forgets commands that the server no longer asks for.
    public mutating func accept(_ state: DesiredState) {
        let asked = Set(state.commands.map(\.id))
        finishedCommands.removeAll { !asked.contains($0) }
        if state.release != desired?.release { failedInstalls = 0 }
        desired = state
    }
}
