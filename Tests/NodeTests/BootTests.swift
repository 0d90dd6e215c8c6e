import Contract
import Node
import Testing

@Suite struct KernelArgumentsTests {
    @Test func wordsAndQuotes() {
        let arguments = KernelArguments("quiet a=1 b=\"two words\" a=2 c= \n")
        #expect(arguments["quiet"] == "")
        #expect(arguments["a"] == "2")
        #expect(arguments.all("a") == ["1", "2"])
        #expect(arguments["b"] == "two words")
        #expect(arguments["c"] == "")
        #expect(arguments["d"] == nil)
    }
}

@Suite struct EndpointTests {
    func trust(_ endpoint: String?) -> SiteTrust {
        SiteTrust(
            endpoint: endpoint, caCertificate: "PEM", releaseKeys: [], threshold: 1, token: nil, network: nil,
            clockFloorSeconds: 1)
    }

    @Test func orderOfTrust() throws {
        func found(_ line: String?, _ medium: String?, _ artifact: String?, _ dhcp: String?) throws -> String {
            try Endpoint.discover(
                commandLine: line, medium: trust(medium), artifact: trust(artifact), dhcp: dhcp
            ).url
        }
        #expect(try found("https://line:1", "https://usb:1", "https://art:1", "https://dhcp:1") == "https://line:1")
        #expect(try found(nil, "https://usb:1", "https://art:1", "https://dhcp:1") == "https://usb:1")
        #expect(try found(nil, nil, "https://art:1", "https://dhcp:1") == "https://art:1")
        #expect(try found("", nil, nil, "https://dhcp:8443/") == "https://dhcp:8443")
    }

    @Test func noneSaysWhereToGiveOne() {
        let error = #expect(throws: NodeError.self) {
            try Endpoint.discover(commandLine: nil, medium: nil, artifact: nil, dhcp: nil)
        }
        #expect(error?.description.contains("DHCP option 224") == true)
    }

    @Test(arguments: ["http://plain:80", "https://", "https://a/b", "https://a b", "https://user@host", "ftp://x"])
    func malformedEndpointIsNamedWithItsSource(text: String) {
        let error = #expect(throws: NodeError.self) {
            try Endpoint.discover(commandLine: nil, medium: nil, artifact: nil, dhcp: text)
        }
        #expect(error?.description.contains("DHCP option 224") == true)
    }
}

@Suite struct TrustTests {
    let key = ReleaseKey(keytype: "ed25519", scheme: "ed25519", public: "00")

    func trust(_ certificate: String?, keys: [ReleaseKey], threshold: Int = 1, token: String? = nil) -> SiteTrust {
        SiteTrust(
            endpoint: nil, caCertificate: certificate, releaseKeys: keys, threshold: threshold, token: token,
            network: nil, clockFloorSeconds: 1)
    }

    @Test func mediumCompletesTheArtifact() throws {
        let joined = try TrustSources.join(
            medium: trust(nil, keys: [], threshold: 0, token: "t"), artifact: trust("PEM", keys: [key]))
        #expect(joined.caCertificate == "PEM" && joined.releaseKeys == [key] && joined.threshold == 1)
        #expect(joined.token == "t")
    }

    @Test func withoutKeysOrCertificateNothingIsBelieved() {
        #expect(throws: NodeError.self) { try TrustSources.join(medium: nil, artifact: nil) }
        #expect(throws: NodeError.self) { try TrustSources.join(medium: nil, artifact: trust(nil, keys: [key])) }
        #expect(throws: NodeError.self) { try TrustSources.join(medium: nil, artifact: trust("PEM", keys: [])) }
        #expect(throws: NodeError.self) {
            try TrustSources.join(medium: nil, artifact: trust("PEM", keys: [key], threshold: 2))
        }
        #expect(throws: NodeError.self) {
            try TrustSources.join(medium: nil, artifact: trust("PEM", keys: [key], threshold: 0))
        }
    }
}

@Suite struct ConsoleTextTests {
    @Test func codeIsFiveLinesOfItsOwnShape() {
        let lines = BigText.render("A1")
        #expect(lines == [" ###     #", "#   #   ##", "#####    #", "#   #    #", "#   #   ###"])
    }

    @Test func everyCodeCharacterHasAShape() {
        let shapes = "0123456789ABCDEFGHJKMNPQRSTVWXYZ-".map { BigText.render(String($0)) }
        #expect(Set(shapes).count == 33)
        #expect(shapes.allSatisfy { $0.count == 5 && $0.allSatisfy { $0.utf8.count <= 5 } })
    }

    @Test func serialPortOfTheFirmware() throws {
        var table = [UInt8](repeating: 0, count: 80)
        table.replaceSubrange(0..<4, with: Array("SPCR".utf8))
        table[4] = 80
        table[40] = 1
        table[44] = 0xf8
        table[45] = 0x02
        table[58] = 7
        table[9] = 0 &- table.reduce(0, &+)
        let port = try #require(ConsolePort(table: table))
        #expect(port.isIOPort && port.address == 0x2f8 && port.baud == 115_200)
        #expect(port.terminal(among: [("ttyS0", 0x3f8, 0), ("ttyS1", 0x2f8, 0)]) == "ttyS1")
        table[50] ^= 1
        #expect(ConsolePort(table: table) == nil, "a wrong checksum is not believed")
    }
}

@Suite struct StepLineTests {
    func report(_ state: StepReport.State, done: UInt64? = nil, milliseconds: Int64 = 0) -> StepReport {
        StepReport(
            sequence: "provision", step: "stream-image", state: state, done: done,
            total: done == nil ? nil : 1000 << 20,
            unit: done == nil ? nil : "bytes", milliseconds: milliseconds)
    }

    @Test func aStepReadsFromStartToEnd() {
        var text = ConsoleText()
        #expect(text.line(for: report(.started)) == "stream-image ...")
        #expect(text.line(for: report(.progress, done: 0)) == "stream-image 0 % (0 of 1000 MiB)")
        #expect(text.line(for: report(.progress, done: 50 << 20, milliseconds: 500)) == nil, "still the first tenth")
        #expect(
            text.line(for: report(.progress, done: 100 << 20, milliseconds: 900))
                == "stream-image 10 % (100 of 1000 MiB)")
        #expect(
            text.line(for: report(.progress, done: 110 << 20, milliseconds: 12_000)) != nil, "a slow one shows it lives"
        )
        #expect(text.line(for: report(.finished, milliseconds: 12_345)) == "stream-image done in 12.3 s")
    }

    @Test func theCodeStandsLargeAndPlain() {
        let lines = ConsoleText.challenge("ABCD-1234", reason: "no token")
        #expect(lines.contains { $0.contains("    ABCD-1234") })
        #expect(lines.contains { $0.contains("apus node approve NODE ABCD-1234") })
        #expect(lines.allSatisfy { $0.utf8.count <= 80 })
    }

    @Test func controlCharactersDoNotReachTheTerminal() {
        #expect(ConsoleText.printable("a\u{1b}[2Jb") == "a?[2Jb")
    }
}

@Suite struct InterfaceChoiceTests {
    let interfaces = [
        Inventory.NetworkInterface(name: "eth0", address: "52:54:00:00:00:01", driver: "", path: "", hasLink: false),
        Inventory.NetworkInterface(name: "eth1", address: "52:54:00:00:00:02", driver: "", path: "", hasLink: true),
    ]

    @Test func thoseWithACableComeFirst() throws {
        let attempts = try InterfaceChoice.attempts(wanted: [], bond: false, among: interfaces)
        #expect(attempts.map { $0.map(\.name) } == [["eth1"], ["eth0"]])
    }

    @Test func namedOnesOnly() throws {
        let one = try InterfaceChoice.attempts(wanted: ["52:54:00:00:00:01"], bond: false, among: interfaces)
        #expect(one.map { $0.map(\.name) } == [["eth0"]])
        let both = try InterfaceChoice.attempts(
            wanted: ["52:54:00:00:00:02", "52:54:00:00:00:01"], bond: true, among: interfaces)
        #expect(both.map { $0.map(\.name) } == [["eth1", "eth0"]])
    }

    @Test func whatIsMissingIsNamed() {
        #expect(throws: NodeError.self) { try InterfaceChoice.attempts(wanted: [], bond: false, among: []) }
        let error = #expect(throws: NodeError.self) {
            try InterfaceChoice.attempts(wanted: ["52:54:00:00:00:09"], bond: false, among: interfaces)
        }
        #expect(error?.description.contains("52:54:00:00:00:09") == true)
    }
}
