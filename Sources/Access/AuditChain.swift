public import Contract
import Cryptography

/// The chain of the audit log: each record's hash covers its entry and the hash before it, so that an entry that was
/// altered, removed or put in shows from there on.
public enum AuditChain {
    /// The head of an empty log.
    public static let empty = AuditHead(count: 0, hash: .zero)

    /// The record of an entry that follows `head`; the entry's sequence is the head's count and one.
    public static func record(_ entry: AuditEntry, after head: AuditHead) throws -> AuditRecord {
        var entry = entry
        entry.sequence = head.count + 1
        let bytes = try Wire.encode(entry)
        return AuditRecord(entry: String(decoding: bytes, as: UTF8.self), hash: hash(bytes, after: head.hash))
    }

    /// What is wrong with a log.
    public struct Fault: Error, Sendable, Equatable, CustomStringConvertible {
        /// The first entry that cannot be believed.
        public var sequence: Int64
        /// What is wrong, as a sentence.
        public var description: String
    }

    /// Follows a log from its start, record by record.
    public struct Verifier: Sendable {
        /// How the records so far end.
        public private(set) var head: AuditHead
        /// Heads that somebody remembers, and who; each must lie on the way.
        private let remembered: [Int64: [(hash: Digest256, by: String)]]

        /// Takes what clients and nodes remember.
        public init(remembered: [(head: AuditHead, by: String)] = []) {
            head = AuditChain.empty
            var byCount: [Int64: [(hash: Digest256, by: String)]] = [:]
            for memory in remembered where memory.head.count > 0 {
                byCount[memory.head.count, default: []].append((memory.head.hash, memory.by))
            }
            self.remembered = byCount
        }

        /// Takes the next record.
        ///
        /// - Returns: its entry.
        /// - Throws: `Fault` where the record was altered, others are missing before it, or somebody remembers another.
        @discardableResult
        public mutating func take(_ record: AuditRecord) throws(Fault) -> AuditEntry {
            let next = head.count + 1
            let bytes = Array(record.entry.utf8)
            guard AuditChain.hash(bytes, after: head.hash) == record.hash else {
                throw Fault(
                    sequence: next,
                    description: "entry \(next) was altered, or entries before it were removed or put in")
            }
            guard let entry = try? Wire.decode(AuditEntry.self, from: bytes), entry.sequence == next else {
                throw Fault(sequence: next, description: "entry \(next) is none, or is numbered otherwise")
            }
            head = AuditHead(count: next, hash: record.hash)
            for memory in remembered[next] ?? [] where memory.hash != record.hash {
                throw Fault(
                    sequence: next,
                    description:
                        "\(memory.by) remembers another entry \(next): the log was made anew from there or before")
            }
            return entry
        }

        /// Ends: nobody may remember a longer log.
        public func finish() throws(Fault) {
            guard let longest = remembered.keys.max(), longest > head.count else { return }
            let by = remembered[longest]?.first?.by ?? "somebody"
            throw Fault(
                sequence: head.count + 1,
                description:
                    "the log ends after \(head.count) entries, and \(by) remembers \(longest): its tail was cut")
        }
    }

    private static func hash(_ entry: [UInt8], after hash: Digest256) -> Digest256 {
        guard let digest = Digest256(bytes: SHA256.digest(hash.bytes + entry)) else {
            preconditionFailure("a SHA-256 digest has 32 bytes")
        }
        return digest
    }
}
