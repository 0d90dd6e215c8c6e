public import Contract

/// The events and the newest report of each step.
public protocol EventTable {
    /// Appends an event; its `sequence` is ignored and assigned. Returns the sequence.
    @discardableResult func append(_ event: Event) throws -> Int64

    /// Events after a sequence, oldest first, at most `limit`; of one node where `node` says so.
    func events(after sequence: Int64, node: NodeID?, limit: Int) throws -> [Event]

    /// The sequence of the newest event, 0 where there is none.
    func newestEventSequence() throws -> Int64

    /// Removes progress reports of a step that a newer report has overtaken.
    func removeProgress(node: NodeID, sequence: String, step: String) throws

    /// Keeps the newest `count` events.
    func pruneEvents(keeping count: Int64) throws

    /// Remembers the newest report of a step.
    func save(_ step: StepReport, node: NodeID, timeSeconds: Int64) throws

    /// The newest report of each of a node's newest 128 steps, in the order of their first report.
    func steps(node: NodeID) throws -> [StepReport]
}

/// Commands that nodes have not yet acknowledged.
public protocol CommandTable {
    /// Open commands of a node, oldest first.
    func commands(node: NodeID) throws -> [NodeCommand]

    /// Adds a command.
    func insert(_ command: NodeCommand, node: NodeID, timeSeconds: Int64) throws

    /// Removes a command; true where it was there.
    @discardableResult func removeCommand(_ id: String, node: NodeID) throws -> Bool

    /// Removes all open commands of a node, or those of one kind.
    func removeCommands(node: NodeID, kind: NodeCommand.Kind?) throws
}

/// Pieces of the nodes' logs, bounded for each node.
public protocol LogTable {
    /// Appends a piece and drops the node's oldest beyond `keepBytes`. Returns its sequence.
    @discardableResult func append(
        _ chunk: LogChunk, node: NodeID, timeSeconds: Int64, keepBytes: Int
    ) throws -> Int64

    /// The newest pieces of a node after a sequence, oldest first, at most `limitBytes` of text in all.
    func logs(node: NodeID, after sequence: Int64, source: String?, limitBytes: Int) throws -> [LogEntry]
}
