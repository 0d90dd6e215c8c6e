import Contract
import Foundation
import Testing

/// Which server is asked, whether it is believed, and what is said where that fails.
@Suite struct ConnectionTests {
    @Test func eachWayToMissTheServerHasItsCodeAndAdvice() async throws {
        let server = try await RunningServer()
        let foreign = try await RunningServer()
        let wrongToken = try server.scratch.write("token", "apus-admin-wrong")
        let noCertificate = try server.scratch.write("no.crt", "hello")
        let port = String(server.address.split(separator: ":").last ?? "")
        let cases: [(arguments: [String], code: Int32, words: String)] = [
            (["--server", "https://127.0.0.1:1"], 69, "apusd runs there"),
            (["--server", "https://nosuch.invalid"], 69, "--server"),
            (["--server", "http://127.0.0.1:\(port)"], 64, "https://"),
            (["--server", "127.0.0.1:\(port)"], 0, ""),
            (["--server", server.address + "/"], 0, ""),
            (["--server", "https://127.0.0.2:\(port)"], 69, ""),
            (["--server", foreign.address], 69, "ca.crt"),
            (["--ca", foreign.data + "/ca.crt"], 69, "ca.crt"),
            (["--ca", "/nonexistent"], 1, "'/nonexistent'"),
            (["--ca", noCertificate], 1, "no certificate in PEM"),
            (["--token-file", wrongToken], 77, "admin.token"),
            (["--token-file", "/nonexistent"], 1, "'/nonexistent'"),
            (["--data", "/nonexistent"], 1, "'/nonexistent'"),
            // A folder on the command line goes before a server of the environment.
            (["--data", foreign.data], 0, ""),
            (["--bogus"], 64, "--bogus"),
        ]
        for (arguments, code, words) in cases {
            let outcome = try await run(Programs.apus, ["node", "list"] + arguments, environment: server.environment)
            #expect(outcome.code == code, "\(arguments): \(outcome.errors)")
            #expect(words.isEmpty || outcome.errors.contains(words), "\(arguments): \(outcome.errors)")
            if code != 0, code != 64 { #expect(outcome.errors.split(separator: "\n").count == 1) }
        }
    }

    @Test func ownServerIsFoundByItsDataFolderWhateverItsPort() async throws {
        let server = try await RunningServer()
        #expect(try await run(Programs.apus, ["node", "list", "--data", server.data]).code == 0)
        let alone = try await run(
            Programs.apus, ["node", "list"], environment: ["HOME": "/nonexistent", "APUS_SERVER": ""])
        #expect(alone.code != 0)
        #expect(alone.errors.contains("--server") || alone.errors.contains("apusd"))
    }

    @Test func serverStopsInGoodOrderAndWakesWhoWaits() async throws {
        let server = try await RunningServer()
        #expect(try await server.apus("token", "create").code == 0)
        let (code, words) = try await server.stop()
        #expect(code == 0)
        #expect(words.contains("has stopped"))
        let again = try await RunningServer(in: server.scratch)
        #expect(try await again.apus("token", "list", "--json").json(TokenList.self).tokens.count == 1)
    }

    @Test func wrongOptionsOfTheServerAreNamed() async throws {
        let server = try await RunningServer()
        let port = String(server.address.split(separator: ":").last ?? "")
        let scratch = try Scratch()
        let cases: [(arguments: [String], code: Int32, words: String)] = [
            (["--port", port], 1, "port \(port) is in use"),
            (["--port", "0", "--boot-port", port], 1, "--boot-port"),
            (["--port", "99999"], 64, "99999"),
            (["--port", "0", "--address", "example"], 1, "--address"),
            (["--port", "0", "--serials", "/nonexistent"], 1, "'/nonexistent'"),
            (["--port", "0", "--endpoint", "example"], 1, "--endpoint"),
            (["--port", "0", "--release-key", "/nonexistent"], 1, "'/nonexistent'"),
        ]
        for (arguments, code, words) in cases {
            let outcome = try await run(
                Programs.apusd, ["--data", scratch.path + "/data", "--address", "127.0.0.1"] + arguments)
            #expect(outcome.code == code, "\(arguments): \(outcome.errors)")
            #expect(outcome.errors.contains(words), "\(arguments): \(outcome.errors)")
        }
        let shared = try await run(Programs.apusd, ["--data", server.data, "--port", "0"])
        #expect(shared.code == 1)
        #expect(shared.errors.contains("another apusd"))
    }

    @Test func backupOfARunningServerIsRestoredByTheProgram() async throws {
        let server = try await RunningServer()
        #expect(try await server.apus("token", "create", "--note", "kept").code == 0)
        let archive = server.scratch.path + "/backup.tar"
        #expect(try await run(Programs.apusd, ["backup", "--data", server.data, archive]).code == 0)
        let mode = try FileManager.default.attributesOfItem(atPath: archive)[.posixPermissions] as? NSNumber
        #expect(mode == 0o600)
        let overwritten = try await run(Programs.apusd, ["restore", "--data", server.data, archive])
        #expect(overwritten.code == 1)
        #expect(overwritten.errors.contains("not empty"))

        let other = try Scratch()
        #expect(try await run(Programs.apusd, ["restore", "--data", other.path + "/data", archive]).code == 0)
        let restored = try await RunningServer(in: other)
        #expect(try restored.caCertificate == (try server.caCertificate))
        #expect(try await restored.apus("token", "list", "--json").json(TokenList.self).tokens.map(\.note) == ["kept"])
    }

    @Test(arguments: ["bash", "zsh", "fish"]) func completionsAreGenerated(_ shell: String) async throws {
        let script = try await run(Programs.apus, ["--generate-completion-script", shell])
        #expect(script.code == 0)
        #expect(script.output.contains("approve"))
        guard shell == "bash" else { return }
        let file = try Scratch()
        let path = try file.write("apus.bash", script.output)
        let loaded = try await run("/bin/bash", ["-c", "source \(path) && complete -p apus"])
        #expect(loaded.code == 0)
        #expect(loaded.output.contains("_apus"))
    }

    @Test func scenariosAreListedAsJSON() async throws {
        let listed = try await run(Programs.apus, ["lab", "--list", "--json"])
        #expect(try listed.json([[String: String]].self).contains { $0["name"] == "provision-pxe" })
    }
}
