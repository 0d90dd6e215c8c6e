/// A piece of a node's log as the server keeps it: `GET /v1/nodes/{id}/logs?after=N&source=S&waitSeconds=N`.
public struct LogEntry: Sendable, Codable, Equatable {
    /// Rises with each piece at the server.
    public var sequence: Int64
    /// When it arrived, in seconds since 1970 by the server's clock.
    public var timeSeconds: Int64
    /// Where it comes from: `init`, `agent` or `journal`.
    public var source: String
    /// The lines.
    public var text: String

    /// Makes an entry from its parts.
    public init(sequence: Int64, timeSeconds: Int64, source: String, text: String) {
        self.sequence = sequence
        self.timeSeconds = timeSeconds
        self.source = source
        self.text = text
    }
}

/// The newest pieces of a node's log.
public struct LogList: Sendable, Codable, Equatable {
    /// The pieces, oldest first.
    public var entries: [LogEntry]

    /// Makes a list.
    public init(entries: [LogEntry]) { self.entries = entries }
}
