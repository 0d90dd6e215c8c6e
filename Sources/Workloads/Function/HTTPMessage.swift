/// A field of an HTTP message (RFC 9110, section 5): its name in lower case, its value without the blanks around it.
public struct HTTPField: Sendable, Hashable {
    /// The name.
    public var name: String
    /// The value.
    public var value: String

    /// Makes a field; the name is lowercased.
    public init(_ name: String, _ value: String) {
        self.name = name.lowercased()
        self.value = value
    }

    /// Characters of a token (RFC 9110, section 5.6.2).
    static func isToken(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        case UInt8(ascii: "!"), UInt8(ascii: "#"), UInt8(ascii: "$"), UInt8(ascii: "%"), UInt8(ascii: "&"),
            UInt8(ascii: "'"), UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."),
            UInt8(ascii: "^"), UInt8(ascii: "_"), UInt8(ascii: "`"), UInt8(ascii: "|"), UInt8(ascii: "~"):
            true
        default: false
        }
    }

    /// Characters of a value: visible, blank, or of another encoding than ASCII.
    static func isValue(_ byte: UInt8) -> Bool { byte == 0x09 || (byte >= 0x20 && byte != 0x7F) }

    /// Whether it can be sent: nothing in it ends the line or the name.
    public var isSendable: Bool {
        !name.isEmpty && name.utf8.allSatisfy(Self.isToken) && value.utf8.allSatisfy(Self.isValue)
    }
}

extension [HTTPField] {
    /// The only value of a field; nil where there is none or several.
    public func single(_ name: String) -> String? {
        let found = filter { $0.name == name }
        return found.count == 1 ? found.first?.value : nil
    }

    /// The first value of a field.
    public func first(_ name: String) -> String? { first { $0.name == name }?.value }

    /// The words of a list, in lower case (RFC 9110, section 5.6.1).
    func words(_ name: String) -> [String] {
        filter { $0.name == name }.flatMap { $0.value.split(separator: ",") }
            .map { $0.lowercased().trimmed }.filter { !$0.isEmpty }
    }
}

extension StringProtocol {
    /// Without blanks and tabs around it.
    var trimmed: String {
        let isBlank: (Character) -> Bool = { $0 == " " || $0 == "\t" }
        guard let first = firstIndex(where: { !isBlank($0) }), let last = lastIndex(where: { !isBlank($0) }) else {
            return ""
        }
        return String(self[first...last])
    }
}

/// The head of a request.
public struct HTTPRequestHead: Sendable, Hashable {
    /// The method, such as `GET`.
    public var method: String
    /// The path and the query as they were sent.
    public var target: String
    /// The fields in order.
    public var fields: [HTTPField]
    /// How long the body is.
    public var body: Body
    /// Whether another request may follow on the connection.
    public var keepsAlive: Bool
    /// Whether the client waits for `100 Continue` before it sends the body.
    public var expectsContinue: Bool
    /// Whether a body without a known length can be answered with (HTTP/1.1).
    public var takesChunks: Bool

    /// The length of a body.
    public enum Body: Sendable, Hashable {
        /// That many bytes, perhaps none.
        case length(Int)
        /// In pieces, each with its length (RFC 9112, section 7.1).
        case chunked
    }

    /// What comes before `?`.
    public var path: String { String(target.prefix { $0 != "?" }) }

    /// What comes after `?`; empty for none.
    public var query: String { target.firstIndex(of: "?").map { String(target[target.index(after: $0)...]) } ?? "" }
}

/// Why a request is refused: nothing more is read from its connection.
public struct HTTPRefusal: Error, Sendable, Hashable {
    /// The status to answer.
    public var status: Int
    /// Why, as a sentence.
    public var reason: String

    /// Makes a refusal.
    public init(_ status: Int, _ reason: String) {
        self.status = status
        self.reason = reason
    }
}

/// What a request may cost, in bytes unless the name says otherwise.
public struct HTTPLimits: Sendable, Hashable {
    /// The request line and all fields.
    public var head = 32 << 10
    /// The request line alone.
    public var requestLine = 8 << 10
    /// Fields, as a number.
    public var fields = 100
    /// Fields that follow a body in pieces.
    public var trailers = 256 << 10

    /// The usual limits.
    public init() {}
}

/// The head of a reply, and the pieces of a body.
public enum HTTPReply {
    /// How the body is sent.
    public enum Body: Sendable, Hashable {
        /// That many bytes follow.
        case length(Int)
        /// In pieces.
        case chunked
        /// Until the connection ends.
        case untilEnd
        /// This status has none.
        case none
    }

    private static let phrases = [
        100: "Continue", 200: "OK", 201: "Created", 202: "Accepted", 204: "No Content", 301: "Moved Permanently",
        302: "Found", 304: "Not Modified", 307: "Temporary Redirect", 308: "Permanent Redirect", 400: "Bad Request",
        401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 408: "Request Timeout",
        413: "Content Too Large", 414: "URI Too Long", 417: "Expectation Failed", 429: "Too Many Requests",
        431: "Request Header Fields Too Large", 500: "Internal Server Error", 501: "Not Implemented",
        502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout", 505: "HTTP Version Not Supported",
    ]

    /// What the server says of the connection itself, which nobody else may set.
    static let reserved: Set<String> = [
        "connection", "content-length", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding",
        "upgrade",
    ]

    /// The head's bytes; fields that are reserved or cannot be sent are left out.
    public static func head(_ status: Int, _ fields: [HTTPField], body: Body, keepsAlive: Bool) -> [UInt8] {
        var text = "HTTP/1.1 \(status) \(phrases[status] ?? "")\r\n"
        for field in fields where field.isSendable && !reserved.contains(field.name) {
            text += "\(field.name): \(field.value)\r\n"
        }
        switch body {
        case .length(let count): text += "content-length: \(count)\r\n"
        case .chunked: text += "transfer-encoding: chunked\r\n"
        case .untilEnd, .none: break
        }
        if !keepsAlive { text += "connection: close\r\n" }
        return Array((text + "\r\n").utf8)
    }

    /// Whether a reply with this status has no body whatever its fields say (RFC 9110, section 6.4.1).
    public static func isBodiless(_ status: Int) -> Bool { status < 200 || status == 204 || status == 304 }

    /// One piece of a body; an empty one would end it and is left out.
    public static func chunk(_ bytes: [UInt8]) -> [UInt8] {
        bytes.isEmpty ? [] : Array((String(bytes.count, radix: 16) + "\r\n").utf8) + bytes + [0x0D, 0x0A]
    }

    /// What ends a body in pieces.
    public static let lastChunk = Array("0\r\n\r\n".utf8)

    /// Lets a client go on that waits to send its body.
    public static let goOn = Array("HTTP/1.1 100 Continue\r\n\r\n".utf8)
}
