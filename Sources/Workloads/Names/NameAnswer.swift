/// What a server of the node's answered, judged for one question.
public struct NameAnswer: Sendable, Hashable {
    /// How it went.
    public var outcome: Outcome
    /// Addresses that the name leads to and that may be given, in the server's order.
    public var addresses: [NetworkAddress] = []
    /// Addresses that the name leads to and that nobody is given.
    public var denied: [NetworkAddress] = []
    /// How long the whole way from the name to the addresses holds, in seconds.
    public var timeToLiveSeconds: UInt32 = 0

    /// How it went.
    public enum Outcome: Sendable, Hashable {
        /// It answers the question, perhaps with nothing.
        case answered
        /// There is no such name.
        case absent
        /// What did not fit was left out: ask by TCP.
        case truncated
        /// The server does not understand extensions: ask without.
        case withoutExtensions
        /// The server cannot answer, or what it says makes no sense: ask another.
        case failed
        /// It is no answer to this question, and may come from anybody.
        case foreign
    }

    /// Addresses of one answer that are used.
    public static let addressLimit = 64
    /// Names that lead to another on the way to an address.
    static let aliasLimit = 16

    /// Judges a message.
    ///
    /// - Parameters:
    ///   - id: the number of the question that it must answer.
    ///   - name: the name that was asked for.
    ///   - type: the type of the addresses that were asked for.
    ///   - mayOpen: whether an address may be given to a workload.
    public init(
        parsing bytes: [UInt8], id: UInt16, name: DomainName, type: UInt16, mayOpen: (NetworkAddress) -> Bool
    ) {
        outcome = .foreign
        guard let head = try? DNSHead(parsing: bytes), head.isAnswer, head.id == id, head.operation == 0 else { return }
        if head.name == nil, head.code == DNS.Code.formatError.rawValue || head.code == DNS.Code.notImplemented.rawValue
        {
            // Old servers send a bare front back where they meet extensions.
            outcome = .withoutExtensions
            return
        }
        guard head.name == name, head.type == type, head.recordClass == DNS.classIN else { return }
        if head.isTruncated {
            outcome = .truncated
            return
        }
        guard let message = try? DNSMessage(parsing: bytes) else {
            outcome = .failed
            return
        }
        switch DNS.Code(rawValue: message.code) {
        case .noError: outcome = follow(message.answers, from: name, type, mayOpen) ? .answered : .failed
        case .nameError: outcome = .absent
        case .formatError, .notImplemented, .badVersion: outcome = .withoutExtensions
        default: outcome = .failed
        }
    }

    /// Goes from name to name to the addresses; false where the answer contradicts itself.
    private mutating func follow(
        _ records: [DNSRecord], from name: DomainName, _ type: UInt16, _ mayOpen: (NetworkAddress) -> Bool
    ) -> Bool {
        var aliases: [DomainName: (target: DomainName, seconds: UInt32)] = [:]
        for record in records {
            guard case .alias(let target) = record.content else { continue }
            if let other = aliases[record.name], other.target != target { return false }
            aliases[record.name] = (target, record.timeToLiveSeconds)
        }
        var last = name
        var seconds = UInt32.max
        for _ in 0..<Self.aliasLimit {
            guard let alias = aliases[last] else { break }
            last = alias.target
            seconds = min(seconds, alias.seconds)
        }
        guard aliases[last] == nil else { return false }
        for record in records where record.name == last {
            guard case .address(let address) = record.content, address.isVersion4 == (type == DNS.typeA),
                addresses.count + denied.count < Self.addressLimit
            else { continue }
            seconds = min(seconds, record.timeToLiveSeconds)
            if !mayOpen(address) {
                denied.append(address)
            } else if !addresses.contains(address) {
                addresses.append(address)
            }
        }
        timeToLiveSeconds = seconds == .max ? 0 : seconds
        return true
    }
}
