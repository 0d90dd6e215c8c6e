import Contract
import Foundation
import Testing
import Workloads

/// What goes in and must not come out again.
@Suite struct SecretTests {
    @Test func secretIsSetByteForByteAndNeverShown() async throws {
        let server = try await RunningServer()
        let value = "hunter2 \u{1F511}\n"
        let made = try await run(
            Programs.apus, ["secret", "set", "db", "--json"], environment: server.environment, input: value)
        #expect(made.code == 0, "\(made.errors)")
        #expect(try made.json(SecretView.self).name == "db")
        let file = try server.scratch.write("value", "second value")
        let document = try server.scratch.write(
            "web.yaml",
            "name: web\nimage: r.example/web@sha256:\(String(repeating: "0", count: 64))\nsecrets: [db, missing]\n")
        let applied = try await server.apus("workload", "apply", "-f", document)
        #expect(applied.errors.contains("secret 'missing'"))
        #expect(try await server.apus("secret", "set", "other", "--from-file", file).output.contains("no workload"))
        let listed = try await server.apus("secret", "list")
        #expect(listed.output.contains("web"))
        var said = made.output + made.errors + applied.output + listed.output
        for arguments in [["secret", "list", "--json"], ["workload", "show", "web", "--json"], ["node", "events"]] {
            said += try await run(Programs.apus, arguments, environment: server.environment).output
        }
        for form in [value.trimmingCharacters(in: .newlines), Data(value.utf8).base64EncodedString(), "second value"] {
            #expect(!said.contains(form))
        }

        let node = try await TestMachine().admitted(server)
        let assignment = try await onThread { try node.assignment(try node.connect()) }
        #expect(assignment.workloads.first?.secrets.mapValues(\.bytes) == ["db": Array(value.utf8)])

        let used = try await server.apus("secret", "delete", "db")
        #expect(used.code == 1)
        #expect(used.errors.contains("'web'"))
        #expect(try await server.apus("secret", "delete", "other").code == 0)
        #expect(try await server.apus("secret", "delete", "other").errors.contains("'apus secret list'"))
        #expect(try await server.apus("secret", "set", "empty").errors.contains("1 to 65536 bytes"))
        #expect(try await server.apus("secret", "set", "Not_A_Name").code == 64)
        let large = try server.scratch.write("large", String(repeating: "x", count: 65_537))
        #expect(try await server.apus("secret", "set", "large", "--from-file", large).code == 1)
    }

    @Test func passwordOfARegistryComesFromAnywhereButTheCommandLine() async throws {
        let server = try await RunningServer()
        let set = ["registry", "set", "registry.example:5000", "--username", "robot"]
        let piped = try await run(
            Programs.apus, set + ["--password-stdin", "--json"], environment: server.environment, input: "s3cret\n")
        #expect(piped.code == 0, "\(piped.errors)")
        #expect(try piped.json(RegistryView.self).hasPassword)
        let named = server.environment.merging(["APUS_REGISTRY_PASSWORD": "s3cret-too"]) { $1 }
        #expect(try await run(Programs.apus, set, environment: named).code == 0)
        // With neither, and nobody to be asked, the one that is there stays.
        let kept = try await server.apus(
            "registry", "set", "registry.example:5000", "--username", "robot", "--mirror", "https://mirror.example",
            "--registry-ca", server.data + "/ca.crt", "--json")
        #expect(try kept.json(RegistryView.self).hasPassword)
        #expect(try kept.json(RegistryView.self).mirror == "https://mirror.example")
        let listed = try await server.apus("registry", "list")
        #expect(listed.output.contains("robot"))
        let all = try await server.apus("registry", "list", "--json").output
        #expect(!(piped.output + listed.output + all).contains("s3cret"))

        for wrong in [
            ["https://registry.example"], ["registry"], ["registry.example", "--password-stdin"],
            ["registry.example", "--password", "x"],
        ] {
            let outcome = try await run(Programs.apus, ["registry", "set"] + wrong, environment: server.environment)
            #expect(outcome.code == 64, "\(wrong)")
        }
        let noCertificate = try server.scratch.write("no.crt", "hello")
        let refused = try await server.apus("registry", "set", "r.example", "--registry-ca", noCertificate)
        #expect(refused.errors.contains("no certificate in PEM"))
        #expect(try await server.apus("registry", "delete", "registry.example:5000").code == 0)
        #expect(try await server.apus("registry", "delete", "registry.example:5000").code == 1)
    }
}
