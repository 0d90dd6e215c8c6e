public import Contract
internal import Linux

/// What a node remembers of the server's audit log: how it ended at several times, the first one included. Whoever cuts
/// the log, or makes it anew, cannot make the nodes forget.
public struct AuditMemory: Sendable {
    /// What is remembered, the shortest log first; at most `limit`.
    public private(set) var heads: [AuditHead] = []
    private let path: String?

    /// How many ends are remembered.
    public static let limit = WireLimit.auditHeads

    private struct Kept: Codable {
        var heads: [AuditHead]
    }

    /// A memory in a file, which may be missing; with nil it is lost with the process.
    public init(path: String?) {
        self.path = path
        guard let path, let bytes = try? Files.read(path, limitBytes: 64 << 10) else { return }
        let kept = (try? Wire.decode(Kept.self, from: bytes))?.heads ?? []
        heads = kept.sorted { $0.count < $1.count }.suffix(Self.limit)
    }

    /// Takes what the server says. A longer log is remembered beside what is; nothing is ever replaced.
    ///
    /// - Returns: what is wrong with the log, as a sentence; nil where it may well be the same one.
    public mutating func take(_ said: AuditHead) -> String? {
        guard let newest = heads.last else {
            keep(said)
            return nil
        }
        if said.count < newest.count {
            return
                "the server's audit log has \(said.count) entries, and had \(newest.count): its end was cut, or an older "
                + "backup was restored; 'apus audit verify' says more"
        }
        if said.count == newest.count {
            return said.hash == newest.hash
                ? nil
                : "entry \(said.count) of the server's audit log is another than before; 'apus audit verify' says more"
        }
        keep(said)
        return nil
    }

    private mutating func keep(_ head: AuditHead) {
        guard head.count > 0 else { return }
        heads.append(head)
        if heads.count > Self.limit { heads.remove(at: Self.leastMissed(heads)) }
        // Lost with the power it is told again; an older memory is one nevertheless.
        if let path, let bytes = try? Wire.encode(Kept(heads: heads)) { try? Files.writeDurably(bytes, to: path) }
    }

    /// The one whose absence leaves the smallest gap; never the first or the last. What is left is spread over the whole
    /// log, so that whatever entry a log was made anew from, something after it is remembered.
    private static func leastMissed(_ heads: [AuditHead]) -> Int {
        func gap(_ index: Int) -> Int64 { heads[index + 1].count - heads[index - 1].count }
        return (1..<heads.count - 1).min { gap($0) < gap($1) } ?? 1
    }
}
