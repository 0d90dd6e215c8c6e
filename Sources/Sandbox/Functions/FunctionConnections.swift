internal import Contract
internal import Linux
internal import Synchronization
internal import Workloads

/// The connections of the functions' thread: taken, read, let go.
extension FunctionLoop {
    /// Listens for callers while a function has a URL.
    func listen(_ now: Int64) {
        let isWanted = served.values.contains { $0.order.settings.urlPath != nil }
        guard isWanted != (listener != nil), now >= nextListen else { return }
        guard isWanted else {
            listener = nil
            return shared.content.withLock { $0.port = nil }
        }
        do {
            // A node without version 6 still has version 4.
            let socket: HeldDescriptor
            do { socket = HeldDescriptor(try Sockets.listen("::", port: effects.port)) } catch {
                socket = HeldDescriptor(try Sockets.listen("0.0.0.0", port: effects.port))
            }
            let port = try Sockets.port(of: socket.descriptor)
            listener = socket
            shared.content.withLock { $0.port = port }
        } catch {
            nextListen = now + 10_000
            tell("functions have no URL: \(error)")
        }
    }

    func accept(_ now: Int64) {
        guard let listener else { return }
        for round in 0..<64 {
            guard connections.count(where: { $0.owner == .url }) < Self.callersLimit else { return }
            guard let found = Sockets.accept(listener.descriptor) else {
                if round == 0 { acceptsAgain = now + 100 }
                return
            }
            let connection = HTTPConnection(found.socket, peer: found.peer, owner: .url)
            connection.deadline = now + Self.patienceMilliseconds
            connections.append(connection)
        }
    }

    func accept(_ sandbox: FunctionSandbox, _ now: Int64) {
        guard let listener = sandbox.listener else { return }
        let owner = HTTPConnection.Owner.instance(sandbox.key.function, sandbox.key.number)
        for round in 0..<Self.clientsLimit {
            guard let found = Sockets.accept(listener.descriptor) else {
                if round == 0 { acceptsAgain = now + 100 }
                return
            }
            let connection = HTTPConnection(found.socket, peer: found.peer, owner: owner)
            // Dropped where there are too many, which closes it.
            guard connections.count(where: { $0.owner == owner && !$0.isGone }) < Self.clientsLimit else { continue }
            connections.append(connection)
        }
    }

    /// Reads on where a connection waited for memory or for a slower one.
    func resume(_ connection: HTTPConnection, _ now: Int64) {
        guard !connection.isGone else { return }
        guard connection.isPaused else {
            // A request that came behind one that was answered meanwhile.
            if case .none = connection.work, connection.parser.pendingBytes > 0 { advance(connection, now) }
            return
        }
        switch connection.work {
        case .streaming(let id, _):
            let caller = call(id, of: connection)?.caller
            guard (caller?.unsentBytes ?? 0) < HTTPConnection.backlogBytes / 2 else { return }
        case .runtime(_, let head):
            guard reserve(head, for: connection) else { return }
        default: return
        }
        connection.isPaused = false
        advance(connection, now)
    }

    /// Sets memory aside for a body; false where there is none left.
    func reserve(_ head: HTTPRequestHead, for connection: HTTPConnection) -> Bool {
        let wanted =
            switch head.body {
            case .length(let count): min(count, FunctionLimit.payload)
            case .chunked: FunctionLimit.payload
            }
        guard reservedBytes + wanted <= Self.memoryLimitBytes else { return false }
        reservedBytes += wanted
        connection.reservedBytes += wanted
        return true
    }

    /// Gives back what was set aside for a call's event.
    func release(_ call: FunctionInvocation) {
        reservedBytes -= call.reservedBytes
        call.reservedBytes = 0
    }

    /// Gives back what was set aside for a connection.
    func release(_ connection: HTTPConnection) {
        reservedBytes -= connection.reservedBytes
        connection.reservedBytes = 0
    }

    /// The other side is gone, or its time is up.
    func lost(_ connection: HTTPConnection, _ now: Int64) {
        guard !connection.isGone else { return }
        let work = connection.work
        connection.close()
        guard case .instance(let key, let number) = connection.owner, let function = served[key] else { return }
        if function.sandboxes[number]?.waiting === connection { function.sandboxes[number]?.waiting = nil }
        if case .streaming = work {
            streamEnded(function, number, .failed(type: "Runtime.TruncatedResponse"), now)
        }
    }

    /// Takes what has come apart, and answers it.
    func advance(_ connection: HTTPConnection, _ now: Int64) {
        do throws(HTTPRefusal) {
            while connection.isOpen, !connection.isPaused, let event = try connection.parser.next() {
                switch connection.owner {
                case .url: handle(caller: connection, event, now)
                case .instance(let key, let number): handle(client: connection, key, number, event, now)
                }
            }
        } catch {
            refuse(connection, error, now)
        }
    }

    private func refuse(_ connection: HTTPConnection, _ refusal: HTTPRefusal, _ now: Int64) {
        switch connection.owner {
        case .url:
            connection.send(FunctionFailure.refused(refusal).reply(id: nil, keepsAlive: false))
            connection.finish(now: now)
        case .instance(let key, let number):
            guard let function = served[key] else { return connection.close() }
            refuse(client: connection, function, number, refusal, now)
        }
    }

    /// A name for a call: a random UUID (RFC 9562, version 4).
    static func identifier() -> String {
        // The kernel has random bytes once it has booted.
        var bytes = (try? Randomness.bytes(16)) ?? [UInt8](repeating: 0, count: 16)
        bytes[6] = bytes[6] & 0x0F | 0x40
        bytes[8] = bytes[8] & 0x3F | 0x80
        let hex = bytes.lowercaseHex
        var parts: [Substring] = []
        var rest = hex[...]
        for count in [8, 4, 4, 4, 12] {
            parts.append(rest.prefix(count))
            rest = rest.dropFirst(count)
        }
        return parts.joined(separator: "-")
    }
}
