internal import FoundationEssentials

/// Bounds of what a call carries, those of Lambda, in bytes.
public enum FunctionLimit {
    /// An event, and a response that is not streamed.
    public static let payload = 6 * 1024 * 1024 + 100
    /// A streamed response.
    public static let stream = 20 << 20
    /// Status and fields before a streamed response's body.
    public static let prelude = 64 << 10
}

/// The events that functions are called with.
public enum FunctionEvent {
    /// A request to a function's URL.
    public struct Request: Sendable, Hashable {
        /// The method.
        public var method: String
        /// The path below the function's own, as it was sent.
        public var path: String
        /// The query as it was sent.
        public var query: String
        /// The fields.
        public var fields: [HTTPField]
        /// The body.
        public var body: [UInt8]
        /// The caller's address.
        public var sourceAddress: String
        /// The function's name.
        public var function: String
        /// The call's id.
        public var id: String
        /// When, in milliseconds since 1970.
        public var timeMilliseconds: Int64

        /// Makes a request.
        public init(
            method: String, path: String, query: String, fields: [HTTPField], body: [UInt8], sourceAddress: String,
            function: String, id: String, timeMilliseconds: Int64
        ) {
            self.method = method
            self.path = path
            self.query = query
            self.fields = fields
            self.body = body
            self.sourceAddress = sourceAddress
            self.function = function
            self.id = id
            self.timeMilliseconds = timeMilliseconds
        }
    }

    /// The event of an HTTP request: API Gateway's payload format 2.0, as Lambda's function URLs send it (Lambda
    /// developer guide, "Invoking Lambda function URLs").
    public static func http(_ request: Request) -> [UInt8] {
        let host = request.fields.first("host") ?? ""
        let domain = host.hasPrefix("[") ? String(host.prefix { $0 != "]" }) + "]" : String(host.prefix { $0 != ":" })
        let http: [String: DocumentValue] = [
            "method": .string(request.method), "path": .string(request.path), "protocol": .string("HTTP/1.1"),
            "sourceIp": .string(request.sourceAddress),
            "userAgent": .string(request.fields.first("user-agent") ?? ""),
        ]
        let context: [String: DocumentValue] = [
            "accountId": .string("anonymous"), "apiId": .string(request.function), "domainName": .string(domain),
            "domainPrefix": .string(String(domain.prefix { $0 != "." })), "http": .object(http),
            "requestId": .string(request.id), "routeKey": .string("$default"), "stage": .string("$default"),
            "time": .string(CivilTime(seconds: CivilTime.floored(request.timeMilliseconds, 1000)).commonLog),
            "timeEpoch": .integer(request.timeMilliseconds),
        ]
        var members: [String: DocumentValue] = [
            "version": .string("2.0"), "routeKey": .string("$default"), "rawPath": .string(request.path),
            "rawQueryString": .string(request.query), "headers": .object(joined(request.fields)),
            "requestContext": .object(context), "isBase64Encoded": .bool(false),
        ]
        let cookies = request.fields.filter { $0.name == "cookie" }.flatMap { $0.value.split(separator: ";") }
            .map { DocumentValue.string($0.trimmed) }
        if !cookies.isEmpty { members["cookies"] = .array(cookies) }
        let query = parameters(request.query)
        if !query.isEmpty { members["queryStringParameters"] = .object(query.mapValues { .string($0) }) }
        if !request.body.isEmpty {
            if isText(request.fields), let text = String(validating: request.body, as: UTF8.self) {
                members["body"] = .string(text)
            } else {
                members["body"] = .string(Data(request.body).base64EncodedString())
                members["isBase64Encoded"] = .bool(true)
            }
        }
        return DocumentValue.object(members).json
    }

    /// The event of a schedule, in the form of EventBridge's scheduled events.
    public static func schedule(_ expression: String, function: String, id: String, timeSeconds: Int64) -> [UInt8] {
        bridge(
            id: id, type: "Scheduled Event", source: "aws.events", timeSeconds: timeSeconds,
            resources: ["\(function): \(expression)"], detail: [:])
    }

    /// The event of something that happened on the node, in the form of EventBridge's events.
    public static func node(_ kind: String, _ message: String, id: String, timeSeconds: Int64) -> [UInt8] {
        bridge(
            id: id, type: kind, source: "apus.node", timeSeconds: timeSeconds, resources: [],
            detail: ["kind": .string(kind), "message": .string(message)])
    }

    private static func bridge(
        id: String, type: String, source: String, timeSeconds: Int64, resources: [String],
        detail: [String: DocumentValue]
    ) -> [UInt8] {
        DocumentValue.object([
            "version": .string("0"), "id": .string(id), "detail-type": .string(type), "source": .string(source),
            "account": .string(""), "region": .string(""),
            "time": .string(CivilTime(seconds: timeSeconds).standard),
            "resources": .array(resources.map { .string($0) }), "detail": .object(detail),
        ]).json
    }

    // MARK: Parts

    /// Fields by name; several of one name with commas between them. Cookies stand apart.
    private static func joined(_ fields: [HTTPField]) -> [String: DocumentValue] {
        var result: [String: String] = [:]
        for field in fields where field.name != "cookie" {
            result[field.name] = result[field.name].map { $0 + "," + field.value } ?? field.value
        }
        return result.mapValues { .string($0) }
    }

    /// The query's names and values without their escapes; several of one name with commas between them.
    static func parameters(_ query: String) -> [String: String] {
        var result: [String: String] = [:]
        for item in query.split(separator: "&").prefix(1000) {
            let parts = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = unescaped(parts[0])
            let value = parts.count == 2 ? unescaped(parts[1]) : ""
            result[name] = result[name].map { $0 + "," + value } ?? value
        }
        return result
    }

    /// Without percent signs (RFC 3986, section 2.1) and with blanks for plus signs; what is no escape stays.
    private static func unescaped(_ text: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), rest.count >= 2,
                let code = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16),
                rest.prefix(2).allSatisfy({ $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "-") })
            {
                bytes.append(code)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte == UInt8(ascii: "+") ? 0x20 : byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Whether a body goes into the event as it is.
    private static func isText(_ fields: [HTTPField]) -> Bool {
        guard fields.first("content-encoding").map({ $0.lowercased() == "identity" }) ?? true else { return false }
        let type = (fields.first("content-type") ?? "").prefix { $0 != ";" }.trimmed.lowercased()
        return type.hasPrefix("text/") || type.hasSuffix("+json") || type.hasSuffix("+xml")
            || ["application/json", "application/javascript", "application/xml"].contains(type)
    }
}
