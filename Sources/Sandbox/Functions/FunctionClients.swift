internal import Contract
internal import Linux
internal import Workloads

/// Runtime clients: the Runtime API of each instance.
extension FunctionLoop {
    func handle(
        client connection: HTTPConnection, _ key: RevisionKey, _ number: Int, _ event: HTTPRequestParser.Event,
        _ now: Int64
    ) {
        guard let function = served[key] else { return connection.close() }
        switch event {
        case .head(let head): begin(connection, function, number, head, now)
        case .body(let bytes):
            if case .streaming(let id, _) = connection.work {
                forward(bytes, of: id, from: connection, function, number, now)
            } else {
                connection.body += bytes
            }
        case .end(let trailers): end(connection, function, number, trailers, now)
        }
    }

    /// The call that a connection's stream belongs to.
    func call(_ id: String, of connection: HTTPConnection) -> FunctionInvocation? {
        guard case .instance(let key, _) = connection.owner else { return nil }
        return served[key]?.calls[id]
    }

    // MARK: Requests

    private func begin(
        _ connection: HTTPConnection, _ function: ServedFunction, _ number: Int, _ head: HTTPRequestHead, _ now: Int64
    ) {
        let request: RuntimeRequest
        do throws(RuntimeRequest.Refusal) { request = try RuntimeRequest(head) } catch {
            connection.send(
                RuntimeReply.refusal(error.status, type: error.type, message: error.message, keepsAlive: false))
            return connection.finish(now: now)
        }
        connection.parser.bodyLimitBytes = FunctionLimit.payload
        if case .response(let id, true) = request {
            let (reply, actions) = function.pool.requested(number, request, now)
            perform(actions, function, now)
            guard reply.status == 0, let call = function.calls[id] else {
                connection.send(RuntimeReply.refusal(reply, keepsAlive: false))
                return connection.finish(now: now)
            }
            call.stream = FunctionStream(contentType: head.fields.first("content-type"))
            connection.parser.bodyLimitBytes = FunctionLimit.stream
            connection.work = .streaming(id, head)
        } else {
            connection.work = .runtime(request, head)
            // It waits where bodies under way already take all the memory that they may.
            connection.isPaused = !reserve(head, for: connection)
        }
        if head.expectsContinue { connection.send(HTTPReply.goOn) }
    }

    private func end(
        _ connection: HTTPConnection, _ function: ServedFunction, _ number: Int, _ trailers: [HTTPField], _ now: Int64
    ) {
        switch connection.work {
        case .runtime(.next, let head): next(connection, function, number, head, now)
        case .runtime(let request, let head):
            switch request {
            case .response(let id, _), .error(let id, _): function.calls[id]?.returned = connection.body
            case .initError, .next: break
            }
            let (reply, actions) = function.pool.requested(number, typed(request, connection.body), now)
            connection.body = []
            release(connection)
            answer(connection, reply, head, now)
            perform(actions, function, now)
        case .streaming(let id, let head):
            let type = trailers.first("lambda-runtime-function-error-type")
            var ending = type.map { FunctionOutcome.failed(type: $0) } ?? .succeeded
            if ending == .succeeded, let call = function.calls[id] {
                do { try finishStream(of: call) } catch { ending = .failed(type: "Runtime.InvalidStream") }
            }
            let (reply, actions) = function.pool.streamEnded(number, ending, now)
            answer(connection, reply, head, now)
            perform(actions, function, now)
        case .none, .calling, .called, .waiting: break
        }
    }

    /// A request with the type of the error that its body tells of.
    private func typed(_ request: RuntimeRequest, _ body: [UInt8]) -> RuntimeRequest {
        switch request {
        case .error(let id, let type): .error(id: id, type: FunctionError.type(header: type, body: body))
        case .initError(let type): .initError(type: FunctionError.type(header: type, body: body))
        case .next, .response: request
        }
    }

    private func answer(
        _ connection: HTTPConnection, _ reply: FunctionInstance.Reply, _ head: HTTPRequestHead, _ now: Int64
    ) {
        connection.send(
            reply.status == 202
                ? RuntimeReply.accepted(keepsAlive: head.keepsAlive)
                : RuntimeReply.refusal(reply, keepsAlive: head.keepsAlive))
        connection.next(keepsAlive: head.keepsAlive, now: now, idleMilliseconds: nil)
    }

    /// `next`: the connection waits, unless a call does.
    private func next(
        _ connection: HTTPConnection, _ function: ServedFunction, _ number: Int, _ head: HTTPRequestHead, _ now: Int64
    ) {
        release(connection)
        guard let sandbox = function.sandboxes[number] else { return connection.close() }
        if let call = sandbox.pending {
            // Its connection broke while it waited; the call that came meanwhile is handed over now.
            sandbox.pending = nil
            connection.work = .waiting(head)
            sandbox.waiting = connection
            return deliver(call, to: sandbox, function, now)
        }
        if sandbox.waiting == nil, function.pool.isIdle(number) {
            // As before: a client that lost its connection asks again.
            connection.work = .waiting(head)
            sandbox.waiting = connection
            return freeze(sandbox, function, now)
        }
        connection.work = .waiting(head)
        let before = sandbox.waiting
        sandbox.waiting = connection
        let (reply, actions) = function.pool.requested(number, .next, now)
        if reply.status != 0 {
            sandbox.waiting = before
            connection.send(RuntimeReply.refusal(reply, keepsAlive: false))
            connection.finish(now: now)
        }
        perform(actions, function, now)
    }

    /// Hands a call over on the connection that waits for one.
    func deliver(_ call: FunctionCall, to sandbox: FunctionSandbox, _ function: ServedFunction, _ now: Int64) {
        guard let invocation = function.calls[call.id] else { return }
        guard let connection = sandbox.waiting, !connection.isGone, case .waiting(let head) = connection.work else {
            sandbox.pending = call
            return
        }
        sandbox.waiting = nil
        if invocation.delivered == nil { effects.log(function.log, FunctionLogLine.start(call.id)) }
        invocation.delivered = now
        if sandbox.deliveries == 0 { invocation.initialisation = now - sandbox.ordered }
        sandbox.deliveries += 1
        // The instance's clock is the node's, which may be set while a call runs: the deadline is counted from now.
        let deadline = Clock.realtimeMilliseconds() + max(0, call.deadlineMilliseconds - now)
        connection.send(
            RuntimeReply.invocation(
                RuntimeReply.Invocation(
                    id: call.id, deadlineMilliseconds: deadline, function: function.name, trace: invocation.trace),
                event: invocation.event, keepsAlive: head.keepsAlive))
        invocation.event = []
        release(invocation)
        connection.next(keepsAlive: head.keepsAlive, now: now, idleMilliseconds: nil)
    }

    // MARK: Streams

    private func forward(
        _ bytes: [UInt8], of id: String, from connection: HTTPConnection, _ function: ServedFunction, _ number: Int,
        _ now: Int64
    ) {
        guard let call = function.calls[id] else { return }
        guard stream(bytes, of: call) else {
            connection.send(
                RuntimeReply.refusal(
                    400, type: "InvalidStream", message: "what precedes the stream is not understood",
                    keepsAlive: false))
            connection.finish(now: now)
            return streamEnded(function, number, .failed(type: "Runtime.InvalidStream"), now)
        }
        // A slow caller slows the function down instead of filling the node's memory.
        if let caller = call.caller, caller.unsentBytes > HTTPConnection.backlogBytes { connection.isPaused = true }
    }

    /// A stream ended before its time.
    func streamEnded(_ function: ServedFunction, _ number: Int, _ ending: FunctionOutcome, _ now: Int64) {
        perform(function.pool.streamEnded(number, ending, now).actions, function, now)
    }

    /// A request that is not read to its end.
    func refuse(
        client connection: HTTPConnection, _ function: ServedFunction, _ number: Int, _ refusal: HTTPRefusal,
        _ now: Int64
    ) {
        let work = connection.work
        release(connection)
        connection.send(
            refusal.status == 413
                ? RuntimeReply.tooLarge(connection.parser.bodyLimitBytes)
                : RuntimeReply.refusal(
                    refusal.status, type: "InvalidRequest", message: refusal.reason, keepsAlive: false))
        connection.finish(now: now)
        let type = refusal.status == 413 ? "Function.ResponseSizeTooLarge" : "Runtime.InvalidRequest"
        switch work {
        case .runtime(.response(let id, _), _), .runtime(.error(let id, _), _):
            perform(function.pool.requested(number, .error(id: id, type: type), now).actions, function, now)
        case .streaming: streamEnded(function, number, .failed(type: type), now)
        default: break
        }
    }
}
