/// A question of a workload to its resolver, and what the answer must repeat of it.
public struct NameQuestion: Sendable, Hashable {
    /// The front.
    public let head: DNSHead
    /// The name.
    public let name: DomainName
    /// The question as it came, with its letters' case, which some check (draft-vixie-dnsext-dns0x20).
    private let question: [UInt8]
    private let extensions: DNSMessage.Extensions?

    /// What came of bytes.
    public enum Reading: Sendable, Hashable {
        /// Nothing to answer to: an answer itself, or no message at all.
        case silent
        /// Answered at once.
        case answered([UInt8])
        /// A question.
        case question(NameQuestion)
    }

    /// The longest question that is read, in bytes.
    public static let byteLimit = 1024

    /// Reads what a workload sent.
    public static func read(_ bytes: [UInt8]) -> Reading {
        guard bytes.count >= 12, bytes.count <= byteLimit, bytes[2] & 0x80 == 0 else { return .silent }
        do {
            let message = try DNSMessage(parsing: bytes)
            guard let name = message.head.name else { return .answered(bare(bytes, .formatError)) }
            guard message.head.operation == 0 else { return .answered(bare(bytes, .notImplemented)) }
            let question = NameQuestion(
                head: message.head, name: name, question: Array(bytes[message.head.question]),
                extensions: message.extensions)
            guard message.extensions?.version ?? 0 == 0 else { return .answered(question.reply(.badVersion)) }
            return .question(question)
        } catch {
            return .answered(bare(bytes, bytes[2] & 0x78 == 0 ? .formatError : .notImplemented))
        }
    }

    /// A reply without a question.
    private static func bare(_ bytes: [UInt8], _ code: DNS.Code) -> [UInt8] {
        let front = [bytes[0], bytes[1], 0x80 | bytes[2] & 0x79, 0x80 | UInt8(code.rawValue & 0xF)]
        return front + [UInt8](repeating: 0, count: 8)
    }

    /// Whether it is for addresses of the Internet, which alone are ever asked for.
    public var isForAddresses: Bool {
        head.recordClass == DNS.classIN && (head.type == DNS.typeA || head.type == DNS.typeAAAA)
    }

    /// The message that is sent back.
    ///
    /// All addresses belong to the name that was asked for, whatever names led to them, so that the answer says nothing
    /// but what the allow-list is about. Where it does not fit into a datagram it is empty and marked, and the workload
    /// asks again by TCP.
    public func reply(
        _ code: DNS.Code, _ addresses: [NetworkAddress] = [], timeToLiveSeconds: UInt32 = 0,
        reason: DNS.Reason? = nil, isStream: Bool = false
    ) -> [UInt8] {
        var limit = DNS.plainDatagramBytes
        if let extensions { limit = min(max(extensions.datagramBytes, limit), DNS.datagramBytes) }
        let whole = message(code, addresses, timeToLiveSeconds, reason, isTruncated: false)
        if isStream || whole.count <= limit { return whole }
        return message(code, [], 0, reason, isTruncated: true)
    }

    private func message(
        _ code: DNS.Code, _ addresses: [NetworkAddress], _ seconds: UInt32, _ reason: DNS.Reason?, isTruncated: Bool
    ) -> [UInt8] {
        // An answer, recursion available; that recursion was desired, or checking disabled, is repeated.
        let flags =
            0x8080 | head.flags & 0x0110 | (isTruncated ? 0x0200 : 0) | code.rawValue & 0xF
        var writer = DNSWriter()
        writer.words([head.id, flags, 1, UInt16(addresses.count), 0, extensions == nil ? 0 : 1])
        writer.bytes += question
        for address in addresses {
            // A pointer to the question's name.
            writer.words([0xC00C, address.isVersion4 ? DNS.typeA : DNS.typeAAAA, DNS.classIN])
            writer.doubleWord(seconds)
            writer.words([UInt16(address.bytes.count)])
            writer.bytes += address.bytes
        }
        if let extensions {
            writer.extensions(
                upperCode: UInt8(code.rawValue >> 4), wantsSignatures: extensions.wantsSignatures, reason: reason)
        }
        return writer.bytes
    }
}

/// Writes DNS messages.
struct DNSWriter {
    var bytes: [UInt8] = []

    mutating func words(_ words: [UInt16]) {
        for word in words { bytes += [UInt8(word >> 8), UInt8(word & 0xFF)] }
    }

    mutating func doubleWord(_ word: UInt32) { words([UInt16(word >> 16), UInt16(word & 0xFFFF)]) }

    /// The record of RFC 6891, with a reason (RFC 8914) where there is one.
    mutating func extensions(upperCode: UInt8 = 0, wantsSignatures: Bool = false, reason: DNS.Reason? = nil) {
        bytes.append(0)
        words([
            DNS.typeOPT, UInt16(DNS.datagramBytes), UInt16(upperCode) << 8, wantsSignatures ? 0x8000 : 0,
            reason == nil ? 0 : 6,
        ])
        if let reason { words([15, 2, reason.rawValue]) }
    }

    /// A question of the node's own to a server, with nothing in it that a workload chose but the name.
    static func question(id: UInt16, _ name: DomainName, type: UInt16, withExtensions: Bool) -> [UInt8] {
        var writer = DNSWriter()
        // Recursion is desired.
        writer.words([id, 0x0100, 1, 0, 0, withExtensions ? 1 : 0])
        writer.bytes += name.wire
        writer.words([type, DNS.classIN])
        if withExtensions { writer.extensions() }
        return writer.bytes
    }
}

/// Puts messages together that come through a stream, each after its length in two bytes (RFC 1035, section 4.2.2).
public struct DNSStream: Sendable {
    private var bytes: [UInt8] = []
    private let limit: Int

    /// Whether a message was announced that is longer than allowed: the stream is of no more use.
    public private(set) var isBroken = false

    /// Makes an empty one whose messages have at most `limit` bytes.
    public init(limit: Int) { self.limit = limit }

    /// Adds what came.
    public mutating func append(_ more: some Sequence<UInt8>) { bytes += more }

    /// The next whole message.
    public mutating func next() -> [UInt8]? {
        guard !isBroken, bytes.count >= 2 else { return nil }
        let length = Int(bytes[0]) << 8 | Int(bytes[1])
        guard length <= limit else {
            isBroken = true
            bytes = []
            return nil
        }
        guard bytes.count >= 2 + length else { return nil }
        defer { bytes.removeFirst(2 + length) }
        return Array(bytes[2..<2 + length])
    }

    /// A message with its length.
    public static func framed(_ message: [UInt8]) -> [UInt8] {
        [UInt8(truncatingIfNeeded: message.count >> 8), UInt8(truncatingIfNeeded: message.count)] + message
    }
}
