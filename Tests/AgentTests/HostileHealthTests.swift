import Contract
import Linux
import TestSupport
import Testing

@testable import Agent

/// The operator's `health.json`, changed in thousands of ways that repeat themselves in every run: it is read or
/// refused with a sentence, and never ends the agent.
@Suite struct HostileHealthTests {
    private static let sample = HealthConfiguration(
        http: [HTTPCheck(name: "till", url: "http://127.0.0.1:8000/ready", timeoutSeconds: 5)],
        tcp: [TCPCheck(name: "printer", host: "192.0.2.40", port: 9100, timeoutSeconds: 5)],
        ignoredUnits: ["cups.service"])

    /// Whether what was accepted keeps every rule that the rest of the agent relies on.
    private static func isSound(_ configuration: HealthConfiguration) -> Bool {
        let names = configuration.http.map(\.name) + configuration.tcp.map(\.name)
        return max(configuration.http.count, configuration.tcp.count, configuration.ignoredUnits.count) <= 64
            && names.allSatisfy { (1...128).contains($0.utf8.count) && !$0.utf8.contains { $0 < 0x20 } }
            && configuration.http.allSatisfy { $0.url.hasPrefix("http") && $0.url.utf8.allSatisfy { $0 > 0x20 } }
            && configuration.tcp.allSatisfy { (1...65535).contains($0.port) && !$0.host.utf8.contains(0) }
    }

    @Test(arguments: 1...4 as ClosedRange<UInt64>) func whatWasChangedIsReadOrRefused(seed: UInt64) throws {
        let bytes = try Wire.encode(Self.sample)
        #expect(try Wire.decode(HealthConfiguration.self, from: bytes) == Self.sample)
        var mutator = ByteMutator(seed: seed)
        var (read, refused) = (0, 0)
        for _ in 0..<1500 {
            let changed = mutator.change(bytes)
            do {
                let configuration = try Wire.decode(HealthConfiguration.self, from: changed)
                #expect(Self.isSound(configuration), "\(String(decoding: changed, as: UTF8.self))")
                let again = try Wire.decode(HealthConfiguration.self, from: try Wire.encode(configuration))
                #expect(again == configuration)
                read += 1
            } catch {
                let sentence: String = error.description
                #expect(!sentence.isEmpty)
                refused += 1
            }
        }
        #expect(read > 0 && refused > 0, "\(read) read, \(refused) refused")
    }

    /// Files that no editor makes: each is one failed check with a reason, and none is waited for.
    @Test func aFileOfAnyKindIsAFailedCheck() throws {
        let scratch = try Scratch()
        let folder = scratch.path
        let checks = HealthChecks(directories: [folder], caCertificate: "", verityName: "apus-no-such-device")
        let path = folder + "/health.json"
        let texts: [[UInt8]] = [
            [], [0xff, 0xfe], Array("[".utf8), [UInt8](repeating: UInt8(ascii: "["), count: 500_000),
            Array("{\"format\":1,\"http\":".utf8) + [UInt8](repeating: UInt8(ascii: "["), count: 100_000),
            [UInt8](repeating: UInt8(ascii: " "), count: 2 << 20), Array("{\"format\":1e999}".utf8),
            Array("{\"format\":1,\"tcp\":[{\"name\":\"\\u0000\",\"host\":\"h\",\"port\":1}]}".utf8),
            Array("{\"format\":1,\"tcp\":[{\"name\":\"n\",\"host\":\"h\\u0000\",\"port\":1}]}".utf8),
            Array("{\"format\":1,\"http\":[{\"name\":\"n\",\"url\":\"http://h/\\r\\nHost: x\"}]}".utf8),
        ]
        for text in texts {
            try Files.writeDurably(text, to: path)
            let (configuration, problems) = checks.readConfigurations()
            #expect(configuration == HealthConfiguration() && problems.count == 1)
            #expect(problems.first?.passed == false && problems.first?.detail.isEmpty == false)
        }
        try Files.removeTree(path)
        try Files.makeDirectory(path)
        #expect(checks.readConfigurations().1.first?.detail.contains("is not a file") == true)
        try Files.removeTree(path)
        #expect(try Processes.run("/usr/bin/mkfifo", [path], timeoutSeconds: 20).succeeded)
        #expect(checks.readConfigurations().1.first?.detail.contains("is not a file") == true)
    }

    /// The server takes a status of 256 KiB, and keeps 64 results: what fails is among them, however much there is.
    @Test func aStatusStaysSmallAndNamesWhatFails() throws {
        let long = String(repeating: "\u{e4}", count: 4000)
        let many = (0..<600).map { CheckResult(name: "\($0) \(long)", passed: $0 != 500, detail: long) }
        let reported = HealthChecks.reported(many)
        #expect(reported.count == 64 && reported.first?.name.hasPrefix("500 ") == true)
        #expect(try Wire.encode(reported).count < 128 << 10)
    }
}
