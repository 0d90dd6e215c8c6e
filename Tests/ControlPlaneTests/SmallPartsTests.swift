import Contract
import Foundation
import Testing

@testable import ControlPlane

struct ByteRangeTests {
    @Test(arguments: [
        (nil, ByteRange.whole), ("bytes=0-9", .part(0...9)), ("bytes=90-", .part(90...99)),
        ("bytes=-5", .part(95...99)),
        ("bytes=-500", .part(0...99)), ("bytes=50-500", .part(50...99)), ("Bytes=1-1", .part(1...1)),
        ("bytes=100-", .unsatisfiable), ("bytes=-0", .unsatisfiable), ("bytes=0-1,5-6", .unsatisfiable),
        ("bytes=5-2", .whole), ("bytes=a-b", .whole), ("bytes=-", .whole), ("bytes=", .whole), ("items=0-1", .whole),
        ("bytes=99999999999999999999-", .unsatisfiable), ("bytes=0-99999999999999999999", .part(0...99)),
    ])
    func readsHeaders(_ header: String?, _ expected: ByteRange) {
        #expect(ByteRange.parse(header, size: 100) == expected)
    }

    @Test func emptyFileHasNoRange() { #expect(ByteRange.parse("bytes=-1", size: 0) == .unsatisfiable) }
}

struct SignalsTests {
    @Test func changeBetweenLookAndWaitIsNotMissed() async throws {
        let signals = Signals()
        let mark = signals.mark
        signals.announce(.events)
        try await signals.wait(for: .events, after: mark, until: .now + .seconds(3600))
    }

    @Test func wakesOnlyItsKeyAndEveryoneAtTheEnd() async throws {
        let signals = Signals()
        let mark = signals.mark
        async let registration: Void = signals.wait(
            for: .registration("a"), after: mark, until: .now + .seconds(3600))
        async let events: Void = signals.wait(for: .events, after: mark, until: .now + .seconds(3600))
        signals.announce(.registration("a"))
        try await registration
        signals.close()
        try await events
        try await signals.wait(for: .events, after: signals.mark, until: .now + .seconds(3600))
    }

    @Test func cancelledWaitEnds() async throws {
        let signals = Signals()
        let task = Task { try await signals.wait(for: .events, after: signals.mark, until: .now + .seconds(3600)) }
        task.cancel()
        try await task.value
    }
}

struct RateLimiterTests {
    @Test func rackPassesAndLoopDoesNot() {
        let limiter = RateLimiter(capacity: 3, perSecond: 0.5)
        let now = ContinuousClock.now
        for _ in 0..<3 { #expect(limiter.take(1, from: "a", now: now) == nil) }
        #expect(limiter.take(1, from: "a", now: now) == 2)
        #expect(limiter.take(1, from: "b", now: now) == nil, "addresses do not share")
        #expect(limiter.take(1, from: "a", now: now + .seconds(2)) == nil)
        #expect(limiter.take(1, from: "a", now: now + .seconds(2)) == 2)
    }

    @Test func manyAddressesStayBounded() {
        let limiter = RateLimiter(capacity: 3, perSecond: 0.5)
        for number in 0..<20_000 { _ = limiter.take(1, from: "\(number)") }
        #expect(limiter.take(3, from: "new") == nil)
    }
}

struct CleanTextTests {
    @Test func takesEscapesFromWhatTerminalsShow() {
        #expect(CleanText.line("a\u{1b}[31mb\nc\u{9b}d\u{7f}") == "a[31mb cd")
        #expect(CleanText.lines("a\n\tb\r\u{0}", limit: 100) == "a\n\tb")
        #expect(CleanText.line("äää", limit: 5) == "ää", "cut between characters")
    }
}

struct TarTests {
    @Test func headersRead() throws {
        let block = try Tar.header(name: "releases/x/pack", bytes: 5_000_000_000, modified: 0)
        #expect(try Tar.entry(block) == Tar.Entry(name: "releases/x/pack", bytes: 5_000_000_000))
        #expect(try Tar.entry([UInt8](repeating: 0, count: 512)) == nil)
        var damaged = block
        damaged[3] ^= 1
        #expect(throws: ServerProblem.self) { try Tar.entry(damaged) }
        #expect(throws: ServerProblem.self) {
            try Tar.header(name: String(repeating: "x", count: 101), bytes: 0, modified: 0)
        }
    }
}
