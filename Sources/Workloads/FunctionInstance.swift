/// One sandbox of a function as the Runtime API sees it. Times are milliseconds since 1970.
///
/// It begins by starting, is frozen between calls, and is killed at a time-out or an error of its initialisation, so
/// that no call meets what another one left broken.
public struct FunctionInstance: Sendable, Hashable {
    /// What is to be done.
    public enum Action: Sendable, Hashable {
        /// Answer the waiting `next` with this call.
        case deliver(FunctionCall)
        /// Stop its processes (`cgroup.freeze`).
        case freeze
        /// Let them go on.
        case thaw
        /// End all of it.
        case kill
        /// The call with this id has this outcome.
        case complete(String, FunctionOutcome)
    }

    /// What a request is answered with at once: the status, and the error's type for all but 202.
    public struct Reply: Sendable, Hashable {
        /// The HTTP status; 0 leaves the request open until a call is delivered.
        public var status: Int
        /// `errorType`, empty for 202.
        public var type: String

        static let accepted = Reply(status: 202, type: "")
        static let waits = Reply(status: 0, type: "")
        static let unknownID = Reply(status: 400, type: "InvalidRequestID")
        static let wrongState = Reply(status: 403, type: "InvalidStateTransition")
    }

    enum State: Sendable, Hashable {
        /// Its process starts, with the call that it was started for.
        case starting(FunctionCall?, deadlineMilliseconds: Int64)
        /// It waits in `next`, frozen.
        case idle(sinceMilliseconds: Int64)
        /// A call is with it; whether its response has begun as a stream.
        case busy(FunctionCall, isStreaming: Bool)
        /// It answered and has not yet asked for the next call.
        case answered(FunctionCall)
        /// It is gone.
        case ended
    }

    private(set) var state: State
    private let timeoutMilliseconds: Int64

    /// Starts one, perhaps for a call. Initialisation has its own limit; a call's time begins when it is delivered,
    /// as with Lambda.
    public init(call: FunctionCall?, initDeadlineMilliseconds: Int64, timeoutMilliseconds: Int64) {
        state = .starting(call, deadlineMilliseconds: initDeadlineMilliseconds)
        self.timeoutMilliseconds = timeoutMilliseconds
    }

    /// Whether a call can be given to it.
    public var isIdle: Bool {
        if case .idle = state { true } else { false }
    }

    /// Whether it is gone.
    public var hasEnded: Bool { state == .ended }

    /// When `timePassed` must be called at the latest; nil where nothing is due.
    public var dueMilliseconds: Int64? {
        switch state {
        case .starting(_, let deadline): deadline
        case .busy(let call, _), .answered(let call): call.deadlineMilliseconds
        case .idle, .ended: nil
        }
    }

    /// Gives a call to an idle instance; nothing happens in any other state.
    public mutating func invoke(_ call: FunctionCall, _ now: Int64) -> [Action] {
        guard isIdle else { return [] }
        return [.thaw, deliver(call, now)]
    }

    private mutating func deliver(_ call: FunctionCall, _ now: Int64) -> Action {
        let timed = FunctionCall(id: call.id, deadlineMilliseconds: now + timeoutMilliseconds)
        state = .busy(timed, isStreaming: false)
        return .deliver(timed)
    }

    /// Takes a request of its runtime client.
    public mutating func requested(_ request: RuntimeRequest, _ now: Int64) -> (reply: Reply, actions: [Action]) {
        switch request {
        case .next: next(now)
        case .response(let id, let isStreaming): respond(id, isStreaming)
        case .error(let id, let type): fail(id, type)
        case .initError(let type): failInit(type)
        }
    }

    private mutating func next(_ now: Int64) -> (Reply, [Action]) {
        switch state {
        case .starting(let call?, _):
            return (.waits, [deliver(call, now)])
        case .starting(nil, _), .answered:
            state = .idle(sinceMilliseconds: now)
            return (.waits, [.freeze])
        case .busy(let call, _):
            // It dropped its call: the next one would never be told from it.
            state = .ended
            let outcome = Self.exited(call.id, "without an answer: it asked for another call")
            return (.wrongState, [.kill, .complete(call.id, outcome)])
        case .idle: return (.wrongState, [])
        case .ended: return (.wrongState, [])
        }
    }

    private mutating func respond(_ id: String, _ isStreaming: Bool) -> (Reply, [Action]) {
        guard case .busy(let call, false) = state else { return (.wrongState, []) }
        guard call.id == id else { return (.unknownID, []) }
        if isStreaming {
            state = .busy(call, isStreaming: true)
            return (.waits, [])
        }
        state = .answered(call)
        return (.accepted, [.complete(id, .succeeded)])
    }

    /// The stream of a response has ended: whole, with the error of its trailers, or cut off.
    public mutating func streamEnded(_ ending: FunctionOutcome) -> (reply: Reply, actions: [Action]) {
        guard case .busy(let call, true) = state else { return (.wrongState, []) }
        state = .answered(call)
        return (.accepted, [.complete(call.id, ending)])
    }

    private mutating func fail(_ id: String, _ type: String) -> (Reply, [Action]) {
        guard case .busy(let call, false) = state else { return (.wrongState, []) }
        guard call.id == id else { return (.unknownID, []) }
        state = .answered(call)
        return (.accepted, [.complete(id, .failed(type: type.isEmpty ? "Unhandled" : type))])
    }

    private mutating func failInit(_ type: String) -> (Reply, [Action]) {
        guard case .starting(let call, _) = state else { return (.wrongState, []) }
        state = .ended
        let outcome = FunctionOutcome.failed(type: type.isEmpty ? "Runtime.InitError" : type)
        return (.accepted, [.kill] + (call.map { [.complete($0.id, outcome)] } ?? []))
    }

    /// Its process ended by itself; `how` completes the sentence that it exited, such as `with error: exit status 1`.
    public mutating func exited(_ how: String) -> [Action] {
        defer { state = .ended }
        switch state {
        case .starting(let call, _):
            return [.kill] + (call.map { [.complete($0.id, Self.exited($0.id, how))] } ?? [])
        case .busy(let call, _): return [.kill, .complete(call.id, Self.exited(call.id, how))]
        case .answered, .idle: return [.kill]
        case .ended: return []
        }
    }

    /// The function is stopped: it ends at once, and its call is told so.
    public mutating func end() -> [Action] {
        defer { state = .ended }
        switch state {
        case .starting(let call?, _), .busy(let call, _):
            return [.kill, .complete(call.id, FunctionPool.shutDown(call.id))]
        case .starting(nil, _), .answered, .idle: return [.kill]
        case .ended: return []
        }
    }

    /// Time has passed: what is over its limit is killed, and its call told so.
    public mutating func timePassed(_ now: Int64, idleMilliseconds: Int64) -> [Action] {
        switch state {
        case .starting(let call, let deadline) where now >= deadline:
            state = .ended
            let outcome = FunctionOutcome.ended(type: "Sandbox.Timedout", message: "the initialisation timed out")
            return [.kill] + (call.map { [.complete($0.id, outcome)] } ?? [])
        case .busy(let call, _) where now >= call.deadlineMilliseconds:
            state = .ended
            let message =
                "RequestId: \(call.id) Error: Task timed out after \(Self.seconds(timeoutMilliseconds)) seconds"
            return [.kill, .complete(call.id, .ended(type: "Sandbox.Timedout", message: message))]
        // Its caller has the answer; whatever still runs after the deadline would run into the next call.
        case .answered(let call) where now >= call.deadlineMilliseconds:
            state = .ended
            return [.kill]
        case .idle(let since) where now - since >= idleMilliseconds:
            state = .ended
            return [.kill]
        default: return []
        }
    }

    private static func exited(_ id: String, _ how: String) -> FunctionOutcome {
        .ended(type: "Runtime.ExitError", message: "RequestId: \(id) Error: Runtime exited \(how)")
    }

    /// Seconds with two digits after the point.
    private static func seconds(_ milliseconds: Int64) -> String {
        "\(milliseconds / 1000)." + String(String(milliseconds % 1000 / 10 + 100).dropFirst())
    }
}
