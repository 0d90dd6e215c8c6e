internal import Contract
internal import Linux
internal import Workloads

/// Callers of functions' URLs: from a request to a call, and from its outcome to the answer.
extension FunctionLoop {
    func handle(caller connection: HTTPConnection, _ event: HTTPRequestParser.Event, _ now: Int64) {
        switch event {
        case .head(let head): begin(connection, head, now)
        case .body(let bytes): connection.body += bytes
        case .end:
            guard case .calling(let head, let key, let path) = connection.work else { return }
            guard let function = served[key], function.retired == nil else {
                return fail(connection, .unavailable("the function was stopped"), id: nil, head, now)
            }
            let id = Self.identifier()
            let event = FunctionEvent.http(
                FunctionEvent.Request(
                    method: head.method, path: path, query: head.query, fields: head.fields, body: connection.body,
                    sourceAddress: connection.peer, function: function.name, id: id,
                    timeMilliseconds: Clock.realtimeMilliseconds()))
            connection.body = []
            guard event.count <= FunctionLimit.payload else {
                let refusal = HTTPRefusal(413, "the event would be longer than \(FunctionLimit.payload) bytes")
                return fail(connection, .refused(refusal), id: id, head, now)
            }
            connection.work = .called(id, key, head)
            connection.isPaused = true
            connection.deadline = nil
            invoke(function, id, event: event, caller: connection, now)
        }
    }

    private func begin(_ connection: HTTPConnection, _ head: HTTPRequestHead, _ now: Int64) {
        // The longest path wins.
        let found = served.values.filter { $0.retired == nil }
            .compactMap { function in function.path(below: head.path).map { (function, $0) } }
            .max { one, two in Self.isBefore(one.0, two.0) }
        guard let (function, path) = found else { return stop(connection, .unknown, now) }
        connection.parser.bodyLimitBytes = FunctionLimit.payload
        if case .length(let count) = head.body, count > FunctionLimit.payload {
            let refusal = HTTPRefusal(413, "the body is longer than \(FunctionLimit.payload) bytes")
            return stop(connection, .refused(refusal), now)
        }
        guard reserve(head, for: connection) else {
            return stop(connection, .unavailable("this node has no memory left for another call"), now)
        }
        connection.work = .calling(head, function.key, path: path)
        connection.deadline = now + Self.patienceMilliseconds
        if head.expectsContinue { connection.send(HTTPReply.goOn) }
    }

    /// Of two functions with one path the first by name has it.
    private static func isBefore(_ one: ServedFunction, _ two: ServedFunction) -> Bool {
        let lengths = [one, two].map { $0.order.settings.urlPath?.utf8.count ?? 0 }
        return (lengths[0], two.name) < (lengths[1], one.name)
    }

    /// Refuses before the body was read: the connection ends.
    private func stop(_ connection: HTTPConnection, _ failure: FunctionFailure, _ now: Int64) {
        connection.send(failure.reply(id: nil, keepsAlive: false))
        connection.finish(now: now)
    }

    private func fail(
        _ connection: HTTPConnection, _ failure: FunctionFailure, id: String?, _ head: HTTPRequestHead, _ now: Int64
    ) {
        connection.send(failure.reply(id: id, keepsAlive: head.keepsAlive))
        answered(connection, head, now)
    }

    private func answered(_ connection: HTTPConnection, _ head: HTTPRequestHead, _ now: Int64) {
        release(connection)
        connection.next(keepsAlive: head.keepsAlive, now: now, idleMilliseconds: Self.patienceMilliseconds)
    }

    /// The request that waits for a call's outcome.
    private func head(_ call: FunctionInvocation) -> (HTTPConnection, HTTPRequestHead)? {
        guard let caller = call.caller, !caller.isGone, case .called(call.id, _, let head) = caller.work else {
            return nil
        }
        return (caller, head)
    }

    // MARK: Answers

    /// Answers a caller with a call's outcome.
    func answer(_ call: FunctionInvocation, _ outcome: FunctionOutcome, _ now: Int64) {
        guard let (caller, head) = head(call) else { return }
        if call.hasAnswered { return endStream(call, caller, head, outcome, now) }
        guard outcome == .succeeded else { return fail(caller, .ended(outcome), id: call.id, head, now) }
        do {
            var response = try FunctionResponse(returned: call.returned)
            call.returned = []
            response.fields.append(HTTPField("x-amzn-requestid", call.id))
            send(response, to: caller, head)
            answered(caller, head, now)
        } catch {
            fail(caller, .unsendable("\(error)"), id: call.id, head, now)
        }
    }

    private func send(_ response: FunctionResponse, to caller: HTTPConnection, _ head: HTTPRequestHead) {
        let isBodiless = HTTPReply.isBodiless(response.status)
        caller.send(
            HTTPReply.head(
                response.status, response.fields, body: isBodiless ? .none : .length(response.body.count),
                keepsAlive: head.keepsAlive))
        if !isBodiless, head.method != "HEAD" { caller.send(response.body) }
    }

    /// The call was refused before it came to an instance.
    func refuse(_ call: FunctionInvocation, _ reason: String, _ now: Int64) {
        guard let (caller, head) = head(call) else { return }
        fail(caller, .throttled(reason), id: call.id, head, now)
    }

    // MARK: Streams

    /// Hands a piece of a stream on; false where the stream cannot be understood.
    func stream(_ bytes: [UInt8], of call: FunctionInvocation) -> Bool {
        guard var stream = call.stream else { return true }
        defer { call.stream = stream }
        do {
            let (start, body) = try stream.receive(bytes)
            if let start { begin(start, call) }
            if !body.isEmpty, let (caller, head) = head(call), call.hasAnswered, head.method != "HEAD" {
                caller.send(head.takesChunks ? HTTPReply.chunk(body) : body)
            }
            return true
        } catch {
            return false
        }
    }

    private func begin(_ start: FunctionResponse, _ call: FunctionInvocation) {
        call.hasAnswered = true
        guard let (caller, head) = head(call) else { return }
        let fields = start.fields + [HTTPField("x-amzn-requestid", call.id)]
        // A body without a known length needs pieces, or the connection's end.
        caller.send(
            HTTPReply.head(
                HTTPReply.isBodiless(start.status) ? 200 : start.status, fields,
                body: head.takesChunks ? .chunked : .untilEnd, keepsAlive: head.keepsAlive && head.takesChunks))
    }

    /// The stream is over: a caller sees the last piece only where all went well.
    private func endStream(
        _ call: FunctionInvocation, _ caller: HTTPConnection, _ head: HTTPRequestHead, _ outcome: FunctionOutcome,
        _ now: Int64
    ) {
        release(caller)
        guard outcome == .succeeded else {
            // Reset instead of an end: nobody takes a part for the whole.
            return caller.close()
        }
        if head.takesChunks { caller.send(HTTPReply.lastChunk) }
        caller.next(
            keepsAlive: head.keepsAlive && head.takesChunks, now: now, idleMilliseconds: Self.patienceMilliseconds)
    }

    /// What a stream that ended well still owes its caller.
    func finishStream(of call: FunctionInvocation) throws(FunctionResponse.Refusal) {
        if let start = try call.stream?.end() { begin(start, call) }
    }
}
