import Contract
import TestSupport
import Testing

@testable import Workloads

@Suite struct WorkloadValues {
    @Test(
        arguments: [
            ("0b", 0), ("1k", 1024), ("64m", 64 << 20), ("64mb", 64 << 20), ("64MiB", 64 << 20), ("2g", 2 << 30),
            ("1TiB", 1 << 40),
        ] as [(String, UInt64)])
    func sizesAreThoseOfCompose(_ text: String, _ bytes: UInt64) {
        #expect(WorkloadUnits.bytes(text) == bytes)
        #expect(WorkloadUnits.bytes(WorkloadUnits.text(bytes: bytes)) == bytes)
    }

    @Test(arguments: [
        "", "m", "1", "1.5g", "-1m", "+1m", "01m", "1 m", "1M", "1Mb", "1mib", "18446744073709551616b", "17179869184g",
        "１m",
    ])
    func otherSizesAreRefused(_ text: String) { #expect(WorkloadUnits.bytes(text) == nil) }

    @Test(
        arguments: [("10s", 10_000), ("1m30s", 90_000), ("1h5m30s20ms", 3_930_020), ("0s", 0), ("250ms", 250)]
            as [(String, Int64)])
    func durationsAreThoseOfCompose(_ text: String, _ milliseconds: Int64) {
        #expect(WorkloadUnits.milliseconds(text) == milliseconds)
        #expect(WorkloadUnits.text(milliseconds: milliseconds) == text)
    }

    @Test(arguments: ["", "10", "s", "1s1m", "1s1s", "1.5s", "-1s", "1d", "1 s", "01s", "9999999999s"])
    func otherDurationsAreRefused(_ text: String) { #expect(WorkloadUnits.milliseconds(text) == nil) }

    @Test func processorsAreCountedInThousandths() {
        let read = ["0.01", "1", "1.5", "2.125"].map(WorkloadUnits.milliCPUs)
        #expect(read == [10, 1000, 1500, 2125])
        #expect([".5", "1.", "1.2345", "-1", "1,5", "x", ""].allSatisfy { WorkloadUnits.milliCPUs($0) == nil })
        #expect(
            [10, 1000, 1500, 2125, 10_001].allSatisfy {
                WorkloadUnits.milliCPUs(WorkloadUnits.text(milliCPUs: $0)) == $0
            })
    }

    @Test(arguments: [
        ("::", "::"), ("::1", "::1"), ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"), ("1:0:0:2:0:0:0:3", "1:0:0:2::3"),
        ("fe80::", "fe80::"), ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"), ("1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7"),
        ("192.0.2.1", "192.0.2.1"),
    ])
    func addressesHaveOneTextForm(_ text: String, _ expected: String) {
        #expect(NetworkAddress(text)?.description == expected)
    }

    @Test(arguments: [
        "1.2.3", "1.2.3.256", "01.2.3.4", "1.2.3.4.5", "1:2:3", ":::", "1::2::3", "1:2:3:4:5:6:7:8:9", "::ffff:1.2.3.4",
        "fe80::1%eth0",
        "12345::", "", "1.2.3.4 ", "1:2:3:4:5:6:7::8",
    ])
    func whatIsNoAddressIsRefused(_ text: String) { #expect(NetworkAddress(text) == nil) }

    @Test func prefixesContainWhatTheirBitsSay() throws {
        let prefix = try #require(NetworkPrefix("192.0.2.128/25"))
        #expect(try prefix.contains(#require(NetworkAddress("192.0.2.129"))))
        #expect(try !prefix.contains(#require(NetworkAddress("192.0.2.127"))))
        #expect(
            NetworkPrefix("192.0.2.129/25") == nil && NetworkPrefix("192.0.2.0/33") == nil
                && NetworkPrefix("1.2.3.4/08") == nil)
        #expect(try NetworkPrefix.allVersion4.contains(prefix) && !prefix.contains(#require(NetworkPrefix("::/0"))))
        #expect(try #require(NetworkAddress("10.0.0.255")).advanced(by: 1)?.description == "10.0.1.0")
        #expect(try #require(NetworkAddress("255.255.255.255")).advanced(by: 1) == nil)
    }

    @Test func aWildcardCoversWhatIsBelowItOnly() throws {
        let name = try #require(HostName("*.example.com", allowsWildcard: true))
        #expect(name.matches("a.example.com") && name.matches("A.B.Example.Com."))
        #expect(
            !name.matches("example.com") && !name.matches("badexample.com") && !name.matches("example.com.evil.org"))
        #expect(HostName("*.com", allowsWildcard: true) == nil && HostName("a.*.com", allowsWildcard: true) == nil)
        #expect(HostName("1.2.3.4", allowsWildcard: true) == nil && HostName("a..b", allowsWildcard: true) == nil)
    }

    @Test func theNearestWordIsTheOneWithFewestEdits() {
        #expect(EditDistance.distance("abcd", "abdc") == 1 && EditDistance.distance("", "abc") == 3)
        #expect(EditDistance.nearest(to: "evnironment", in: ["entrypoint", "environment", "egress"]) == "environment")
        #expect(EditDistance.nearest(to: "x", in: []) == nil)
    }

    /// Whatever a document is changed into, it is read or refused: no trap, and what is read is read back equal.
    @Test(arguments: 0..<4) func changedDocumentsAreReadOrRefused(_ seed: UInt64) throws {
        var accepted = 0
        var random = SeededGenerator(seed: seed)
        let source = Array(WorkloadDocuments.full.utf8)
        let pieces = [
            #""name""#, "{", "}", "[", "]", ",", ":", "null", "-1", "1.5", #""\ud800""#, "\"", "9999999999999999999",
            "{}", "true", "\u{0}",
        ]
        for _ in 0..<60 {
            var bytes = source
            for _ in 0..<Int.random(in: 1...2, using: &random) {
                let place = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<8, using: &random) {
                case 0: bytes[place] = UInt8.random(in: 0...255, using: &random)
                case 1: bytes.removeSubrange(place..<min(bytes.count, place + Int.random(in: 1...20, using: &random)))
                case 2:
                    bytes.insert(
                        contentsOf: Array(pieces[Int.random(in: 0..<pieces.count, using: &random)].utf8), at: place)
                case 3: bytes.replaceSubrange(place..<min(bytes.count, place + 5), with: Array("1048577".utf8))
                default:
                    // Another digit, which often leaves a document that is accepted.
                    let digits = bytes.indices.filter { (0x30...0x39).contains(bytes[$0]) }
                    if let digit = digits.randomElement(using: &random) {
                        bytes[digit] = UInt8.random(in: 0x30...0x39, using: &random)
                    }
                }
                if bytes.isEmpty { bytes = [0x7B] }
            }
            guard let workload = try? Workload(parsing: bytes) else { continue }
            #expect(try Workload(parsing: workload.document.json) == workload)
            accepted += 1
        }
        // A run in which nothing is accepted, or everything, would prove nothing.
        #expect((1..<60).contains(accepted))
    }

    /// The same for documents that are valid JSON, where the mistakes lie deeper.
    @Test(arguments: 0..<4) func documentsWithOtherValuesAreReadOrRefused(_ seed: UInt64) throws {
        var accepted = 0
        var random = SeededGenerator(seed: seed &+ 1000)
        let source = try DocumentValue(parsing: Array(WorkloadDocuments.full.utf8))
        for _ in 0..<60 {
            let changed = source.mutated(&random, chance: 150)
            guard let workload = try? Workload(document: changed) else { continue }
            #expect(try Workload(parsing: workload.document.json) == workload)
            accepted += 1
        }
        // A run in which nothing is accepted, or everything, would prove nothing.
        #expect((1..<60).contains(accepted))
    }

    @Test func hostileSizesAreRefusedBeforeTheyCost() {
        let deep = String(repeating: "[", count: 100_000)
        #expect(throws: WireError.self) { try DocumentValue(parsing: Array(deep.utf8)) }
        let wide = "[" + String(repeating: "0,", count: 30_000) + "0]"
        #expect(throws: WireError.self) { try DocumentValue(parsing: Array(wide.utf8)) }
        let long = [UInt8](repeating: 0x20, count: WorkloadLimit.documentBytes + 1)
        #expect(throws: WireError.self) { try DocumentValue(parsing: long) }
        for text in [#"{"a":1,"a":2}"#, "1e5", "01", "-", "\"\u{1}\"", #""\ud800""#, "{} x", "nul", ""] {
            #expect(throws: WireError.self, "\(text)") { try DocumentValue(parsing: Array(text.utf8)) }
        }
    }
}

extension DocumentValue {
    /// A copy with about one value in `chance` replaced, dropped or doubled.
    fileprivate func mutated(_ random: inout SeededGenerator, chance: Int) -> DocumentValue {
        if Int.random(in: 0..<chance, using: &random) == 0 {
            let others: [DocumentValue] = [
                .null, .bool(true), .integer(-1), .integer(0), .integer(Int64.max), .integer(Int64.min),
                .decimal("0.001"), .string(""),
                .string("x"), .string(String(repeating: "é", count: 300)), .string("1g"), .string("10s"), .array([]),
                .object([:]),
                .array([self]), .object(["x": self]),
            ]
            return others[Int.random(in: 0..<others.count, using: &random)]
        }
        switch self {
        case .array(let elements):
            return .array(elements.map { $0.mutated(&random, chance: chance) })
        case .object(let members):
            var result: [String: DocumentValue] = [:]
            for (key, value) in members.sorted(by: { $0.key < $1.key }) {
                if Int.random(in: 0..<chance * 4, using: &random) == 0 { continue }
                result[key] = value.mutated(&random, chance: chance)
            }
            return .object(result)
        default: return self
        }
    }
}
