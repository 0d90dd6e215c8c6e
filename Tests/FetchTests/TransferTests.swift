import Contract
import Fetch
import Foundation
import Testing

/// Requests and downloads against a real server: bounded, resumable, cancellable.
@Suite struct TransferTests {
    let server: TestServer
    init() throws { server = try TestServer() }

    @Test func anErrorReplyIsDecoded() throws {
        let expected = FetchError.status(409, APIError(code: "stale-plan", message: "Ask again."))
        #expect(throws: expected) { try server.client().request("GET", server.base + "/error") }
        #expect(throws: FetchError.status(503, nil)) { try server.client().request("GET", server.base + "/busy") }
    }

    @Test func redirectsAreNotFollowed() throws {
        let client = try server.client()
        #expect(throws: FetchError.status(302, nil)) { try client.request("GET", server.base + "/redirect") }
        #expect(client.lastReply?.status == 302)
        #expect(client.lastReply?.headers["location"] == "https://127.0.0.2/payload")
    }

    @Test func aBodyIsSentWithItsHeaders() throws {
        let body = [UInt8](repeating: 2, count: 100_000)
        for sent in [body, []] {
            let reply = try server.client().request(
                "POST", server.base + "/post", headers: [.json, .bearer("secret")], body: sent)
            let told = try #require(try JSONSerialization.jsonObject(with: Data(reply.body)) as? [String: Any])
            #expect(told["bytes"] as? Int == sent.count)
            #expect(told["authorization"] as? String == "Bearer secret")
            #expect(told["type"] as? String == "application/json")
            #expect(told["method"] as? String == "POST")
        }
        #expect(throws: FetchError.self) {
            try server.client().request("GET", server.base + "/whole", headers: [HTTPHeader("A", "b\r\nC: d")])
        }
    }

    @Test func aStreamIsUploaded() throws {
        var left = TestServer.payload[...]
        let reply = try server.client().upload(
            "PUT", server.base + "/put", sizeBytes: UInt64(left.count)
        ) { buffer in
            let piece = left.prefix(buffer.count)
            buffer.copyBytes(from: piece)
            left = left.dropFirst(piece.count)
            return piece.count
        }
        let told = try #require(try JSONSerialization.jsonObject(with: Data(reply.body)) as? [String: Any])
        #expect(told["sum"] as? Int == TestServer.payload.reduce(0) { $0 + Int($1) })
        #expect(told["method"] as? String == "PUT")
    }

    @Test func connectionsAreUsedAgain() throws {
        let client = try server.client()
        let first = try client.request("GET", server.base + "/connection").body
        #expect(try client.request("GET", server.base + "/connection").body == first)
    }

    @Test func aReplyBeyondTheLimitIsRefused() throws {
        #expect(throws: FetchError.tooLarge(limitBytes: 1000)) {
            try server.client().request("GET", server.base + "/endless", limitBytes: 1000)
        }
        #expect(throws: FetchError.tooLarge(limitBytes: 1_000_000)) {
            try server.client().download(server.base + "/endless", limitBytes: 1_000_000) { _ in }
        }
    }

    @Test func exactlyTheRangeArrives() throws {
        var got: [UInt8] = []
        try server.client().download(server.base + "/data", range: 1000..<201_000, limitBytes: 1 << 20) { got += $0 }
        #expect(got == Array(TestServer.payload[1000..<201_000]))
    }

    @Test func aWholeFileInsteadOfARangeIsRefused() throws {
        let error = #expect(throws: FetchError.self) {
            try server.client().download(server.base + "/whole", range: 10..<20, limitBytes: 1 << 20) { _ in }
        }
        guard case .rangeNotServed = error else { return #expect(Bool(false), "\(String(describing: error))") }
        #expect(throws: FetchError.status(416, nil)) {
            try server.client().download(server.base + "/data", range: 10..<400_000, limitBytes: 1 << 20) { _ in }
        }
    }

    @Test func aBrokenDownloadGoesOnWhereItStopped() throws {
        var got: [UInt8] = []
        var notices: [UInt64] = []
        try server.client().downloadResuming(
            server.base + "/breaks", range: 5..<300_000, pause: { _, _ in },
            onRetry: { notices.append($0.arrivedBytes) }, onBytes: { got += $0 })
        #expect(got == Array(TestServer.payload[5...]))
        #expect(notices == [50_000, 100_000, 150_000])
    }

    @Test func attemptsWithoutProgressAreBounded() throws {
        var pauses = 0
        let error = #expect(throws: FetchError.self) {
            try server.client().downloadResuming(
                server.base + "/dies", range: 0..<10, backoff: Backoff(attempts: 4), pause: { _, _ in pauses += 1 },
                onBytes: { _ in })
        }
        #expect(pauses == 4)
        #expect(error?.isTransient == true)
    }

    @Test func whatTheReceiverThrowsEndsTheTransfer() throws {
        struct DiskFull: Error {}
        var pieces = 0
        #expect(throws: DiskFull.self) {
            try server.client().download(server.base + "/endless", limitBytes: 1 << 40) { _ in
                pieces += 1
                if pieces == 3 { throw DiskFull() }
            }
        }
        #expect(pieces == 3)
    }

    @Test func aCancelledTransferEnds() throws {
        let cancellation = Cancellation(parent: Cancellation())
        #expect(throws: FetchError.aborted) {
            try server.client().download(server.base + "/endless", limitBytes: 1 << 40, cancellation: cancellation) {
                _ in cancellation.cancel()
            }
        }
    }

    @Test func aSilentServerTimesOut() throws {
        let error = #expect(throws: FetchError.self) {
            try server.client().request("GET", server.base + "/silent", timeoutSeconds: 1)
        }
        guard case .timeout = error else { return #expect(Bool(false), "\(String(describing: error))") }
    }

    @Test func aPortWithoutServerIsUnreachable() throws {
        let client = try server.client()
        for url in ["https://127.0.0.1:1/", "https://no-such-host.invalid/"] {
            let error = #expect(throws: FetchError.self) { try client.request("GET", url) }
            guard case .unreachable = error else { return #expect(Bool(false), "\(String(describing: error))") }
        }
    }
}

/// Delays grow, stay bounded, and come to an end.
@Suite struct BackoffTests {
    @Test func delaysDoubleUpToTheLongestWithHalfOfEachRandom() {
        var lowest = Backoff(firstMilliseconds: 100, longestMilliseconds: 1000, attempts: nil)
        var highest = lowest
        #expect((0..<6).map { _ in lowest.next(random: 0) } == [50, 100, 200, 400, 500, 500])
        var delays: [Int?] = []
        for full in [100, 200, 400, 800, 1000, 1000] { delays.append(highest.next(random: UInt64(full / 2))) }
        #expect(delays == [100, 200, 400, 800, 1000, 1000])
    }

    @Test func attemptsEndAndStartOverAfterSuccess() {
        var backoff = Backoff(attempts: 2)
        #expect(backoff.next(random: 1) != nil && backoff.next(random: 2) != nil)
        #expect(backoff.next(random: 3) == nil)
        backoff.reset()
        #expect(backoff.next(random: 4) != nil)
    }

    @Test func neverOverflows() {
        var backoff = Backoff(firstMilliseconds: Int.max / 2, longestMilliseconds: Int.max, attempts: nil)
        for _ in 0..<100 { #expect((backoff.next(random: UInt64.max) ?? -1) > 0) }
    }
}
