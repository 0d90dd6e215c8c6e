import Release
import Testing

@Suite struct JSONTests {
    private func parse(_ text: String, depth: Int = 32) throws -> JSONValue {
        try JSONValue(parsing: Array(text.utf8), limit: 1 << 16, maximumDepth: depth)
    }

    private func canonical(_ text: String) throws -> String {
        String(decoding: try parse(text).canonical, as: UTF8.self)
    }

    @Test func canonicalFormFollowsTheRules() throws {
        #expect(try canonical(#" { "b" : 2 , "a" : [ true , false , null ] } "#) == #"{"a":[true,false,null],"b":2}"#)
        #expect(try canonical(#"{"a":"\u0041\/\n\"\\"}"#) == "{\"a\":\"A/\n\\\"\\\\\"}")
        #expect(try canonical(#""\ud83d\ude00é""#) == "\"😀é\"")
        #expect(try canonical("[-5,0,9223372036854775807]") == "[-5,0,9223372036854775807]")
        #expect(try canonical("{}") == "{}")
        #expect(try canonical("[]") == "[]")
    }

    @Test func keysAreOrderedByTheirBytes() throws {
        // Unicode's own order would put é beside e, and compare case-insensitively in places.
        #expect(
            try canonical(#"{"é":1,"z":2,"Z":3,"aa":4,"a":5,"😀":6,"｡":7}"#)
                == #"{"Z":3,"a":5,"aa":4,"z":2,"é":1,"｡":7,"😀":6}"#)
    }

    @Test func ordinaryJSONSurvivesARoundTrip() throws {
        let value = JSONValue.object(["text": .string("a\u{1}\n\"\\é"), "list": .array([.integer(-1), .null])])
        #expect(try JSONValue(parsing: value.encoded, limit: 1000) == value)
        #expect(value.encoded != value.canonical)
    }

    @Test(arguments: [
        "", " ", "{", "}", "[", "]", "[1,]", "{\"a\":1,}", "{\"a\"}", "{a:1}", "{\"a\":1 \"b\":2}", "[1 2]", "1.0",
        "1e3", "1E3", "-", "-0", "01", "+1", ".5", "9223372036854775808", "-9223372036854775809", "tru", "nul",
        "\"", "\"\\x\"", "\"\\u12\"", "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\\udc00\"", "\"a\nb\"", "1 1",
        "{\"a\":1,\"a\":2}", "{\"\\u0061\":1,\"a\":2}", "{\"é\":1,\"e\u{301}\":2}", "NaN", "Infinity", "'a'",
        "[1]//", "\u{FEFF}{}",
    ])
    func whatIsNotStrictJSONIsRefused(text: String) {
        #expect(throws: ReleaseError.self) { try parse(text) }
    }

    @Test func bytesThatAreNotUnicodeAreRefused() {
        for bytes: [UInt8] in [[0x22, 0xFF, 0x22], [0x22, 0xC0, 0x80, 0x22], [0x22, 0xED, 0xA0, 0x80, 0x22]] {
            #expect(throws: ReleaseError.self) { try JSONValue(parsing: bytes, limit: 10) }
        }
    }

    @Test func sizeAndDepthAreBounded() throws {
        let deep = String(repeating: "[", count: 100_000)
        #expect(throws: ReleaseError.self) { try JSONValue(parsing: Array(deep.utf8), limit: 1 << 20) }
        #expect(throws: ReleaseError.self) { try parse("[[[1]]]", depth: 2) }
        _ = try parse("[[[1]]]", depth: 3)
        #expect(throws: ReleaseError.self) { try JSONValue(parsing: Array("[1]".utf8), limit: 2) }
    }

    @Test(arguments: [
        (0, "1970-01-01T00:00:00Z"), (951_782_400, "2000-02-29T00:00:00Z"), (1_709_210_096, "2024-02-29T12:34:56Z"),
        (4_102_444_799, "2099-12-31T23:59:59Z"), (4_107_542_400, "2100-03-01T00:00:00Z"),
        (253_402_300_799, "9999-12-31T23:59:59Z"),
    ])
    func timesAreReadAndWritten(seconds: Int64, text: String) {
        #expect(Timestamp.parse(text) == seconds)
        #expect(Timestamp.format(seconds) == text)
    }

    @Test func daysOfFourCenturiesSurviveARoundTrip() {
        for day in stride(from: Int64(0), to: 146_097 * 2, by: 29) {
            let seconds = day * 86_400 + 86_399
            #expect(Timestamp.format(seconds).flatMap(Timestamp.parse) == seconds)
        }
    }

    @Test(arguments: [
        "2023-02-29T00:00:00Z", "2100-02-29T00:00:00Z", "2024-13-01T00:00:00Z", "2024-00-01T00:00:00Z",
        "2024-01-00T00:00:00Z", "2024-04-31T00:00:00Z", "2024-01-01T24:00:00Z", "2024-01-01T00:60:00Z",
        "2024-01-01T00:00:60Z", "2024-01-01T00:00:00+00:00", "2024-01-01 00:00:00Z", "2024-1-01T00:00:00Z",
        "1969-12-31T23:59:59Z", "2024-01-01T00:00:00z", "2024-01-01T00:00:0٣Z", "",
    ])
    func timesThatAreNoneAreRefused(text: String) { #expect(Timestamp.parse(text) == nil) }

    @Test func timesOutOfRangeHaveNoText() {
        #expect(Timestamp.format(-1) == nil)
        #expect(Timestamp.format(253_402_300_800) == nil)
    }
}
