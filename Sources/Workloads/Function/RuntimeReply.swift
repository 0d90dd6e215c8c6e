/// Replies of the Runtime API, version 2018-06-01, as Lambda's own interface gives them (its OpenAPI document, and
/// "AWS Lambda runtime API" in the developer guide).
public enum RuntimeReply {
    /// The path below which the interface lies is told to the function as this address, on its own loopback.
    public static let address = "127.0.0.1"
    /// The port there.
    public static let port: UInt16 = 9001

    /// What the answer to `next` says of a call, beside the event.
    public struct Invocation: Sendable, Hashable {
        /// The call's id.
        public var id: String
        /// When it must be done, in milliseconds since 1970.
        public var deadlineMilliseconds: Int64
        /// The function's name.
        public var function: String
        /// X-Ray's trace header.
        public var trace: String

        /// Makes it.
        public init(id: String, deadlineMilliseconds: Int64, function: String, trace: String) {
            self.id = id
            self.deadlineMilliseconds = deadlineMilliseconds
            self.function = function
            self.trace = trace
        }
    }

    /// The answer to `next`.
    public static func invocation(_ call: Invocation, event: [UInt8], keepsAlive: Bool) -> [UInt8] {
        let fields = [
            HTTPField("content-type", "application/json"), HTTPField("lambda-runtime-aws-request-id", call.id),
            HTTPField("lambda-runtime-deadline-ms", "\(call.deadlineMilliseconds)"),
            HTTPField("lambda-runtime-invoked-function-arn", arn(call.function)),
            HTTPField("lambda-runtime-trace-id", call.trace),
        ]
        return HTTPReply.head(200, fields, body: .length(event.count), keepsAlive: keepsAlive) + event
    }

    /// A name in the form that Lambda's clients take apart; region and account are none.
    public static func arn(_ function: String) -> String { "arn:aws:lambda:local:000000000000:function:\(function)" }

    /// A trace header from 12 random bytes and the time: the version, the second, the random part
    /// (AWS X-Ray developer guide, "Tracing header").
    public static func trace(seconds: Int64, random: [UInt8]) -> String {
        let hex = random.prefix(12).map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
        let time = String(seconds & 0xFFFF_FFFF, radix: 16)
        return "Root=1-\(String(repeating: "0", count: 8 - time.count) + time)-\(hex);Sampled=0"
    }

    /// `202 Accepted`.
    public static func accepted(keepsAlive: Bool) -> [UInt8] {
        json(202, .object(["status": .string("OK")]), keepsAlive: keepsAlive)
    }

    /// A refusal in the interface's form.
    public static func refusal(_ status: Int, type: String, message: String, keepsAlive: Bool) -> [UInt8] {
        json(
            status, .object(["errorMessage": .string(message), "errorType": .string(type)]), keepsAlive: keepsAlive)
    }

    /// The refusal of a state machine's reply.
    public static func refusal(_ reply: FunctionInstance.Reply, keepsAlive: Bool) -> [UInt8] {
        let message =
            switch reply.type {
            case "InvalidRequestID": "Invalid request ID"
            case "InvalidStateTransition": "State transition is not allowed"
            default: "The request is refused"
            }
        return refusal(reply.status, type: reply.type, message: message, keepsAlive: keepsAlive)
    }

    /// A body that is too long.
    public static func tooLarge(_ limit: Int) -> [UInt8] {
        refusal(
            413, type: "RequestEntityTooLarge", message: "Exceeded maximum allowed payload size (\(limit) bytes).",
            keepsAlive: false)
    }

    private static func json(_ status: Int, _ value: DocumentValue, keepsAlive: Bool) -> [UInt8] {
        let body = value.json
        return HTTPReply.head(
            status, [HTTPField("content-type", "application/json")], body: .length(body.count), keepsAlive: keepsAlive)
            + body
    }
}

extension RuntimeRequest {
    /// Reads a request's head.
    public init(_ head: HTTPRequestHead) throws(Refusal) {
        try self.init(
            method: head.method, path: head.path,
            headers: Dictionary(head.fields.map { ($0.name, $0.value) }) { first, _ in first })
    }
}

/// What the caller of a function's URL is told where the function gave no answer.
public enum FunctionFailure: Sendable, Hashable {
    /// No function has this path.
    case unknown
    /// The request is not what HTTP allows, or too large.
    case refused(HTTPRefusal)
    /// All instances are busy and the queue is full.
    case throttled(String)
    /// The node cannot run it now.
    case unavailable(String)
    /// How the call ended.
    case ended(FunctionOutcome)
    /// What it returned cannot be sent.
    case unsendable(String)

    /// The status: 404, 429, 502, 503, 504, or that of the refusal.
    public var status: Int {
        switch self {
        case .unknown: 404
        case .refused(let refusal): refusal.status
        case .throttled: 429
        case .unavailable, .ended(.ended("Sandbox.Shutdown", _)): 503
        case .ended(.ended("Sandbox.Timedout", _)): 504
        case .ended, .unsendable: 502
        }
    }

    /// The whole reply. What the function said of its error stays in its log.
    public func reply(id: String?, keepsAlive: Bool) -> [UInt8] {
        var members: [String: DocumentValue] = ["message": .string(message)]
        if case .ended(.failed(let type)) = self { members["errorType"] = .string(String(type.prefix(256))) }
        if case .ended(.ended(let type, _)) = self { members["errorType"] = .string(type) }
        members["requestId"] = id.map { .string($0) }
        let body = DocumentValue.object(members).json
        var fields = [HTTPField("content-type", "application/json")]
        if status == 429 || status == 503 { fields.append(HTTPField("retry-after", "1")) }
        return HTTPReply.head(status, fields, body: .length(body.count), keepsAlive: keepsAlive) + body
    }

    private var message: String {
        switch self {
        case .unknown: "no function of this node has this path"
        case .refused(let refusal): refusal.reason
        case .throttled(let reason), .unavailable(let reason): reason
        case .ended(.succeeded): "the function answered"
        case .ended(.failed): "the function failed"
        case .ended(.ended(_, let message)): message
        case .unsendable(let reason): reason
        }
    }
}
