/// One line of the audit log: a change, or an attempt that was refused.
public struct AuditEntry: Sendable, Codable, Equatable {
    /// Its place in the log, from 1.
    public var sequence: Int64
    /// The server's clock, in seconds since 1970.
    public var timeSeconds: Int64
    /// Who: a user, `site administrator`, `node ID`, or `nobody` who could be told from others.
    public var who: String
    /// The id of the API token that they showed; nil where there was none.
    public var token: String?
    /// The address that they came from.
    public var from: String
    /// The method and the path of the request, without its query.
    public var action: String
    /// What became of it.
    public var outcome: Outcome
    /// What changed, or the code of the refusal.
    public var detail: String

    /// What becomes of a request.
    public enum Outcome: String, Sendable, Codable {
        /// The change was made; this line was written with it, or not at all.
        case done
        /// It was refused.
        case refused
        /// It could not be done.
        case failed
    }

    /// Makes an entry from its parts.
    public init(
        sequence: Int64, timeSeconds: Int64, who: String, token: String?, from: String, action: String,
        outcome: Outcome, detail: String
    ) {
        self.sequence = sequence
        self.timeSeconds = timeSeconds
        self.who = who
        self.token = token
        self.from = from
        self.action = action
        self.outcome = outcome
        self.detail = detail
    }
}

/// An entry as it is kept: its bytes, and the hash that chains it to the one before.
public struct AuditRecord: Sendable, Codable, Equatable {
    /// The JSON of an `AuditEntry`, byte for byte as it was hashed.
    public var entry: String
    /// SHA-256 over the hash before it (32 bytes, zeros for the first entry) and the entry's bytes.
    public var hash: Digest256

    /// Makes a record.
    public init(entry: String, hash: Digest256) {
        self.entry = entry
        self.hash = hash
    }
}

/// `GET /v1/audit`: some of the log, oldest first.
public struct AuditPage: Sendable, Codable, Equatable {
    /// The records, as many as fit; the rest after the last one's sequence.
    public var records: [AuditRecord]
    /// How the log ends now.
    public var head: AuditHead

    /// Makes a page.
    public init(records: [AuditRecord], head: AuditHead) {
        self.records = records
        self.head = head
    }
}

/// How long the audit log is and how it ends. Who remembers it notices a tail that was cut, and a log made anew.
public struct AuditHead: Sendable, Codable, Hashable {
    /// How many entries there are.
    public var count: Int64
    /// The last one's hash; zeros where there is none.
    public var hash: Digest256

    /// Makes a head.
    public init(count: Int64, hash: Digest256) {
        self.count = count
        self.hash = hash
    }
}

/// `GET /v1/audit/witnesses`: what nodes remember of the log.
public struct AuditWitnessList: Sendable, Codable, Equatable {
    /// A node, and how it was once told that the log ends; a node may have several.
    public struct Witness: Sendable, Codable, Equatable {
        /// The node.
        public var node: NodeID
        /// What it remembers.
        public var head: AuditHead

        /// Makes a witness.
        public init(node: NodeID, head: AuditHead) {
            self.node = node
            self.head = head
        }
    }

    /// What is remembered, node by node.
    public var witnesses: [Witness]

    /// Makes a list.
    public init(witnesses: [Witness]) { self.witnesses = witnesses }
}
