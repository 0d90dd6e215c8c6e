internal import Linux
internal import Workloads

/// One connection of the functions' server: what came and is not yet read, what goes and is not yet sent.
final class HTTPConnection {
    /// Whom it serves.
    enum Owner: Equatable {
        /// Callers of functions' URLs.
        case url
        /// The runtime client of an instance.
        case instance(RevisionKey, Int)
    }

    /// What a request is about, from its head until it is answered.
    enum Work {
        /// Nothing yet.
        case none
        /// A call whose body is gathered.
        case calling(HTTPRequestHead, RevisionKey, path: String)
        /// It waits for this call's outcome.
        case called(String, RevisionKey, HTTPRequestHead)
        /// A request of a runtime client whose body is gathered.
        case runtime(RuntimeRequest, HTTPRequestHead)
        /// `next`, which waits for a call.
        case waiting(HTTPRequestHead)
        /// The stream of this call's response comes.
        case streaming(String, HTTPRequestHead)
    }

    /// A reader stops at this much that is not yet sent, in bytes.
    static let backlogBytes = 256 << 10
    /// What is read at once, in bytes.
    private static let readBytes = 64 << 10
    /// How much of a request that was refused is read and dropped, so that the refusal arrives.
    private static let dropBytes = 32 << 20

    let owner: Owner
    let peer: String
    private let socket: OwnedDescriptor
    var parser: HTTPRequestParser
    var work = Work.none
    /// What was gathered of a body.
    var body: [UInt8] = []
    /// Bytes of the node's memory that are set aside for what it carries.
    var reservedBytes = 0
    /// Nothing is read while this is set.
    var isPaused = false
    /// When it is closed unless something happens before, in milliseconds of this boot; nil for never.
    var deadline: Int64?
    private(set) var isGone = false
    private var output: [UInt8] = []
    private var sent = 0
    private var endsAfterOutput = false
    private var dropped = 0
    private var isDropping = false

    init(_ socket: Int32, peer: String, owner: Owner) {
        self.socket = OwnedDescriptor(adopting: socket, path: "connection")
        self.peer = peer
        self.owner = owner
        parser = HTTPRequestParser()
    }

    /// The descriptor, to be lent to poll(2).
    var descriptor: Int32 { socket.rawValue }

    /// Bytes that are not yet sent.
    var unsentBytes: Int { output.count - sent }

    /// What is waited for.
    var interest: Sockets.Readiness {
        var wanted: Sockets.Readiness = unsentBytes > 0 ? .writable : []
        if isDropping || (!isPaused && !endsAfterOutput) { wanted.insert(.readable) }
        return wanted
    }

    /// Whether requests are still answered.
    var isOpen: Bool { !isGone && !endsAfterOutput }

    /// Reads what has come; false where the other side is gone.
    func receive(_ buffer: inout [UInt8]) -> Bool {
        switch Sockets.receive(socket, into: &buffer) {
        case .later: return true
        case .gone: return false
        case .bytes(let count):
            guard isDropping else {
                parser.receive(buffer[..<count])
                return true
            }
            dropped += count
            return dropped <= Self.dropBytes
        }
    }

    /// Sends bytes, now or when there is room.
    func send(_ bytes: [UInt8]) {
        guard !isGone, !endsAfterOutput else { return }
        output += bytes
        flush()
    }

    /// Sends what the kernel takes.
    func flush() {
        while !isGone, sent < output.count {
            switch Sockets.send(output[sent...], to: socket) {
            case .bytes(let count): sent += count
            case .later: return tidy()
            case .gone: return close()
            }
        }
        output = []
        sent = 0
        guard endsAfterOutput, !isDropping else { return }
        // Closing with bytes unread would reset the connection and lose the reply (RFC 9112, section 9.6).
        Sockets.endSending(socket)
        isDropping = true
    }

    private func tidy() {
        guard sent > 1 << 18 else { return }
        output.removeFirst(sent)
        sent = 0
    }

    /// Sends what is left and ends then.
    func finish(now: Int64) {
        guard !endsAfterOutput else { return }
        endsAfterOutput = true
        deadline = now + 5000
        work = .none
        body = []
        flush()
    }

    /// It is over: nothing more is read or sent.
    func close() {
        isGone = true
        output = []
        sent = 0
        body = []
    }

    /// The request is answered: the next one may come, or the connection ends.
    func next(keepsAlive: Bool, now: Int64, idleMilliseconds: Int64?) {
        guard keepsAlive, parser.isDone else { return finish(now: now) }
        work = .none
        body = []
        isPaused = false
        parser.reset()
        deadline = idleMilliseconds.map { now + $0 }
    }
}
