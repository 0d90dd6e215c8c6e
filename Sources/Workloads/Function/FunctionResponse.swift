internal import Contract
internal import FoundationEssentials

/// What a caller of a function's URL is answered with, from what the function returned (Lambda developer guide,
/// "Invoking Lambda function URLs", "Response payload format").
public struct FunctionResponse: Sendable, Hashable {
    /// The status.
    public var status: Int
    /// The fields, cookies as `set-cookie` among them.
    public var fields: [HTTPField]
    /// The body.
    public var body: [UInt8]

    /// Why a response cannot be sent.
    public struct Refusal: Error, Sendable, Hashable, CustomStringConvertible {
        /// A sentence.
        public var description: String
    }

    /// Makes a response.
    public init(status: Int, fields: [HTTPField], body: [UInt8]) {
        self.status = status
        self.fields = fields
        self.body = body
    }

    /// Reads what a function returned. An object with `statusCode` says how to answer; any other JSON, and what is no
    /// JSON at all, is itself the body.
    public init(returned bytes: [UInt8]) throws(Refusal) {
        let type = HTTPField("content-type", "application/json")
        switch Self.kind(bytes) {
        case .answer:
            do {
                let parts = try ForeignJSON.decode(Parts.self, bytes[...])
                let (status, fields) = try parts.head()
                let isTyped = fields.first("content-type") != nil
                self.init(status: status, fields: fields + (isTyped ? [] : [type]), body: try parts.content())
            } catch let error as Refusal {
                throw error
            } catch {
                throw Refusal(description: "the function's response is not understood: \(error)")
            }
        case .text(let text): self.init(status: 200, fields: [type], body: Array(text.utf8))
        case .json: self.init(status: 200, fields: [type], body: bytes)
        case .other:
            let isText = String(validating: bytes, as: UTF8.self) != nil
            self.init(
                status: 200,
                fields: [HTTPField("content-type", isText ? "text/plain; charset=utf-8" : "application/octet-stream")],
                body: bytes)
        }
    }

    private enum Kind {
        case answer
        case text(String)
        case json
        case other
    }

    private static func kind(_ bytes: [UInt8]) -> Kind {
        struct Anything: Decodable { init(from decoder: any Decoder) throws {} }
        struct Status: Decodable {
            var isThere: Bool
            enum Keys: String, CodingKey { case statusCode }
            init(from decoder: any Decoder) throws {
                isThere = try decoder.container(keyedBy: Keys.self).contains(.statusCode)
            }
        }
        if let found = try? ForeignJSON.decode(Status.self, bytes[...]) { return found.isThere ? .answer : .json }
        if let text = try? ForeignJSON.decode(String.self, bytes[...]) { return .text(text) }
        return (try? ForeignJSON.decode(Anything.self, bytes[...])) == nil ? .other : .json
    }

    /// The parts of an answer, and of what precedes a streamed one.
    struct Parts: Decodable {
        var statusCode: Word?
        var headers: [String: Word]?
        var cookies: [String]?
        var body: String?
        var isBase64Encoded: Bool?

        /// A text, or a number or a flag as its text.
        struct Word: Decodable {
            var text: String

            init(from decoder: any Decoder) throws {
                let container = try decoder.singleValueContainer()
                if let number = try? container.decode(Int64.self) {
                    text = "\(number)"
                } else if let flag = try? container.decode(Bool.self) {
                    text = "\(flag)"
                } else {
                    text = try container.decode(String.self)
                }
            }
        }

        func head() throws(Refusal) -> (Int, [HTTPField]) {
            guard let status = Int(statusCode?.text ?? "200"), (200...599).contains(status) else {
                throw Refusal(description: "the function's statusCode is not one of 200 to 599")
            }
            let given = (headers ?? [:]).sorted { $0.key < $1.key }.map { HTTPField($0.key, $0.value.text) }
            let fields = given + (cookies ?? []).map { HTTPField("set-cookie", $0) }
            guard fields.count <= HTTPLimits().fields, fields.allSatisfy(\.isSendable) else {
                throw Refusal(
                    description: "the function's headers cannot be sent: too many, or with control characters")
            }
            return (status, fields)
        }

        func content() throws(Refusal) -> [UInt8] {
            guard isBase64Encoded == true else { return Array((body ?? "").utf8) }
            guard let data = Data(base64Encoded: body ?? "") else {
                throw Refusal(description: "the function's body is no Base64, which it says to be")
            }
            return Array(data)
        }
    }
}

/// JSON that functions write: read leniently, as their own clients do, and never deeper than a thread's stack allows.
enum ForeignJSON {
    /// How deep arrays and objects may stand in one another.
    static let depth = 64

    static func decode<Value: Decodable>(_ type: Value.Type, _ bytes: ArraySlice<UInt8>) throws(WireError) -> Value {
        guard isShallow(bytes) else { throw WireError("values are nested deeper than \(depth)") }
        return try Wire.decode(type, from: bytes, limit: FunctionLimit.payload)
    }

    private static func isShallow(_ bytes: ArraySlice<UInt8>) -> Bool {
        var level = 0
        var isText = false
        var isEscaped = false
        for byte in bytes {
            switch byte {
            case _ where isEscaped: isEscaped = false
            case UInt8(ascii: "\\") where isText: isEscaped = true
            case UInt8(ascii: "\""): isText.toggle()
            case UInt8(ascii: "["), UInt8(ascii: "{"):
                if !isText { level += 1 }
            case UInt8(ascii: "]"), UInt8(ascii: "}"):
                if !isText { level -= 1 }
            default: break
            }
            if level > depth { return false }
        }
        return true
    }
}

/// A streamed response, piece by piece: where its type says so, status and fields come first as JSON, with eight zero
/// bytes after them ("Response streaming" of the Node.js runtime client, `HttpResponseStream`).
public struct FunctionStream: Sendable {
    /// The media type of a stream that begins with its status and fields.
    public static let preludeType = "application/vnd.awslambda.http-integration-response"

    private var prelude: [UInt8]?
    private var contentType: String
    private var hasBegun = false

    /// Begins.
    ///
    /// - Parameter contentType: the request's, from the runtime client.
    public init(contentType: String?) {
        let type = contentType ?? "application/octet-stream"
        self.contentType = type
        prelude = type.prefix { $0 != ";" }.trimmed.lowercased() == Self.preludeType ? [] : nil
    }

    /// Takes a piece: the head once it is known, and what belongs to the body.
    public mutating func receive(_ bytes: [UInt8]) throws(FunctionResponse.Refusal) -> (FunctionResponse?, [UInt8]) {
        guard var held = prelude else {
            guard !hasBegun else { return (nil, bytes) }
            hasBegun = true
            return (head, bytes)
        }
        let from = max(0, held.count - 7)
        held += bytes
        guard let end = Self.zeros(held, from: from) else {
            guard held.count <= FunctionLimit.prelude else {
                throw FunctionResponse.Refusal(description: "what precedes the function's stream does not end")
            }
            prelude = held
            return (nil, [])
        }
        do {
            let parts = try ForeignJSON.decode(FunctionResponse.Parts.self, held[..<end])
            var (status, fields) = try parts.head()
            if fields.first("content-type") == nil {
                fields.append(HTTPField("content-type", "application/octet-stream"))
            }
            prelude = nil
            hasBegun = true
            return (FunctionResponse(status: status, fields: fields, body: []), Array(held[(end + 8)...]))
        } catch let error as FunctionResponse.Refusal {
            throw error
        } catch {
            throw FunctionResponse.Refusal(
                description: "what precedes the function's stream is not understood: \(error)")
        }
    }

    /// The stream is over: the head where none was given out yet.
    public mutating func end() throws(FunctionResponse.Refusal) -> FunctionResponse? {
        guard prelude == nil else {
            throw FunctionResponse.Refusal(description: "the function's stream ended before its status")
        }
        guard !hasBegun else { return nil }
        hasBegun = true
        return head
    }

    private var head: FunctionResponse {
        let field = HTTPField("content-type", contentType)
        return FunctionResponse(status: 200, fields: field.isSendable ? [field] : [], body: [])
    }

    private static func zeros(_ bytes: [UInt8], from: Int) -> Int? {
        var run = 0
        for index in from..<bytes.count {
            run = bytes[index] == 0 ? run + 1 : 0
            if run == 8 { return index - 7 }
        }
        return nil
    }
}
