/// Why bytes are no DNS message.
public struct DNSError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What was wrong with it, as a part of a sentence.
    public let description: String

    init(_ description: String) { self.description = description }
}

/// Reads a DNS message piece by piece. Nothing is read beyond its end, and no name takes more than 255 bytes.
struct DNSReader {
    private let bytes: [UInt8]
    private(set) var position: Int

    /// Pointers of one name: it has at most 127 labels, and each pointer stands behind one.
    private static let hopLimit = 127

    init(_ bytes: [UInt8], from position: Int = 0) {
        self.bytes = bytes
        self.position = position
    }

    /// The same message, read from another place on.
    init(_ other: DNSReader, at position: Int) {
        bytes = other.bytes
        self.position = position
    }

    mutating func byte() throws(DNSError) -> UInt8 {
        guard position < bytes.count else { throw DNSError("it ends early") }
        defer { position += 1 }
        return bytes[position]
    }

    mutating func word() throws(DNSError) -> UInt16 { UInt16(try byte()) << 8 | UInt16(try byte()) }

    mutating func doubleWord() throws(DNSError) -> UInt32 { UInt32(try word()) << 16 | UInt32(try word()) }

    mutating func data(_ count: Int) throws(DNSError) -> ArraySlice<UInt8> {
        guard count <= bytes.count - position else { throw DNSError("it ends early") }
        defer { position += count }
        return bytes[position..<position + count]
    }

    /// A name, compressed or not (RFC 1035, section 4.1.4).
    ///
    /// Every pointer must lead to before the place where the labels that it ends began. So each leads further back
    /// than the last, and no message makes this go round or on for long.
    mutating func name(allowsPointers: Bool = true) throws(DNSError) -> DomainName {
        var labels: [[UInt8]] = []
        var count = 1
        var begin = position
        var place = position
        var end: Int?
        var hops = 0
        while true {
            guard place < bytes.count else { throw DNSError("a name ends early") }
            let length = Int(bytes[place])
            switch length {
            case 0:
                position = end ?? place + 1
                guard let name = DomainName(labels: labels) else { throw DNSError("a name is too long") }
                return name
            case 1...63:
                guard place + 1 + length <= bytes.count else { throw DNSError("a name ends early") }
                count += length + 1
                guard count <= DomainName.byteLimit else { throw DNSError("a name is too long") }
                labels.append(Array(bytes[place + 1..<place + 1 + length]))
                place += length + 1
            case 0xC0...0xFF:
                guard allowsPointers, place + 1 < bytes.count else { throw DNSError("a name ends early") }
                let target = (length & 0x3F) << 8 | Int(bytes[place + 1])
                hops += 1
                guard target < begin, hops <= Self.hopLimit else { throw DNSError("a name leads to itself") }
                end = end ?? place + 2
                (begin, place) = (target, target)
            default: throw DNSError("a label is of an unknown kind")
            }
        }
    }
}
