internal import Glibc
internal import Linux
internal import Workloads

/// The sockets of the resolver, on its one thread: whatever comes is given to `NameRelay`, and what that decides is done.
///
/// Each wire has two sockets of its own, at the node's end and tied to its interface, so that a workload is known by the
/// socket that it reaches. Each lookup has one socket, which hears nobody but the server that it asks.
final class NameLoop {
    private let setting: NameService.Setting
    private let mailbox: Mailbox<NameService.Message>
    private var relay: NameRelay
    private var wires: [Int: Wire] = [:]
    private var connections: [Int: Connection] = [:]
    private var lastConnection = 0
    private var upstreams: [Int: Upstream] = [:]
    private var openings: [NameRelay.Opening] = []
    private var opener: AddressOpener
    private var hasEnded = false
    private var obstacle: String?
    /// When the servers' file and the node's addresses were read last.
    private var lookedMilliseconds = Int64.min

    private struct Wire {
        var plan: NetworkPlan
        var datagrams: NetworkSocket
        var stream: NetworkSocket
    }

    /// A workload that asks by TCP.
    private struct Connection {
        var socket: NetworkSocket
        var asker: NameAsker
        var messages = DNSStream(limit: NameQuestion.byteLimit)
        var deadline: Int64
    }

    /// A question that is under way to a server.
    private struct Upstream {
        var socket: NetworkSocket
        /// What is sent once the connection is there; nil for a datagram, and after that.
        var unsent: [UInt8]?
        var isStream: Bool
        var messages = DNSStream(limit: 65_535)
    }

    private enum Source {
        case mailbox
        case datagrams(Int)
        case stream(Int)
        case connection(Int)
        case upstream(Int)
    }

    private static let connectionsOfOne = 4
    private static let connectionLimit = 256
    /// A connection of a workload is closed when nothing came and nothing went for so long, in milliseconds.
    private static let idleMilliseconds: Int64 = 10_000
    /// Datagrams of one workload that are read before others have their turn.
    private static let datagramsInTurn = 8
    /// The servers' file is read when this much time has gone by since it was read last, in milliseconds.
    private static let lookMilliseconds: Int64 = 1000

    init(_ setting: NameService.Setting, _ mailbox: Mailbox<NameService.Message>) {
        self.setting = setting
        self.mailbox = mailbox
        relay = NameRelay(limits: setting.limits)
        opener = AddressOpener(tell: setting.tell)
    }

    func run() {
        if let network = setting.network {
            do { try Processes.enterNetwork(network) } catch { obstacle = "\(error)" }
        }
        while !hasEnded { turn() }
    }

    private func turn() {
        var sources: [(source: Source, descriptor: Int32, isForWriting: Bool)] = [
            (.mailbox, mailbox.descriptor, false)
        ]
        for (number, wire) in wires {
            sources.append((.datagrams(number), wire.datagrams.descriptor, false))
            sources.append((.stream(number), wire.stream.descriptor, false))
        }
        for (number, connection) in connections {
            sources.append((.connection(number), connection.socket.descriptor, false))
        }
        for (number, upstream) in upstreams {
            sources.append((.upstream(number), upstream.socket.descriptor, upstream.unsent != nil))
        }
        let next = ([relay.nextDeadline] + connections.values.map(\.deadline)).compactMap { $0 }.min()
        let ready = NetworkSocket.wait(
            sources.map { ($0.descriptor, $0.isForWriting) }, milliseconds: next.map { Int(clamping: $0 - now) })
        for (index, isReady) in ready.enumerated() where isReady {
            switch sources[index].source {
            case .mailbox: for message in mailbox.take(waitingMilliseconds: 0) { obey(message) }
            case .datagrams(let wire): readDatagrams(of: wire)
            case .stream(let wire): accept(on: wire)
            case .connection(let number): readConnection(number)
            case .upstream(let number): readUpstream(number)
            }
        }
        for (number, connection) in connections where connection.deadline <= now { connections[number] = nil }
        perform(relay.expire(now: now))
        open()
    }

    private var now: Int64 { Clock.monotonicMilliseconds() }

    // MARK: Wires

    private func obey(_ message: NameService.Message) {
        switch message {
        case .serve(let workload, let sets, let done):
            var failure = obstacle
            if failure == nil {
                do { try serve(workload, sets) } catch { failure = "\(error)" }
            }
            done.post(failure)
        case .release(let wire, let done):
            release(wire)
            done.post(nil)
        case .end(let done):
            (wires, connections) = ([:], [:])
            hasEnded = true
            done.post(nil)
        }
    }

    /// Listens. A process that is just being started holds what was closed until it runs its own program.
    private static func listen(
        at place: NetworkEndpoint, _ plan: NetworkPlan, isStream: Bool
    ) throws -> NetworkSocket {
        for _ in 0..<50 {
            do throws(SystemError) {
                return try NetworkSocket(listeningAt: place, interface: plan.hostInterface, isStream: isStream)
            } catch {
                guard error.code == EADDRINUSE else { throw error }
                Clock.pause(milliseconds: 20)
            }
        }
        return try NetworkSocket(listeningAt: place, interface: plan.hostInterface, isStream: isStream)
    }

    private func serve(_ workload: WorkloadName, _ sets: EgressSets) throws {
        let plan = sets.wire
        release(plan.index)
        let place = NetworkEndpoint(address: plan.hostVersion4.bytes, port: DNS.port)
        wires[plan.index] = Wire(
            plan: plan,
            datagrams: try Self.listen(at: place, plan, isStream: false),
            stream: try Self.listen(at: place, plan, isStream: true))
        perform(relay.serve(workload, sets, now: now))
    }

    private func release(_ wire: Int) {
        wires[wire] = nil
        connections = connections.filter { $0.value.asker.wire != wire }
        openings.removeAll { $0.asker.wire == wire }
        perform(relay.release(wire))
    }

    private func readDatagrams(of number: Int) {
        guard let wire = wires[number] else { return }
        for _ in 0..<Self.datagramsInTurn {
            let next = wire.datagrams.receiveDatagram(limit: NameQuestion.byteLimit + 1)
            guard case .done(let (bytes, peer)) = next else { return }
            // The firewall drops what others would send in its name; this is said twice.
            guard peer.address == wire.plan.guestVersion4.bytes else { continue }
            asked(NameAsker(wire: number, port: peer.port), bytes)
        }
    }

    private func accept(on number: Int) {
        guard let wire = wires[number], let (socket, peer) = wire.stream.accept() else { return }
        guard peer.address == wire.plan.guestVersion4.bytes else { return }
        // The workload's oldest gives way: it may be closed on the other side, and not yet read to its end.
        let own = connections.filter { $0.value.asker.wire == number }.keys
        if own.count >= Self.connectionsOfOne, let oldest = own.min() { connections[oldest] = nil }
        guard connections.count < Self.connectionLimit else { return }
        lastConnection += 1
        connections[lastConnection] = Connection(
            socket: socket, asker: NameAsker(wire: number, port: peer.port, connection: lastConnection),
            deadline: now + Self.idleMilliseconds)
    }

    private func readConnection(_ number: Int) {
        guard var connection = connections[number] else { return }
        switch connection.socket.read(limit: 4096) {
        case .later: return
        case .gone: connections[number] = nil
        case .done(let bytes):
            connection.messages.append(bytes)
            connection.deadline = now + Self.idleMilliseconds
            var questions: [[UInt8]] = []
            while let question = connection.messages.next() { questions.append(question) }
            connections[number] = connection.messages.isBroken ? nil : connection
            for question in questions { asked(connection.asker, question) }
        }
    }

    private func asked(_ asker: NameAsker, _ bytes: [UInt8]) {
        look()
        perform(relay.asked(asker, bytes, now: now))
    }

    private func reply(_ asker: NameAsker, _ bytes: [UInt8]) {
        guard let number = asker.connection else {
            guard let wire = wires[asker.wire] else { return }
            let peer = NetworkEndpoint(address: wire.plan.guestVersion4.bytes, port: asker.port)
            // A reply that does not go out is asked for again: ignoring.
            _ = wire.datagrams.send(bytes, to: peer)
            return
        }
        guard let connection = connections[number] else { return }
        connections[number]?.deadline = now + Self.idleMilliseconds
        if !connection.socket.send(DNSStream.framed(bytes)) { connections[number] = nil }
    }

    // MARK: Servers

    private func readUpstream(_ number: Int) {
        guard var upstream = upstreams[number] else { return }
        if let unsent = upstream.unsent {
            upstream.unsent = nil
            upstreams[number] = upstream
            if !upstream.socket.send(DNSStream.framed(unsent)) { perform(relay.failed(number, now: now)) }
            return
        }
        guard upstream.isStream else {
            switch upstream.socket.receiveDatagram(limit: 4096) {
            case .later: return
            case .gone: perform(relay.failed(number, now: now))
            case .done(let (bytes, _)): received(number, bytes)
            }
            return
        }
        switch upstream.socket.read(limit: 16 << 10) {
        case .later: return
        case .gone: perform(relay.failed(number, now: now))
        case .done(let bytes):
            upstream.messages.append(bytes)
            let message = upstream.messages.next()
            upstreams[number] = upstream
            if let message { received(number, message) }
        }
    }

    private func received(_ number: Int, _ bytes: [UInt8]) {
        look()
        perform(relay.received(number, bytes, now: now))
    }

    /// Reads who is to be asked, and which addresses are the node's own, where that was long ago.
    private func look() {
        guard lookedMilliseconds == .min || now - lookedMilliseconds >= Self.lookMilliseconds else { return }
        lookedMilliseconds = now
        relay.servers =
            setting.serverFiles.lazy.map { path in
                ((try? Files.read(path, limitBytes: 64 << 10)).map { NameServer.list(in: $0) }) ?? []
            }.first { !$0.isEmpty } ?? []
        // The rules keep workloads from the node itself, whatever its addresses are: ignoring.
        guard let own = try? NetworkSocket.ownAddresses() else { return }
        relay.ownAddresses = Set(own.compactMap { NetworkAddress(bytes: $0) })
    }

    private func ask(_ number: Int, _ server: NameServer, _ isStream: Bool, _ bytes: [UInt8]) -> [NameRelay.Action] {
        upstreams[number] = nil
        do {
            let socket = try NetworkSocket(
                connectingTo: NetworkEndpoint(address: server.address.bytes, port: DNS.port), zone: server.zone,
                isStream: isStream)
            guard isStream || socket.send(bytes) else { return relay.failed(number, now: now) }
            upstreams[number] = Upstream(socket: socket, unsent: isStream ? bytes : nil, isStream: isStream)
            return []
        } catch {
            return relay.failed(number, now: now)
        }
    }

    // MARK: Doing

    private func perform(_ actions: [NameRelay.Action]) {
        // Each lookup fails a bounded number of times, so this ends.
        var open = actions[...]
        while let action = open.popFirst() {
            switch action {
            case .reply(let asker, let bytes): reply(asker, bytes)
            case .open(let opening): openings.append(opening)
            case .ask(let number, let server, let isStream, let bytes):
                open += ask(number, server, isStream, bytes)
            case .end(let number): upstreams[number] = nil
            case .tell(let sentence): setting.tell(sentence)
            }
        }
    }

    /// Opens what this turn's answers named, and replies then.
    private func open() {
        guard !openings.isEmpty else { return }
        let began = now
        let waiting = openings
        openings = []
        for (opening, isOpen) in opener.open(waiting) {
            if isOpen { relay.opened(opening, now: began) }
            reply(opening.asker, isOpen ? opening.reply : opening.failure)
        }
    }
}
