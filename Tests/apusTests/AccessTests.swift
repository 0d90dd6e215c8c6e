import Access
import Contract
import Foundation
import Testing

/// Signing in, roles and the audit log, as people meet them: the program against a running server.
@Suite struct AccessCommandTests {
    /// A home of a test's own, where nobody is signed in yet.
    private func home(_ server: RunningServer, _ name: String) -> [String: String] {
        ["XDG_CONFIG_HOME": server.scratch.path + "/" + name]
    }

    private func login(
        _ server: RunningServer, _ user: String, _ password: String, _ home: [String: String]
    ) async throws -> Outcome {
        try await run(
            Programs.apus,
            ["login", user, "--password-stdin", "--server", server.address, "--ca", server.data + "/ca.crt"],
            environment: home, input: password + "\n")
    }

    @Test func loginKeepsATokenForItsOwnerAloneAndLaterCallsNeedNothingElse() async throws {
        let server = try await RunningServer()
        let made = try await run(
            Programs.apus, ["user", "set", "maria", "--grant", "viewer", "--password-stdin"],
            environment: server.environment, input: "correct horse battery\n")
        #expect(made.code == 0, "\(made.errors)")
        let home = home(server, "maria")
        let wrong = try await login(server, "maria", "wrong horse battery", home)
        #expect(wrong.code == 77 && wrong.errors.contains("no such user"), "\(wrong.errors)")
        #expect(try await run(Programs.apus, ["whoami"], environment: home).code == 1)

        let right = try await login(server, "maria", "correct horse battery", home)
        #expect(right.code == 0, "\(right.errors)")
        #expect(!right.output.contains("apus-token-") && !right.errors.contains("apus-token-"))
        let file = server.scratch.path + "/maria/apus/login.json"
        let mode = try FileManager.default.attributesOfItem(atPath: file)[.posixPermissions] as? Int
        #expect(mode == 0o600)

        let me = try await run(Programs.apus, ["whoami", "--json"], environment: home)
        #expect(try me.json(WhoAmI.self).name == "maria", "\(me.errors)")
        #expect(try await run(Programs.apus, ["node", "list"], environment: home).code == 0)
        let refused = try await run(Programs.apus, ["user", "list"], environment: home)
        #expect(refused.code == 1 && refused.errors.contains("'access.read'"), "\(refused.errors)")
        // A program takes what its environment says instead.
        var environment = home
        environment["APUS_TOKEN"] = "apus-token-wrong"
        #expect(try await run(Programs.apus, ["node", "list"], environment: environment).code == 77)

        try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: file)
        let open = try await run(Programs.apus, ["whoami"], environment: home)
        #expect(open.code == 1 && open.errors.contains("can be read by others"))
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: file)

        let token = try String(contentsOfFile: file, encoding: .utf8)
        #expect(try await run(Programs.apus, ["logout"], environment: home).code == 0)
        #expect(!FileManager.default.fileExists(atPath: file))
        try token.write(toFile: file, atomically: true, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: file)
        #expect(try await run(Programs.apus, ["whoami"], environment: home).code == 77, "the token itself has ended")
    }

    @Test func tokensForProgramsComeOutAloneAndEndWhenRevoked() async throws {
        let server = try await RunningServer()
        #expect(try await server.apus("user", "set", "ci", "--grant", "operator@site=berlin,rack=7").code == 0)
        let made = try await server.apus(
            "api-token", "create", "--user", "ci", "--lifetime", "2h", "--grant", "viewer@site=berlin,rack=7")
        #expect(made.code == 0, "\(made.errors)")
        let secret = made.output.trimmingCharacters(in: .newlines)
        #expect(secret.hasPrefix("apus-token-") && !secret.contains("\n"))
        var environment = server.environment
        environment["APUS_TOKEN_FILE"] = nil
        environment["APUS_TOKEN"] = secret
        let me = try await run(Programs.apus, ["whoami", "--json"], environment: environment)
        #expect(
            try me.json(WhoAmI.self).grants == [RoleGrant(role: "operator", scope: ["site": "berlin", "rack": "7"])])
        let tokens = try await server.apus("api-token", "list", "--json").json(APITokenList.self).tokens
        #expect(try await server.apus("api-token", "revoke", try #require(tokens.first?.id)).code == 0)
        #expect(try await run(Programs.apus, ["whoami"], environment: environment).code == 77)
        for words in [["--grant", "viewer@"], ["--grant", "@a=b"], ["--grant", "viewer@berlin"]] {
            #expect(
                try await run(Programs.apus, ["user", "set", "x"] + words, environment: server.environment).code == 64)
        }
    }

    @Test func auditVerifyRemembersAndNoticesALogThatWasCut() async throws {
        let server = try await RunningServer()
        var environment = server.environment
        environment["XDG_CONFIG_HOME"] = server.scratch.path + "/config"
        for name in ["a", "b", "c"] { #expect(try await server.apus("user", "set", name).code == 0) }
        let listed = try await run(Programs.apus, ["audit", "list", "--json"], environment: environment)
        let entries = try listed.json([AuditEntry].self)
        #expect(entries.filter { $0.action.hasPrefix("PUT /v1/users/") && $0.outcome == .done }.count == 3)
        #expect(entries.map(\.sequence) == Array(1...Int64(entries.count)))
        let sound = try await run(Programs.apus, ["audit", "verify"], environment: environment)
        #expect(sound.code == 0 && sound.output.contains("is whole"), "\(sound.output) \(sound.errors)")
        _ = try await server.stop()

        // The last two entries go, triggers and all.
        let script = """
            import sqlite3, sys
            connection = sqlite3.connect(sys.argv[1])
            connection.executescript("DROP TRIGGER audit_is_not_shortened; DELETE FROM audit WHERE sequence > \(entries.count - 2)")
            """
        let cut = try await run("/usr/bin/python3", ["-c", script, server.data + "/apusd.sqlite"])
        #expect(cut.code == 0, "\(cut.errors)")
        let again = try await RunningServer(in: server.scratch)
        environment["APUS_SERVER"] = again.address
        let caught = try await run(Programs.apus, ["audit", "verify"], environment: environment)
        #expect(
            caught.code == 1 && caught.output.contains("this machine remembers"), "\(caught.output) \(caught.errors)")
        environment["XDG_CONFIG_HOME"] = server.scratch.path + "/stranger"
        #expect(
            try await run(Programs.apus, ["audit", "verify"], environment: environment).code == 0,
            "who remembers nothing cannot tell")
    }
}
