/// Reads requests of HTTP/1.1 (RFC 9112) and 1.0 from hostile bytes, one connection each.
///
/// What two readers could understand differently is refused: a line that ends with a bare LF, a folded line, a blank
/// before a colon, a length twice, a length beside pieces, any transfer coding but `chunked`. Only what the limits allow
/// is ever held.
public struct HTTPRequestParser: Sendable {
    /// What was read.
    public enum Event: Sendable, Hashable {
        /// The head; now is the time to set `bodyLimitBytes`.
        case head(HTTPRequestHead)
        /// A part of the body.
        case body([UInt8])
        /// The request is whole; fields that came after its body.
        case end(trailers: [HTTPField])
    }

    private enum State: Sendable, Hashable {
        case head
        case fixed(left: Int)
        case chunkSize
        case chunk(left: Int)
        case chunkEnd
        case trailers
        case ended([HTTPField])
        case done
    }

    /// How long a body may be, in bytes.
    public var bodyLimitBytes: Int
    private let limits: HTTPLimits
    private var buffer: [UInt8] = []
    private var start = 0
    /// How far the end of a head or a line was looked for.
    private var scanned = 0
    private var state = State.head
    private var bodyBytes = 0

    /// Begins.
    public init(limits: HTTPLimits = HTTPLimits(), bodyLimitBytes: Int = 0) {
        self.limits = limits
        self.bodyLimitBytes = bodyLimitBytes
    }

    /// Takes bytes that came.
    public mutating func receive(_ bytes: some Sequence<UInt8>) { buffer += bytes }

    /// Bytes that came and are not yet given out.
    public var pendingBytes: Int { buffer.count - start }

    /// Whether nothing of a request has come.
    public var isAtStart: Bool { state == .head && pendingBytes == 0 }

    /// Whether the request was given out whole.
    public var isDone: Bool { state == .done }

    /// Goes on to the next request of the connection.
    public mutating func reset() {
        guard state == .done else { return }
        state = .head
        bodyBytes = 0
    }

    /// The next part; nil until more bytes come, or until `reset` once the request is whole.
    public mutating func next() throws(HTTPRefusal) -> Event? {
        defer { tidy() }
        while true {
            switch state {
            case .head: return try head().map { .head($0) }
            case .fixed(0): state = .ended([])
            case .fixed(let left):
                if bodyBytes == 0 {
                    guard left <= bodyLimitBytes else { throw tooLarge }
                    bodyBytes = left
                }
                return take(left) { .fixed(left: $0) }
            case .chunkSize:
                guard let line = try line(limit: 300) else { return nil }
                let size = try Self.chunkSize(line)
                guard size <= bodyLimitBytes - bodyBytes else { throw tooLarge }
                bodyBytes += size
                state = size == 0 ? .trailers : .chunk(left: size)
            case .chunk(0): state = .chunkEnd
            case .chunk(let left): return take(left) { .chunk(left: $0) }
            case .chunkEnd:
                guard let line = try line(limit: 2) else { return nil }
                guard line.isEmpty else { throw HTTPRefusal(400, "a piece of the body is longer than it says") }
                state = .chunkSize
            case .trailers:
                guard let block = try block(limit: limits.trailers, allowsEmpty: true) else { return nil }
                state = .ended(try fields(block))
            case .ended(let trailers):
                state = .done
                return .end(trailers: trailers)
            case .done: return nil
            }
        }
    }

    // MARK: Pieces

    private var tooLarge: HTTPRefusal { HTTPRefusal(413, "the body is longer than \(bodyLimitBytes) bytes") }

    /// What was given out is dropped once it is worth the copy.
    private mutating func tidy() {
        if start == buffer.count {
            buffer.removeAll(keepingCapacity: buffer.count < 1 << 17)
            start = 0
            scanned = 0
        } else if start > 1 << 16 {
            buffer.removeFirst(start)
            scanned = max(0, scanned - start)
            start = 0
        }
    }

    private mutating func take(_ left: Int, _ rest: (Int) -> State) -> Event? {
        let count = min(left, pendingBytes)
        guard count > 0 else { return nil }
        let bytes = Array(buffer[start..<start + count])
        start += count
        scanned = start
        state = rest(left - count)
        return .body(bytes)
    }

    /// A line without its CR LF.
    private mutating func line(limit: Int) throws(HTTPRefusal) -> ArraySlice<UInt8>? {
        guard let end = buffer[start...].firstIndex(of: 0x0A) else {
            if pendingBytes > limit { throw HTTPRefusal(400, "a line is too long, or does not end with CR LF") }
            return nil
        }
        guard end - start <= limit, end > start, buffer[end - 1] == 0x0D else {
            throw HTTPRefusal(400, "a line is too long, or does not end with CR LF")
        }
        defer {
            start = end + 1
            scanned = start
        }
        return buffer[start..<end - 1]
    }

    /// Everything up to an empty line, without that.
    private mutating func block(limit: Int, allowsEmpty: Bool) throws(HTTPRefusal) -> ArraySlice<UInt8>? {
        scanned = max(scanned, start)
        while scanned < buffer.count {
            if buffer[scanned] == 0x0A {
                guard scanned > start, buffer[scanned - 1] == 0x0D else {
                    throw HTTPRefusal(400, "a line does not end with CR LF")
                }
                let isEmpty = scanned - start == 1
                if isEmpty, !allowsEmpty {
                    // An empty line before a request is passed over (RFC 9112, section 2.2).
                    start = scanned + 1
                } else if isEmpty || buffer[scanned - 2] == 0x0A {
                    defer {
                        start = scanned + 1
                        scanned = start
                    }
                    return isEmpty ? [] : buffer[start..<scanned - 1]
                }
            }
            scanned += 1
            if scanned - start > limit { throw HTTPRefusal(431, "the head is longer than \(limit) bytes") }
        }
        return nil
    }

    private static func chunkSize(_ line: ArraySlice<UInt8>) throws(HTTPRefusal) -> Int {
        let digits = line.prefix { $0 != UInt8(ascii: ";") && $0 != 0x20 && $0 != 0x09 }
        guard (1...8).contains(digits.count), digits.allSatisfy({ Character(UnicodeScalar($0)).isHexDigit }),
            let size = Int(String(decoding: digits, as: UTF8.self), radix: 16),
            line.dropFirst(digits.count).allSatisfy({ $0 == 0x09 || (0x20...0x7E).contains($0) })
        else { throw HTTPRefusal(400, "the length of a piece is no number") }
        return size
    }

    // MARK: The head

    private mutating func head() throws(HTTPRefusal) -> HTTPRequestHead? {
        guard let block = try block(limit: limits.head, allowsEmpty: false) else { return nil }
        let end = block.firstIndex(of: 0x0D) ?? block.endIndex
        let words = block[..<end].split(separator: 0x20, omittingEmptySubsequences: false)
        guard end - block.startIndex <= limits.requestLine else {
            throw HTTPRefusal(414, "the request line is too long")
        }
        guard end == block.endIndex || block[end + 1] == 0x0A else {
            throw HTTPRefusal(400, "the request line has a CR")
        }
        guard words.count == 3, (1...16).contains(words[0].count), words[0].allSatisfy(HTTPField.isToken) else {
            throw HTTPRefusal(400, "the request line is not: method, path, version")
        }
        let version = String(decoding: words[2], as: UTF8.self)
        guard version == "HTTP/1.1" || version == "HTTP/1.0" else {
            throw HTTPRefusal(version.hasPrefix("HTTP/") ? 505 : 400, "only HTTP/1.1 is spoken here")
        }
        guard words[1].first == UInt8(ascii: "/"),
            words[1].allSatisfy({ (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "#") })
        else { throw HTTPRefusal(400, "the path does not begin with /, or has characters that are not allowed") }
        let fields = try fields(end == block.endIndex ? [] : block[(end + 2)...])
        let body = try body(fields, version)
        if case .length(let count) = body { state = .fixed(left: count) } else { state = .chunkSize }
        let connection = fields.words("connection")
        let expects = fields.words("expect")
        guard expects.isEmpty || expects == ["100-continue"] else {
            throw HTTPRefusal(417, "only 100-continue can be expected here")
        }
        return HTTPRequestHead(
            method: String(decoding: words[0], as: UTF8.self), target: String(decoding: words[1], as: UTF8.self),
            fields: fields, body: body, keepsAlive: version == "HTTP/1.1" && !connection.contains("close"),
            expectsContinue: !expects.isEmpty && version == "HTTP/1.1" && body != .length(0),
            takesChunks: version == "HTTP/1.1")
    }

    private func fields(_ block: ArraySlice<UInt8>) throws(HTTPRefusal) -> [HTTPField] {
        var fields: [HTTPField] = []
        var rest = block
        while !rest.isEmpty {
            let end = rest.firstIndex(of: 0x0D) ?? rest.endIndex
            let line = rest[..<end]
            // Lines end with CR LF: the block has no LF without a CR before it, and what follows a CR is checked here.
            guard end == rest.endIndex || (end + 1 < rest.endIndex && rest[end + 1] == 0x0A) else {
                throw HTTPRefusal(400, "a field has a CR in it")
            }
            rest = end == rest.endIndex ? [] : rest[(end + 2)...]
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > line.startIndex,
                line[..<colon].allSatisfy(HTTPField.isToken), line[(colon + 1)...].allSatisfy(HTTPField.isValue)
            else { throw HTTPRefusal(400, "a field is not: name, colon, value") }
            guard fields.count < limits.fields else {
                throw HTTPRefusal(431, "there are more than \(limits.fields) fields")
            }
            fields.append(
                HTTPField(
                    String(decoding: line[..<colon], as: UTF8.self),
                    String(decoding: line[(colon + 1)...], as: UTF8.self).trimmed))
        }
        return fields
    }

    private func body(_ fields: [HTTPField], _ version: String) throws(HTTPRefusal) -> HTTPRequestHead.Body {
        let hosts = fields.filter { $0.name == "host" }
        let isHost: (UInt8) -> Bool = {
            (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "@") && $0 != UInt8(ascii: ",")
        }
        guard hosts.count == 1 || (hosts.isEmpty && version == "HTTP/1.0"),
            hosts.allSatisfy({ $0.value.utf8.count <= 255 && $0.value.utf8.allSatisfy(isHost) })
        else { throw HTTPRefusal(400, "a request names one host") }
        let lengths = fields.filter { $0.name == "content-length" }
        let codings = fields.filter { $0.name == "transfer-encoding" }
        guard codings.isEmpty else {
            guard lengths.isEmpty, codings.count == 1, version == "HTTP/1.1" else {
                throw HTTPRefusal(400, "the length of the body is told twice")
            }
            guard codings.first?.value.lowercased() == "chunked" else {
                throw HTTPRefusal(501, "the only transfer coding here is chunked")
            }
            return .chunked
        }
        guard let length = lengths.first else { return .length(0) }
        guard lengths.count == 1, (1...18).contains(length.value.utf8.count),
            length.value.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let count = Int(length.value)
        else { throw HTTPRefusal(400, "the length of the body is no number, or is told twice") }
        return .length(count)
    }
}
