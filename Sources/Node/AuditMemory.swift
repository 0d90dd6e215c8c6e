public import Contract
internal import Linux

/// What a node remembers of the server's audit log: the longest end that it was ever told. Whoever cuts the log, or makes
/// it anew, cannot make the nodes forget.
public struct AuditMemory: Sendable {
    /// What is remembered.
    public private(set) var head: AuditHead?
    private let path: String?

    /// A memory in a file, which may be missing; with nil it is lost with the process.
    public init(path: String?) {
        self.path = path
        guard let path, let bytes = try? Files.read(path, limitBytes: 4096) else { return }
        head = try? Wire.decode(AuditHead.self, from: bytes)
    }

    /// Takes what the server says; a longer log is remembered, and nothing else replaces a memory.
    ///
    /// - Returns: what is wrong with the log, as a sentence; nil where it may well be the same one.
    public mutating func take(_ said: AuditHead) -> String? {
        if let known = head {
            if said.count < known.count {
                return
                    "the server's audit log has \(said.count) entries, and had \(known.count): its end was cut, or an "
                    + "older backup was restored; 'apus audit verify' says more"
            }
            if said.count == known.count {
                return said.hash == known.hash
                    ? nil
                    : "entry \(said.count) of the server's audit log is another than before; 'apus audit verify' says more"
            }
        }
        head = said
        // Lost with the power it is told again; a memory that is not the newest is one nevertheless.
        if let path, let bytes = try? Wire.encode(said) { try? Files.writeDurably(bytes, to: path) }
        return nil
    }
}
