/// The resolver of all workloads of a node, without its sockets: events come in, and actions for the caller come out.
///
/// A workload may ask for the addresses of names that its document lists, and for nothing else. What it asks becomes a
/// question of the node's own, and what comes back becomes an answer of the node's own, so that neither carries
/// anything else out or in. Before an answer goes back its addresses are opened on the workload's wire.
public struct NameRelay: Sendable {
    /// What is to be done.
    public enum Action: Sendable, Hashable {
        /// Send a reply to who asked.
        case reply(NameAsker, [UInt8])
        /// Open addresses, and send one of two replies then.
        case open(Opening)
        /// Ask a server, from a socket of its own: a lookup's earlier one is closed.
        case ask(Int, NameServer, isStream: Bool, [UInt8])
        /// A lookup is over: close its socket.
        case end(Int)
        /// Tell people.
        case tell(String)
    }

    /// Addresses to be opened before a reply is sent.
    public struct Opening: Sendable, Hashable {
        /// Who asked.
        public let asker: NameAsker
        /// What `nft -f -` is given.
        public let commands: String
        /// The reply once they are open.
        public let reply: [UInt8]
        /// The reply where they could not be opened.
        public let failure: [UInt8]
        let elements: [EgressSets.Element]
        let seconds: Int
    }

    /// Bounds.
    public struct Limits: Sendable, Hashable {
        /// How long one server has, in milliseconds.
        public var attemptMilliseconds: Int64 = 1400
        /// How many servers are asked for one answer, the same one more than once where there are few. Where all are
        /// silent this ends before a workload's C library, which waits for 5 seconds, gives up.
        public var attempts = 3
        /// Messages that are no answer, and make an attempt void.
        public var foreignMessages = 16
        /// Lookups under way: of all workloads, and of one. The second half of the first is for those that have few.
        public var lookups = 256
        /// Lookups of one workload under way.
        public var lookupsOfOne = 32
        /// Questions of one workload in a second, on average; the same number may come at once.
        public var questionsPerSecond = Firewall.questionsPerSecond
        /// How long an answer opens an address for, in seconds.
        public var lifetimeSeconds = EgressSets.lifetimeSeconds
        /// How much longer an address is opened for than its answer holds, so that the next answer need not open it
        /// again at once, in seconds.
        public var slackSeconds = 30

        /// The bounds of a node.
        public init() {}
    }

    /// Whom to ask, best first.
    public var servers: [NameServer] = [] {
        didSet { if servers != oldValue { preferred = 0 } }
    }
    /// The node's own addresses, which no name leads a workload to.
    public var ownAddresses: Set<NetworkAddress> = []

    let limits: Limits
    let random: @Sendable () -> UInt16
    var services: [Int: Service] = [:]
    var lookups: [Int: Lookup] = [:]
    /// The server that is asked first: not one that was silent.
    var preferred = 0
    private var lastLookup = 0

    /// A workload on its wire.
    struct Service: Sendable {
        let workload: WorkloadName
        let sets: EgressSets
        var lookups = 0
        /// Questions that it may ask now, in thousandths.
        var credit: Int64
        var creditedMilliseconds: Int64
        /// Until when what is open stays open, in milliseconds of the caller's clock.
        var open: [EgressSets.Element: Int64] = [:]
        /// Names that people were told of.
        var told: Set<String> = []
    }

    /// Makes a resolver that serves nobody yet.
    ///
    /// - Parameter random: numbers that nobody can guess.
    public init(
        limits: Limits = Limits(), random: @escaping @Sendable () -> UInt16 = { UInt16.random(in: .min ... .max) }
    ) {
        self.limits = limits
        self.random = random
    }

    /// Serves a workload on its wire, over what was said of that wire before.
    public mutating func serve(_ workload: WorkloadName, _ sets: EgressSets, now: Int64) -> [Action] {
        let ended = release(sets.wire.index)
        services[sets.wire.index] = Service(
            workload: workload, sets: sets, credit: Int64(limits.questionsPerSecond) * 1000, creditedMilliseconds: now)
        return ended
    }

    /// Serves a wire no longer, and forgets what is open there.
    public mutating func release(_ wire: Int) -> [Action] {
        services[wire] = nil
        let ended = lookups.filter { $0.value.asker.wire == wire }.keys.sorted()
        for number in ended { lookups[number] = nil }
        return ended.map { .end($0) }
    }

    /// A workload sent something, from its own address.
    public mutating func asked(_ asker: NameAsker, _ bytes: [UInt8], now: Int64) -> [Action] {
        guard pay(asker.wire, now), let service = services[asker.wire] else { return [] }
        switch NameQuestion.read(bytes) {
        case .silent: return []
        case .answered(let reply): return [.reply(asker, reply)]
        case .question(let question):
            let isStream = asker.connection != nil
            // A name that is not listed does not exist here. Some C libraries wait for another answer when they are
            // told that a question is refused; and as nothing says for how long, nobody keeps this one.
            guard let name = question.name.text, service.sets.mayLookUp(name) else {
                return [.reply(asker, question.reply(.nameError, reason: .prohibited, isStream: isStream))]
            }
            // The name exists, and other records than addresses are not had here.
            guard question.isForAddresses else {
                return [.reply(asker, question.reply(.noError, reason: .prohibited, isStream: isStream))]
            }
            // The workload repeats itself: it is being looked up.
            guard !lookups.values.contains(where: { $0.asker == asker && $0.question == question }) else { return [] }
            let isRoomLeft = lookups.count < limits.lookups / 2 || service.lookups < 4
            guard !servers.isEmpty, isRoomLeft, lookups.count < limits.lookups, service.lookups < limits.lookupsOfOne
            else { return [.reply(asker, Lookup.failure(asker, question))] }
            lastLookup += 1
            services[asker.wire]?.lookups += 1
            lookups[lastLookup] = Lookup(asker: asker, question: question, name: name, attemptsLeft: limits.attempts)
            return attempt(lastLookup, now)
        }
    }

    /// What was opened stays open for its time.
    public mutating func opened(_ opening: Opening, now: Int64) {
        guard var service = services[opening.asker.wire] else { return }
        service.open = service.open.filter { $0.value > now }
        for element in opening.elements { service.open[element] = now + Int64(opening.seconds) * 1000 }
        services[opening.asker.wire] = service
    }

    /// When `expire` has something to do next, in milliseconds of the caller's clock; nil for never.
    public var nextDeadline: Int64? { lookups.values.map(\.deadline).min() }

    /// Takes one question from what a workload may ask; false where nothing is left.
    private mutating func pay(_ wire: Int, _ now: Int64) -> Bool {
        guard var service = services[wire] else { return false }
        let perSecond = Int64(limits.questionsPerSecond)
        let gained = max(0, min(now - service.creditedMilliseconds, 1000)) * perSecond
        service.credit = min(service.credit + gained, perSecond * 1000)
        service.creditedMilliseconds = now
        let isPaid = service.credit >= 1000
        if isPaid { service.credit -= 1000 }
        services[wire] = service
        return isPaid
    }
}

/// Who asked: the workload on a wire, and where its reply goes.
public struct NameAsker: Sendable, Hashable {
    /// The wire's number.
    public var wire: Int
    /// The workload's port.
    public var port: UInt16
    /// The caller's number of the connection; nil for a datagram.
    public var connection: Int?

    /// Makes one.
    public init(wire: Int, port: UInt16, connection: Int? = nil) {
        self.wire = wire
        self.port = port
        self.connection = connection
    }
}
