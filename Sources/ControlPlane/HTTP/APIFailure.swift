import Contract
import HTTPTypes
import Hummingbird
import NIOCore

/// An error reply: its status, a stable code and a sentence that says what to do.
struct APIFailure: Error, Equatable {
    var status: HTTPResponse.Status
    var error: APIError
    var headers: HTTPFields = [:]

    init(_ status: HTTPResponse.Status, _ code: String, _ message: String, headers: HTTPFields = [:]) {
        self.status = status
        error = APIError(code: code, message: message)
        self.headers = headers
    }

    /// The reply.
    var response: Response {
        let bytes = (try? Wire.encode(error)) ?? Array(#"{"code":"internal","message":"the server failed"}"#.utf8)
        var fields = headers
        fields[.contentType] = "application/json"
        return Response(status: status, headers: fields, body: .init(byteBuffer: ByteBuffer(bytes: bytes)))
    }

    static func notFound(_ what: String) -> APIFailure {
        APIFailure(.notFound, "not-found", what)
    }

    static func malformed(_ sentence: String) -> APIFailure {
        APIFailure(.badRequest, "malformed", sentence)
    }

    static let diskFull = APIFailure(
        HTTPResponse.Status(code: 507, reasonPhrase: "Insufficient Storage"), "disk-full",
        "the server's disk has no room for this; make room where its data directory lies, then try again")

    static let diskReadOnly = APIFailure(
        .serviceUnavailable, "disk-read-only",
        "the server's database can only be read; look at the disk that its data directory lies on, then try again",
        headers: [.retryAfter: "10"])

    static func tooLarge(limit: Int) -> APIFailure {
        APIFailure(
            .contentTooLarge, "body-too-large", "the body is larger than the \(limit) bytes that this route accepts")
    }
}

/// JSON in and out, bounded.
enum Exchange {
    /// Reads a JSON body of at most `limit` bytes.
    static func decode<Value: Decodable>(
        _ type: Value.Type, from request: Request, limit: Int
    ) async throws -> Value {
        try decode(type, from: try await bytes(of: request, limit: limit), limit: limit)
    }

    /// Reads a body of at least one byte and at most `limit`.
    static func bytes(of request: Request, limit: Int) async throws -> [UInt8] {
        let bytes = try await allBytes(of: request, limit: limit)
        guard !bytes.isEmpty else {
            throw APIFailure.malformed("the body is empty; send JSON as the API's description says")
        }
        return bytes
    }

    /// Reads a body that may be empty, which is nil.
    static func decodeIfPresent<Value: Decodable>(
        _ type: Value.Type, from request: Request, limit: Int
    ) async throws -> Value? {
        let bytes = try await allBytes(of: request, limit: limit)
        return bytes.isEmpty ? nil : try decode(type, from: bytes, limit: limit)
    }

    private static func decode<Value: Decodable>(_ type: Value.Type, from bytes: [UInt8], limit: Int) throws -> Value {
        do {
            return try Wire.decode(type, from: bytes, limit: limit)
        } catch {
            throw APIFailure.malformed("the body is not what this route accepts: \(error)")
        }
    }

    private static func allBytes(of request: Request, limit: Int) async throws -> [UInt8] {
        if let length = request.headers[.contentLength].flatMap(Int.init), length > limit {
            throw APIFailure.tooLarge(limit: limit)
        }
        let buffer: ByteBuffer
        do {
            buffer = try await request.body.collect(upTo: limit)
        } catch is NIOTooManyBytesError {
            throw APIFailure.tooLarge(limit: limit)
        }
        return Array(buffer.readableBytesView)
    }

    /// A JSON reply.
    static func reply(_ value: some Encodable, status: HTTPResponse.Status = .ok) throws -> Response {
        reply(json: try Wire.encode(value), status: status)
    }

    /// A reply of JSON that is encoded already.
    static func reply(json bytes: [UInt8], status: HTTPResponse.Status = .ok) -> Response {
        Response(
            status: status, headers: [.contentType: "application/json", .cacheControl: "no-store"],
            body: .init(byteBuffer: ByteBuffer(bytes: bytes)))
    }
}

/// Reads parameters of paths and queries.
extension Request {
    /// A whole number in the query, within bounds; `fallback` where there is none.
    func number(_ name: String, within range: ClosedRange<Int64>, fallback: Int64) throws -> Int64 {
        guard let text = uri.queryParameters[name[...]] else { return fallback }
        guard let value = Int64(text), range.contains(value) else {
            throw APIFailure.malformed(
                "query parameter '\(name)' is a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }

    /// How long a poll may wait.
    func waitSeconds() throws -> Int64 {
        try number("waitSeconds", within: 0...Int64(WireLimit.longPollSeconds), fallback: 0)
    }

    /// A node id in the query.
    func node(_ name: String) throws -> NodeID? {
        guard let text = uri.queryParameters[name[...]] else { return nil }
        guard let id = NodeID(String(text)) else {
            throw APIFailure.malformed("query parameter '\(name)' is a node id of 26 characters")
        }
        return id
    }

    /// The text after `Authorization: Bearer`.
    var bearer: String? {
        guard let value = headers[.authorization], value.count > 7, value.prefix(7).lowercased() == "bearer " else {
            return nil
        }
        return String(value.dropFirst(7))
    }
}
