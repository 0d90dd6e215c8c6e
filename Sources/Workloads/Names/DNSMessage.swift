/// Numbers of DNS that this resolver knows (RFC 1035, RFC 3596, RFC 6891, RFC 8914).
public enum DNS {
    /// The port of resolvers.
    public static let port: UInt16 = 53
    /// The type of an IPv4 address.
    public static let typeA: UInt16 = 1
    /// The type of another name for the same thing.
    static let typeCNAME: UInt16 = 5
    /// The type of an IPv6 address.
    public static let typeAAAA: UInt16 = 28
    /// The type of the record that carries extensions.
    static let typeOPT: UInt16 = 41
    /// The class of the Internet.
    public static let classIN: UInt16 = 1

    /// The size of a datagram that passes without fragments nearly everywhere, in bytes: what is offered.
    public static let datagramBytes = 1232
    /// What a datagram may have without extensions, in bytes (RFC 1035, section 2.3.4).
    static let plainDatagramBytes = 512

    /// How an answer went.
    public enum Code: UInt16, Sendable {
        /// As asked.
        case noError = 0
        /// The question could not be read.
        case formatError = 1
        /// No server could answer.
        case serverFailure = 2
        /// There is no such name.
        case nameError = 3
        /// This kind of question is not known.
        case notImplemented = 4
        /// An unknown version of the extensions.
        case badVersion = 16
    }

    /// Why, for people (RFC 8914, section 4).
    public enum Reason: UInt16, Sendable {
        /// The address may not be given to anybody.
        case blocked = 15
        /// The workload's document does not list it.
        case prohibited = 18
        /// No server of the node's answered.
        case noReachableAuthority = 22
    }
}

/// The front of a message: its flags, and its only question.
public struct DNSHead: Sendable, Hashable {
    /// The asker's number.
    public var id: UInt16
    /// The second word of the message.
    var flags: UInt16
    /// The name that is asked for; nil where the message has no question.
    public var name: DomainName?
    /// The type of the records that are asked for.
    public var type: UInt16 = 0
    /// The class.
    public var recordClass: UInt16 = 0
    /// How many records follow: answers, about servers, additional.
    var counts: [UInt16]
    /// Where the question stands in the message.
    var question: Range<Int>

    /// Whether it is an answer.
    public var isAnswer: Bool { flags & 0x8000 != 0 }
    /// What kind of message; 0 is a question.
    var operation: UInt16 { flags >> 11 & 0xF }
    /// Whether what did not fit was left out.
    public var isTruncated: Bool { flags & 0x0200 != 0 }
    /// The lower bits of how it went.
    var code: UInt16 { flags & 0xF }

    /// Reads the first 12 bytes and the question, whose name is written out: nothing stands before it to lead back to.
    init(parsing bytes: [UInt8]) throws(DNSError) {
        var reader = DNSReader(bytes)
        id = try reader.word()
        flags = try reader.word()
        let questions = try reader.word()
        counts = [try reader.word(), try reader.word(), try reader.word()]
        question = reader.position..<reader.position
        guard questions <= 1 else { throw DNSError("it has more than one question") }
        guard questions == 1 else { return }
        let begin = reader.position
        name = try reader.name(allowsPointers: false)
        type = try reader.word()
        recordClass = try reader.word()
        question = begin..<reader.position
    }
}

/// One record of an answer.
struct DNSRecord: Sendable, Hashable {
    enum Content: Sendable, Hashable {
        case address(NetworkAddress)
        case alias(DomainName)
        case other
    }

    var name: DomainName
    var content: Content
    /// How long it holds, in seconds; what is negative as a signed number is 0 (RFC 2181, section 8).
    var timeToLiveSeconds: UInt32
}

/// A whole message.
struct DNSMessage: Sendable {
    var head: DNSHead
    var answers: [DNSRecord] = []
    /// What its sender knows of extensions; nil where it knows of none.
    var extensions: Extensions?

    /// The sender's part of RFC 6891.
    struct Extensions: Sendable, Hashable {
        var datagramBytes: Int
        var version: UInt8
        var upperCode: UInt8
        var wantsSignatures: Bool
    }

    /// Records of a message that are looked at; one with more is refused.
    static let recordLimit = 1024

    init(parsing bytes: [UInt8]) throws(DNSError) {
        head = try DNSHead(parsing: bytes)
        guard head.counts.reduce(0, { $0 + Int($1) }) <= Self.recordLimit else {
            throw DNSError("it has more than \(Self.recordLimit) records")
        }
        var reader = DNSReader(bytes, from: head.question.upperBound)
        for _ in 0..<head.counts[0] {
            if let record = try Self.record(&reader)?.record { answers.append(record) }
        }
        for _ in 0..<head.counts[1] { _ = try Self.record(&reader) }
        for _ in 0..<head.counts[2] {
            guard let found = try Self.record(&reader)?.extensions else { continue }
            guard extensions == nil else { throw DNSError("it has two records of extensions") }
            extensions = found
        }
    }

    /// The whole code, with the bits that the extensions add.
    var code: UInt16 { head.code | UInt16(extensions?.upperCode ?? 0) << 4 }

    private static func record(
        _ reader: inout DNSReader
    ) throws(DNSError) -> (record: DNSRecord?, extensions: Extensions?)? {
        let name = try reader.name()
        let type = try reader.word()
        let recordClass = try reader.word()
        let seconds = try reader.doubleWord()
        let length = Int(try reader.word())
        let begin = reader.position
        let data = try reader.data(length)
        if type == DNS.typeOPT {
            guard name.wire.count == 1 else { throw DNSError("a record of extensions has a name") }
            return (
                nil,
                Extensions(
                    datagramBytes: Int(recordClass), version: UInt8(truncatingIfNeeded: seconds >> 16),
                    upperCode: UInt8(truncatingIfNeeded: seconds >> 24), wantsSignatures: seconds & 0x8000 != 0)
            )
        }
        guard recordClass == DNS.classIN else { return nil }
        var content = DNSRecord.Content.other
        switch type {
        case DNS.typeA, DNS.typeAAAA:
            guard length == (type == DNS.typeA ? 4 : 16), let address = NetworkAddress(bytes: data) else {
                throw DNSError("an address has \(length) bytes")
            }
            content = .address(address)
        case DNS.typeCNAME:
            // Its name may lead back to anywhere in the message, and must fill the record's data.
            reader = DNSReader(reader, at: begin)
            content = .alias(try reader.name())
            guard reader.position == begin + length else { throw DNSError("a name does not fill its record") }
        default: break
        }
        return (
            DNSRecord(name: name, content: content, timeToLiveSeconds: seconds > 0x7FFF_FFFF ? 0 : seconds), nil
        )
    }
}
