internal import Contract
internal import Linux
internal import Synchronization
internal import Workloads

/// The functions' thread: waits for sockets, processes, messages and times, and does nothing that blocks.
final class FunctionLoop {
    let effects: FunctionEffects
    let mailbox: Mailbox<FunctionMessage>
    let shared: FunctionsShared
    var served: [RevisionKey: ServedFunction] = [:]
    var connections: [HTTPConnection] = []
    /// Bytes set aside for bodies that are under way.
    var reservedBytes = 0
    /// Instances that wait to be started, and those that are.
    var startQueue: [InstanceKey] = []
    var starting: Set<InstanceKey> = []
    var listener: HeldDescriptor?
    var nextListen: Int64 = 0
    /// When connections are taken again after none could be.
    var acceptsAgain: Int64 = 0
    private var buffer = [UInt8](repeating: 0, count: 64 << 10)
    private var lastSeconds: Int64 = 0
    private var told: [String: Int64] = [:]
    private var events = 0
    private var eventsSince: Int64 = 0

    /// Most callers at once; others wait in the kernel's queue.
    static let callersLimit = 256
    /// Most connections of one instance's runtime client.
    static let clientsLimit = 8
    /// What all bodies under way may take together.
    static let memoryLimitBytes = 64 << 20
    /// Events of the node that functions are called with in a minute; others are dropped.
    static let eventsPerMinute = 60
    /// Instances started at once.
    static let startsLimit = 8
    /// How long a caller may take to send a request, or to take some of the answer, in milliseconds.
    static let patienceMilliseconds: Int64 = 60_000

    init(_ effects: FunctionEffects, _ mailbox: Mailbox<FunctionMessage>, _ shared: FunctionsShared) {
        self.effects = effects
        self.mailbox = mailbox
        self.shared = shared
    }

    /// Tells something, and not again within a minute.
    func tell(_ sentence: String) {
        let now = Clock.bootMilliseconds()
        told = told.filter { now - $0.value < 60_000 }
        guard told[sentence] == nil, told.count < 256 else { return }
        told[sentence] = now
        effects.tell(sentence)
    }

    /// Runs for as long as the program.
    func run() {
        do { try effects.maker.removeAll() } catch { tell("functions: \(error)") }
        while true {
            do { try turn() } catch {
                tell("functions: \(error)")
                Clock.pause(milliseconds: 1000)
            }
        }
    }

    // MARK: One turn

    private enum Source {
        case mailbox
        case callers
        case client(FunctionSandbox)
        case process(FunctionSandbox)
        case connection(HTTPConnection)
    }

    private func turn() throws {
        let now = Clock.bootMilliseconds()
        listen(now)
        var sources: [Source] = [.mailbox]
        var descriptors = [mailbox.descriptor]
        var wanted: [Sockets.Readiness] = [.readable]
        func add(_ source: Source, _ descriptor: Int32, _ interest: Sockets.Readiness = .readable) {
            sources.append(source)
            descriptors.append(descriptor)
            wanted.append(interest)
        }
        // Without a descriptor left, those who wait would be told of without end.
        let accepts = now >= acceptsAgain
        if accepts, let listener, connections.count(where: { $0.owner == .url }) < Self.callersLimit {
            add(.callers, listener.descriptor.rawValue)
        }
        for function in served.values {
            for sandbox in function.sandboxes.values {
                if accepts, let listener = sandbox.listener { add(.client(sandbox), listener.descriptor.rawValue) }
                if let process = sandbox.process { add(.process(sandbox), process.descriptor.rawValue) }
            }
        }
        for connection in connections { add(.connection(connection), connection.descriptor, connection.interest) }
        let ready = try Sockets.wait(descriptors, wanted, milliseconds: patience(now))
        for (source, state) in zip(sources, ready) where !state.isEmpty { handle(source, state) }
        timePassed()
        publish()
    }

    private func handle(_ source: Source, _ state: Sockets.Readiness) {
        let now = Clock.bootMilliseconds()
        switch source {
        case .mailbox: for message in mailbox.take(waitingMilliseconds: 0) { handle(message, now) }
        case .callers: accept(now)
        case .client(let sandbox): accept(sandbox, now)
        case .process(let sandbox): processEnded(sandbox)
        case .connection(let connection):
            guard !connection.isGone else { return }
            if state.contains(.writable) {
                connection.flush()
                if connection.owner == .url { setDeadline(connection, now) }
            }
            if state.contains(.readable) {
                guard connection.receive(&buffer) else { return lost(connection, now) }
                // Whoever waits for an answer has nothing to say: what it sends would only be held.
                if case .waiting = connection.work, connection.parser.pendingBytes > 0 {
                    return lost(connection, now)
                }
                advance(connection, now)
            } else if state.contains(.broken) {
                lost(connection, now)
            }
        }
    }

    /// Whoever takes nothing of an answer for long is let go; whoever waits for one is not.
    private func setDeadline(_ connection: HTTPConnection, _ now: Int64) {
        if connection.unsentBytes > 0 {
            connection.deadline = now + Self.patienceMilliseconds
        } else if case .called = connection.work {
            connection.deadline = nil
        }
    }

    /// How long nothing is due, in milliseconds.
    private func patience(_ now: Int64) -> Int {
        var due = now < acceptsAgain ? acceptsAgain : now + 60_000
        for function in served.values {
            if let next = function.pool.dueMilliseconds { due = min(due, next) }
            if let retired = function.retired, retired > now { due = min(due, retired) }
            for tick in function.ticks {
                guard let next = tick.next else { continue }
                due = min(due, now + max(0, next - Clock.realtimeSeconds()) * 1000)
            }
        }
        for connection in connections { if let deadline = connection.deadline { due = min(due, deadline) } }
        return Int(max(0, due - now))
    }

    private func timePassed() {
        let now = Clock.bootMilliseconds()
        let seconds = Clock.realtimeSeconds()
        for function in served.values {
            perform(function.pool.timePassed(now), function, now)
            if let retired = function.retired, now >= retired { perform(function.pool.endAll(), function, now) }
            if seconds < lastSeconds - 60 { function.rescheduled(seconds) }
            for expression in function.due(seconds) where function.retired == nil {
                let id = Self.identifier()
                invoke(
                    function, id,
                    event: FunctionEvent.schedule(
                        expression, function: function.name, id: id, timeSeconds: seconds), caller: nil, now)
            }
            killAgain(function, now)
        }
        lastSeconds = seconds
        for connection in connections {
            if let deadline = connection.deadline, now >= deadline { lost(connection, now) }
            resume(connection, now)
        }
        for connection in connections where connection.isGone { release(connection) }
        connections.removeAll(where: \.isGone)
        for (key, function) in served where function.retired != nil && function.sandboxes.isEmpty {
            guard function.pool.isEmpty else { continue }
            served[key] = nil
            shared.content.withLock { $0.present[key] = nil }
        }
    }

    private func publish() {
        let counts = served.mapValues(\.countsNow)
        shared.content.withLock { $0.counts = counts }
    }

    // MARK: Messages

    private func handle(_ message: FunctionMessage, _ now: Int64) {
        switch message {
        case .serve(let order):
            // What is left of an earlier life of the same revision ends first; the keeper asks again then.
            guard served[order.key] == nil else { return }
            served[order.key] = ServedFunction(order, nowSeconds: Clock.realtimeSeconds())
        case .retire(let key, let grace):
            guard let function = served[key] else {
                return shared.content.withLock { $0.present[key] = nil }
            }
            function.retired = min(function.retired ?? .max, now + grace)
            perform(function.pool.retire(), function, now)
        case .happened(let kind, let message):
            // What a function brings about must not call it again without end.
            if now - eventsSince >= 60_000 { (eventsSince, events) = (now, 0) }
            events += 1
            guard events <= Self.eventsPerMinute else { return }
            for function in served.values where function.order.settings.events.contains(kind) {
                let id = Self.identifier()
                let event = FunctionEvent.node(kind, message, id: id, timeSeconds: Clock.realtimeSeconds())
                invoke(function, id, event: event, caller: nil, now)
            }
        case .wired, .made, .started, .failed, .ended, .removed: changed(message, now)
        }
    }
}
