import Contract
import Cryptography
import Fetch
import Foundation
import Release
import Testing

/// The programs as operators run them: real processes, real sockets, real exit codes.
@Suite struct CommandTests {
    @Test func nodeIsApprovedByItsCodeAndOnlyByThat() async throws {
        let server = try await RunningServer()
        let machine = try TestMachine()
        let (status, code) = try machine.register(server)
        #expect(status.state == .pending)

        let pending = try await server.apus("node", "list", "--state", "pending", "--json")
        let node = try #require(try pending.json(NodeList.self).nodes.first)
        #expect(node.inventory.smbios.serial == machine.serial)
        let id = node.id.rawValue

        let wrong = try await server.apus("node", "approve", id, "AAAA-AAAA")
        #expect(wrong.code == 1, "a wrong code is a refusal, and says nothing about the token")
        #expect(wrong.errors.contains("attempts are left"))
        let right = try await server.apus("node", "approve", String(id.prefix(20)), code.lowercased(), "--json")
        #expect(try right.json(NodeView.self).state == .approved)
        #expect(try await server.apus("node", "approve", id, code).errors.contains("waits for no approval"))

        let shown = try await server.apus("node", "show", id).output
        #expect(shown.contains("Maker? Box"), "what turns a line's direction is not shown as it is")
        #expect(shown.contains("18446744073.7 GB"))
        let list = try await server.apus("node", "list").output.split(separator: "\n")
        #expect(list.count == 2)
        #expect(list.allSatisfy { !$0.hasSuffix(" ") })
    }

    @Test func machinesOfOneInstantAreToldApart() async throws {
        let server = try await RunningServer()
        let token = try await server.apus("token", "create", "--uses", "5").output.trimmingCharacters(in: .newlines)
        for _ in 0..<4 { #expect(try TestMachine().register(server, token: token).status.certificate != nil) }
        let ids = try await server.apus("node", "list").output.split(separator: "\n").dropFirst().map {
            String($0.prefix { $0 != " " })
        }
        #expect(Set(ids).count == 4)
        for id in ids { #expect(try await server.apus("node", "show", id).code == 0) }

        let ambiguous = try await server.apus("node", "show", String(ids[0].prefix(4)))
        #expect(ambiguous.code == 1)
        #expect(ambiguous.errors.contains("give more of the id"))
        #expect(try await server.apus("node", "show", "zzzz").errors.contains("'apus node list'"))
        #expect(try await server.apus("node", "show", "zz").errors.contains("too short"))
        let unknown = try await server.apus("node", "reboot", "0" + String(repeating: "z", count: 25))
        #expect(unknown.code == 1)
        #expect(unknown.errors.contains("'apus node list'"))
    }

    @Test func commandsAboutANodeGiveWhatTheServerReplied() async throws {
        let server = try await RunningServer()
        let token = try await server.apus("token", "create", "--label", "rack=7").output.trimmingCharacters(
            in: .newlines)
        let id = try #require(try TestMachine().register(server, token: token).status.nodeID).rawValue

        let labelled = try await server.apus("node", "label", id, "row=b", "rack-", "--json").json(NodeView.self)
        #expect(labelled.labels == ["row": "b"])
        #expect(try await server.apus("node", "label", id, "nonsense").code == 64)
        let impossible = try await server.apus("node", "label", id, "apus.disk.maximum-bytes=1048576")
        #expect(impossible.code == 1)
        #expect(impossible.errors.contains("apus.disk.maximum-bytes"))

        for (arguments, kind) in [
            (["reboot"], NodeCommand.Kind.reboot), (["poweroff"], .powerOff), (["clear-quarantine"], .clearQuarantine),
            (["reprovision", "--wipe-state"], .reprovision),
        ] {
            let outcome = try await run(
                Programs.apus, ["node"] + arguments + [id, "--json"], environment: server.environment)
            #expect(try outcome.json(NodeCommand.self).kind == kind)
        }
        let resting = try await server.apus("node", "maintenance", id, "--reason", "new fan", "--json").json(
            NodeView.self)
        #expect(resting.state == .maintenance)
        #expect(resting.reason == "new fan")
        #expect(try await server.apus("node", "maintenance", id, "--end").code == 0)
        #expect(try await server.apus("node", "upgrade", id, "9.9").errors.contains("'apus release list'"))

        #expect(try await server.apus("node", "retire", id).errors.contains("--yes"))
        #expect(try await server.apus("node", "retire", id, "--yes", "--json").json(NodeView.self).state == .retired)
        #expect(try await server.apus("node", "reboot", id).code == 1)
    }

    @Test func logsAreShownToTheLastAndFromOneSource() async throws {
        let server = try await RunningServer()
        let token = try await server.apus("token", "create").output.trimmingCharacters(in: .newlines)
        let machine = try TestMachine()
        let status = try machine.register(server, token: token).status
        let id = try #require(status.nodeID).rawValue
        let http = try machine.connect(server, certificate: try #require(status.certificate))
        // More than fits one reply: the oldest lines must not be lost, nor the newest.
        for number in 0..<12 {
            let text = "first \(number)\n" + String(repeating: "x", count: 60_000) + "\nlast \(number)\n"
            let chunk = LogChunk(source: number == 11 ? "journal" : "agent", text: text)
            _ = try http.request(
                "POST", server.address + "/v1/node/log", headers: [.json], body: try Wire.encode(chunk))
        }
        let all = try await server.apus("node", "logs", id).output
        for number in 0..<12 {
            #expect(all.contains(": first \(number)\n"))
            #expect(all.contains(": last \(number)\n"))
        }
        let journal = try await server.apus("node", "logs", id, "--source", "journal", "--json").output
        let entries = try journal.split(separator: "\n").map { try Wire.decode(LogEntry.self, from: $0.utf8) }
        #expect(entries.map(\.source) == ["journal"])
        #expect(try await server.apus("node", "logs", id, "--source", "attic").code == 64)
        #expect(try await server.apus("node", "logs", id, "--fetch", "--source", "init").code == 64)
        let lines = try await server.apus("node", "events", id, "--json").output.split(separator: "\n")
        #expect(try lines.map { try Wire.decode(Event.self, from: $0.utf8) }.contains { $0.state == .admitted })
    }

    @Test func tokensAreShownOnceAndSayHowTheyStand() async throws {
        let server = try await RunningServer()
        let made = try await server.apus("token", "create", "--lifetime", "86400s", "--note", "rack 7")
        #expect(made.output.hasPrefix("apus-join-"))
        #expect(made.output.split(separator: "\n").count == 1, "a script takes the token from standard output")
        let secret = made.output.trimmingCharacters(in: .newlines)
        #expect(!made.errors.contains(secret))
        _ = try TestMachine().register(server, token: secret)
        let listed = try await server.apus("token", "list")
        #expect(listed.output.contains("used up"))
        #expect(!listed.output.contains(secret))

        let other = try await server.apus("token", "create", "--json").json(TokenView.self)
        #expect(try await server.apus("token", "revoke", other.id, "--json").json(TokenView.self).isRevoked)
        #expect(try await server.apus("token", "revoke", "nosuch").errors.contains("'apus token list'"))
        for bad in [
            ["--lifetime", "1x"], ["--lifetime", "99999999999999999999d"], ["--label", "x"], ["--uses", "many"],
        ] {
            #expect(
                try await run(Programs.apus, ["token", "create"] + bad, environment: server.environment).code == 64)
        }
        #expect(try await server.apus("token", "create", "--uses", "0").code == 1)
    }

    @Test func publicHalfOfAKeyIsTrustedAndNothingElse() async throws {
        let server = try await RunningServer()
        let key = server.scratch.path + "/site.key"
        let made = try await run(Programs.apus, ["release", "key", key])
        #expect(made.output == (try String(contentsOfFile: key + ".pub", encoding: .utf8)))
        let known = try await run(Programs.apus, ["release", "key", key, "--json"]).json(ReleaseKey.self)
        #expect(try await server.apus("release", "trust").output.contains("no release keys"))
        let trusted = try await server.apus("release", "trust", key + ".pub", "--json").json(ReleaseKeyList.self)
        #expect(trusted.keys == [known])
        let pem = try server.scratch.write("key.pem", try known.publicKey().pem())
        #expect(try await server.apus("release", "trust", pem, "--json").json(ReleaseKeyList.self).keys == [known])

        for wrong in [key, server.data + "/ca.crt", "/nonexistent", server.data] {
            let refused = try await server.apus("release", "trust", wrong)
            #expect(refused.code == 1, "\(wrong)")
            #expect(refused.errors.contains("'\(wrong)'"))
            #expect(!refused.errors.contains("BEGIN PRIVATE"))
        }
        try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: key)
        #expect(try await run(Programs.apus, ["release", "key", key]).errors.contains("chmod 600"))
        for (option, value) in [
            ("--version", "a b"), ("--level", "99"), ("--epoch", "-1"), ("--metadata-version", "0"),
        ] {
            let options = option == "--version" ? [] : ["--version", "1"]
            let bad = try await run(
                Programs.apus, ["release", "build", "--root", "/nonexistent", "\(option)=\(value)"] + options)
            #expect(bad.code == 64, "\(option)")
        }
        let missing = try await run(Programs.apus, ["release", "build", "--root", "/nonexistent", "--version", "1"])
        #expect(missing.code == 1)
        #expect(missing.errors.contains("'/nonexistent'"))
    }

    @Test func siteFileHasWhatTheServerNamesAndTheToken() async throws {
        let server = try await RunningServer(options: ["--name", "apus.example"])
        let token = try server.scratch.write("token", "apus-join-x\n")
        let printed = try await server.apus("site")
        #expect(printed.errors.contains("apus release trust"), "without a release key the file is of little use")
        #expect(try printed.json(SiteTrust.self).endpoint?.hasPrefix("https://apus.example:") == true)
        let path = server.scratch.path + "/site.json"
        let outcome = try await server.apus(
            "site", "--output", path, "--join-token", token, "--endpoint", "https://other.example:8443")
        #expect(outcome.code == 0)
        let trust = try Wire.decode(SiteTrust.self, from: try Data(contentsOf: URL(fileURLWithPath: path)))
        #expect(trust.endpoint == "https://other.example:8443")
        #expect(trust.token == "apus-join-x")
        #expect(trust.caCertificate == (try server.caCertificate))
        let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? NSNumber
        #expect(mode == 0o600)
    }
}
