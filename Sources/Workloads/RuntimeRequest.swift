/// What a runtime client asked of the AWS Lambda Runtime API, version 2018-06-01 ("AWS Lambda runtime API",
/// Lambda developer guide).
public enum RuntimeRequest: Sendable, Hashable {
    /// `GET /runtime/invocation/next`: waits for a call.
    case next
    /// `POST /runtime/invocation/ID/response`: a call's result, perhaps as a stream.
    case response(id: String, isStreaming: Bool)
    /// `POST /runtime/invocation/ID/error`: a call failed in the function.
    case error(id: String, type: String)
    /// `POST /runtime/init/error`: the function could not begin.
    case initError(type: String)

    /// Why a request is refused, in the form of the API's error replies.
    public struct Refusal: Error, Sendable, Hashable {
        /// The HTTP status.
        public var status: Int
        /// `errorType`.
        public var type: String
        /// `errorMessage`.
        public var message: String
    }

    /// The longest request line's path, in bytes.
    public static let pathLimit = 256

    /// Reads a request's line and the headers that count; names of headers are in any case.
    public init(method: String, path: String, headers: [String: String] = [:]) throws(Refusal) {
        let unknown = Refusal(status: 404, type: "InvalidRequest", message: "no such resource")
        guard path.utf8.count <= Self.pathLimit, path.hasPrefix("/2018-06-01/runtime/") else { throw unknown }
        let parts = path.dropFirst(20).split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        func header(_ name: String) -> String? { headers.first { $0.key.lowercased() == name }?.value }
        let errorType = String((header("lambda-runtime-function-error-type") ?? "").prefix(256))
        let wanted = parts == ["invocation", "next"] ? "GET" : "POST"
        switch (parts.first, parts.last, parts.count) {
        case ("invocation", "next", 2): self = .next
        case ("init", "error", 2): self = .initError(type: errorType)
        case ("invocation", "response", 3) where Self.isID(parts[1]):
            let isStreaming = header("lambda-runtime-function-response-mode")?.lowercased() == "streaming"
            self = .response(id: parts[1], isStreaming: isStreaming)
        case ("invocation", "error", 3) where Self.isID(parts[1]): self = .error(id: parts[1], type: errorType)
        default: throw unknown
        }
        guard method == wanted else {
            throw Refusal(status: 405, type: "InvalidRequest", message: "allowed is \(wanted)")
        }
    }

    private static func isID(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count)
            && text.utf8.allSatisfy {
                (0x61...0x7A).contains($0) || (0x41...0x5A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D
            }
    }
}

/// A call of a function.
public struct FunctionCall: Sendable, Hashable {
    /// The request id that the runtime sees.
    public var id: String
    /// When it must be done, in milliseconds since 1970: `Lambda-Runtime-Deadline-Ms`.
    public var deadlineMilliseconds: Int64

    /// Makes a call.
    public init(id: String, deadlineMilliseconds: Int64) {
        self.id = id
        self.deadlineMilliseconds = deadlineMilliseconds
    }
}

/// How a call ended. Bodies travel beside the machine, which sees none of them.
public enum FunctionOutcome: Sendable, Hashable {
    /// The function answered; the body is the response's.
    case succeeded
    /// The function said that it failed; the body is the error's.
    case failed(type: String)
    /// The platform ended it: the type and the message that Lambda gives.
    case ended(type: String, message: String)
}
