/// DNS messages byte by byte, right ones and wrong ones (RFC 1035, section 4).
public struct CraftedDNS {
    /// What was written so far.
    public var bytes: [UInt8] = []

    /// A message's front, and its question where there is one.
    public init(id: UInt16, flags: UInt16, question: (name: String, type: UInt16)?, answers: UInt16 = 0) {
        words(id, flags, question == nil ? 0 : 1, answers, 0, 0)
        guard let question else { return }
        bytes += Self.name(question.name)
        words(question.type, 1)
    }

    /// A question as a C library sends it.
    public static func question(_ name: String, _ type: UInt16 = 1, id: UInt16 = 7) -> [UInt8] {
        CraftedDNS(id: id, flags: 0x0100, question: (name, type)).bytes
    }

    /// A server's answer with records.
    public static func answer(
        id: UInt16, flags: UInt16 = 0x8180, _ name: String, _ type: UInt16 = 1, _ records: [Record] = []
    ) -> [UInt8] {
        var message = CraftedDNS(id: id, flags: flags, question: (name, type), answers: UInt16(records.count))
        for record in records {
            message.bytes += name == record.name ? [0xC0, 12] : Self.name(record.name)
            message.words(record.type, 1, UInt16(record.seconds >> 16), UInt16(record.seconds & 0xFFFF))
            message.words(UInt16(record.data.count))
            message.bytes += record.data
        }
        return message.bytes
    }

    /// A record of an answer.
    public struct Record: Sendable {
        var name: String
        var type: UInt16
        var seconds: UInt32
        var data: [UInt8]

        /// An address: 4 bytes make an A record, 16 an AAAA record.
        public static func address(_ name: String, _ bytes: [UInt8], seconds: UInt32 = 300) -> Record {
            Record(name: name, type: bytes.count == 4 ? 1 : 28, seconds: seconds, data: bytes)
        }

        /// Another name for the same thing.
        public static func alias(_ name: String, _ target: String, seconds: UInt32 = 300) -> Record {
            Record(name: name, type: 5, seconds: seconds, data: CraftedDNS.name(target))
        }
    }

    /// Adds words in network order.
    public mutating func words(_ words: UInt16...) {
        for word in words { bytes += [UInt8(word >> 8), UInt8(word & 0xFF)] }
    }

    /// The record by which a sender says what it knows of RFC 6891; counted as the message's only additional one.
    public mutating func addExtensions(datagramBytes: UInt16, version: UInt8 = 0) {
        bytes[11] += 1
        bytes.append(0)
        words(41, datagramBytes, UInt16(version), 0, 0)
    }

    /// A name, written out.
    public static func name(_ text: String) -> [UInt8] {
        text.split(separator: ".").flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) } + [0]
    }
}
