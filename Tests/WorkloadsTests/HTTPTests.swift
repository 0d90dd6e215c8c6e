import TestSupport
import Testing

@testable import Workloads

@Suite struct HTTPRequests {
    /// What a parser makes of bytes that come in pieces.
    static func read(_ pieces: [[UInt8]], body: Int = 1 << 20) throws(HTTPRefusal) -> [HTTPRequestParser.Event] {
        var parser = HTTPRequestParser(bodyLimitBytes: body)
        var events: [HTTPRequestParser.Event] = []
        for piece in pieces {
            parser.receive(piece)
            while let event = try parser.next() {
                if case .body(let bytes) = event, case .body(let before) = events.last {
                    events[events.count - 1] = .body(before + bytes)
                } else {
                    events.append(event)
                }
                if parser.isDone { parser.reset() }
            }
        }
        return events
    }

    static func read(_ text: String, body: Int = 1 << 20) throws(HTTPRefusal) -> [HTTPRequestParser.Event] {
        try read([Array(text.utf8)], body: body)
    }

    static func heads(_ text: String) throws -> [HTTPRequestHead] {
        try read(text).compactMap { if case .head(let head) = $0 { head } else { nil } }
    }

    @Test func requestsOfRealClientsAreRead() throws {
        let events = try Self.read(
            "POST /a?b=c HTTP/1.1\r\nHost: n:9001\r\nContent-Length: 5\r\nX-Empty:\r\n\r\nhello"
                + "GET /d HTTP/1.1\r\nhost:n\r\n\r\n")
        #expect(events.count == 5)
        guard case .head(let head) = events.first else { throw HTTPRefusal(0, "no head") }
        #expect(head.method == "POST" && head.path == "/a" && head.query == "b=c" && head.keepsAlive)
        #expect(head.fields.first("x-empty")?.isEmpty == true && head.body == .length(5))
        #expect(events[1] == .body(Array("hello".utf8)) && events[2] == .end(trailers: []))
        let old = try Self.heads("GET / HTTP/1.0\r\n\r\n")
        #expect(old.first?.keepsAlive == false && old.first?.takesChunks == false)
        let waiting = try Self.heads("POST / HTTP/1.1\r\nHost: n\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n")
        #expect(waiting.first?.expectsContinue == true)
        let closing = try Self.heads("\r\nGET / HTTP/1.1\r\nHost: n\r\nConnection: TE, Close\r\n\r\n")
        #expect(closing.first?.keepsAlive == false)
    }

    @Test func bodiesInPiecesAndTheirTrailersAreRead() throws {
        let events = try Self.read(
            "POST / HTTP/1.1\r\nHost: n\r\nTransfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n6;x=\"y\"\r\n world\r\n0\r\n"
                + "Lambda-Runtime-Function-Error-Type: My.Error\r\nOther: 1\r\n\r\n")
        #expect(events[1] == .body(Array("hello world".utf8)))
        #expect(
            events.last
                == .end(trailers: [
                    HTTPField("lambda-runtime-function-error-type", "My.Error"), HTTPField("other", "1"),
                ]))
        let empty = try Self.read("POST / HTTP/1.1\r\nHost: n\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
        #expect(empty.last == .end(trailers: []) && empty.count == 2)
    }

    /// Each could be understood differently by another reader, or is more than is held.
    @Test(arguments: [
        ("GET / HTTP/1.1\n\n", 400), ("GET / HTTP/1.1\r\nHost: n\n\r\n", 400), ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400), ("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: n\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", 400),
        ("GET / HTTP/1.1\r\nHost: n\r\nContent-Length: 1, 1\r\n\r\nx", 400),
        ("GET / HTTP/1.1\r\nHost: n\r\nContent-Length: +1\r\n\r\nx", 400),
        ("GET / HTTP/1.1\r\nHost: n\r\nContent-Length: 0x1\r\n\r\nx", 400),
        ("GET / HTTP/1.1\r\nHost: n\r\nContent-Length: 99999999999999999999\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: n\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: n\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: n\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        ("GET / HTTP/1.1\r\nHost: n\r\nTransfer-Encoding: xchunked\r\n\r\n", 501),
        ("GET / HTTP/1.0\r\nHost: n\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: n\r\nTransfer-Encoding : chunked\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: n\r\n folded: x\r\n\r\n", 400), ("GET / HTTP/1.1\r\nHost: n\r\n: x\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: n\r\nA: x\rB: y\r\n\r\n", 400), ("GET / HTTP/1.1\rA: x\r\nHost: n\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: n\r\nA: x\u{0}y\r\n\r\n", 400), ("GET  / HTTP/1.1\r\nHost: n\r\n\r\n", 400),
        ("GET / HTTP/2.0\r\nHost: n\r\n\r\n", 505), ("GET http://n/ HTTP/1.1\r\nHost: n\r\n\r\n", 400),
        ("GET /# HTTP/1.1\r\nHost: n\r\n\r\n", 400), ("GET /\u{e4} HTTP/1.1\r\nHost: n\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: n\r\nExpect: 200-ok\r\n\r\n", 417), ("G(T / HTTP/1.1\r\nHost: n\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: n\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: n\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n0\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: n\r\nTransfer-Encoding: chunked\r\n\r\n1\nx\n0\n\n", 400),
        ("POST / HTTP/1.1\r\nHost: n\r\nTransfer-Encoding: chunked\r\n\r\n100000001\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: n\r\nTransfer-Encoding: chunked\r\n\r\n200000\r\n", 413),
        ("POST / HTTP/1.1\r\nHost: n\r\nContent-Length: 2000000\r\n\r\n", 413),
        ("GET /\(String(repeating: "a", count: 9000)) HTTP/1.1\r\nHost: n\r\n\r\n", 414),
        ("GET / HTTP/1.1\r\nHost: n\r\nA: \(String(repeating: "a", count: 40_000))", 431),
        ("GET / HTTP/1.1\r\nHost: n\r\n\(String(repeating: "A: a\r\n", count: 101))\r\n", 431),
        (String(repeating: "x", count: 33_000), 431),
    ])
    func whatIsAmbiguousOrTooMuchIsRefused(_ text: String, _ status: Int) {
        do {
            let events = try Self.read(text)
            Issue.record("\(events.count) events")
        } catch {
            #expect(error.status == status, "\(error)")
        }
    }

    static let corpus = [
        "POST /2018-06-01/runtime/invocation/a-1/response HTTP/1.1\r\nHost: 127.0.0.1:9001\r\n"
            + "Content-Length: 11\r\n\r\nhello world",
        "POST /x?y=%20 HTTP/1.1\r\nHost: n\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"
            + "5;a\r\nhello\r\n0\r\nT: v\r\n\r\n",
        "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: n\r\nUser-Agent: x\r\nConnection: close\r\n\r\n",
    ]

    enum Outcome: Equatable {
        case events([HTTPRequestParser.Event])
        case refused(HTTPRefusal)
    }

    static func outcome(_ pieces: [[UInt8]]) -> Outcome {
        do { return .events(try read(pieces)) } catch { return .refused(error) }
    }

    /// However hostile bytes are cut, the same comes of them, and never a crash.
    @Test(arguments: 1...40) func hostileBytesMeanTheSameHoweverTheyAreCut(_ seed: Int) {
        var random = SeededGenerator(seed: UInt64(seed))
        for _ in 0..<50 {
            var bytes: [UInt8] = []
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                bytes += Self.corpus.randomElement(using: &random).map { Array($0.utf8) } ?? []
            }
            for _ in 0..<Int.random(in: 0...6, using: &random) where !bytes.isEmpty {
                let place = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: bytes[place] = UInt8.random(in: 0...255, using: &random)
                case 1: bytes.remove(at: place)
                case 2: bytes.insert([0x0D, 0x0A, 0x3A, 0x20, 0x00].randomElement(using: &random) ?? 0, at: place)
                default: bytes.removeSubrange(place..<min(bytes.count, place + 9))
                }
            }
            var pieces: [[UInt8]] = []
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = Int.random(in: 1...max(1, min(rest.count, 40)), using: &random)
                pieces.append(Array(rest.prefix(count)))
                rest = rest.dropFirst(count)
            }
            let whole = Self.outcome([bytes])
            #expect(Self.outcome(pieces) == whole)
            guard case .events(let events) = whole else { continue }
            for case .head(let head) in events {
                #expect(head.target.hasPrefix("/") && head.fields.allSatisfy(\.isSendable))
            }
        }
    }

    /// Whatever a client asks for, it gets a request of the interface or a refusal of it.
    @Test(arguments: 1...20) func hostileRequestsOfARuntimeClientAreOfTheInterfaceOrRefused(_ seed: Int) {
        var random = SeededGenerator(seed: UInt64(seed))
        let words = [
            "2018-06-01", "runtime", "invocation", "next", "init", "error", "response", "a-1", "..", "", "%2f", "?",
            "\u{0}",
            String(repeating: "a", count: 70),
        ]
        for _ in 0..<200 {
            let count = Int.random(in: 0...7, using: &random)
            let path = (0..<count).map { _ in "/" + (words.randomElement(using: &random) ?? "") }.joined()
            let method = ["GET", "POST", "PUT", "get", ""].randomElement(using: &random) ?? ""
            do throws(RuntimeRequest.Refusal) {
                switch try RuntimeRequest(method: method, path: path) {
                case .next: #expect(method == "GET" && path == "/2018-06-01/runtime/invocation/next")
                case .initError: #expect(method == "POST" && path == "/2018-06-01/runtime/init/error")
                case .response(let id, _), .error(let id, _):
                    #expect(method == "POST" && (1...64).contains(id.utf8.count) && path.contains("/invocation/\(id)/"))
                }
            } catch {
                #expect(error.status == 404 || error.status == 405)
            }
        }
    }

    @Test func aReplySaysOfItsConnectionOnlyWhatTheServerSays() {
        let fields = [
            HTTPField("X-A", "b"), HTTPField("Content-Length", "9"), HTTPField("transfer-encoding", "chunked"),
            HTTPField("evil", "a\r\nset-cookie: x"), HTTPField("Connection", "upgrade"), HTTPField("a b", "c"),
        ]
        let text = String(decoding: HTTPReply.head(200, fields, body: .length(2), keepsAlive: true), as: UTF8.self)
        #expect(text == "HTTP/1.1 200 OK\r\nx-a: b\r\ncontent-length: 2\r\n\r\n")
        #expect(HTTPReply.chunk([]).isEmpty && HTTPReply.chunk([0x61, 0x62]) == Array("2\r\nab\r\n".utf8))
    }
}
