import Access
import Contract
import Foundation
import HTTPTypes
import Store
import Testing

@testable import ControlPlane

/// The audit log: what is in it, and that it cannot be changed unseen.
struct AuditTests {
    @Test func changesRefusalsAndFailuresAreWrittenWithWhoWhatAndFromWhere() async throws {
        try await TestSite.run { site in
            let node = try await AdmittedNode.make(site)
            let token = try await site.user("maria", RoleGrant(role: "operator"))
            let id = node.id
            try await site.with(token: token) { maria in
                _ = try await maria.exchange(
                    .post, "/v1/nodes/\(id)/labels", LabelRequest(labels: ["rack": "7"]), as: NodeView.self)
                _ = try await maria.failure(.get, "/v1/users")
                _ = try await maria.failure(.post, "/v1/nodes/\(id)/approve", ApprovalRequest(code: "1"))
                _ = try await maria.failure(
                    .post, "/v1/nodes/\(id)/upgrade", UpgradeRequest(release: Digest256.zero))
                _ = try await maria.exchange(.get, "/v1/nodes", as: NodeList.self)
            }
            let entries = try await site.audit().filter { $0.who == "maria" }
            #expect(entries.map(\.outcome) == [.done, .refused, .refused, .failed])
            #expect(
                entries.allSatisfy { $0.from == "127.0.0.1" && $0.token != nil && $0.timeSeconds == site.clock.now })
            #expect(entries[0].action == "POST /v1/nodes/\(id)/labels" && entries[0].detail.contains("rack"))
            #expect(entries[1].action == "GET /v1/users" && entries[1].detail == "not-permitted")
            #expect(entries[2].detail == "not-permitted" && entries[3].detail == "release-unknown")
        }
    }

    @Test func changeThatFailsLeavesNoLineThatItWasDone() async throws {
        try await TestSite.run { site in
            try await site.administrator { admin in
                _ = try await admin.failure(.put, "/v1/roles/x", RoleRequest(verbs: ["nonsense"]))
            }
            let last = try #require(try await site.audit().last)
            #expect(last.outcome == .failed && last.detail == "verb-unknown" && last.who == "site administrator")
        }
    }

    @Test func secretsAreNotInTheLog() async throws {
        try await TestSite.run { site in
            try await site.administrator { admin in
                _ = try await admin.exchange(
                    .put, "/v1/users/maria", UserRequest(password: "correct horse battery"), as: UserView.self)
            }
            let token = try await site.user("ci")
            try await site.anyone { caller in
                _ = try await caller.failure(
                    .post, "/v1/login", LoginRequest(user: "maria", password: "my wrong password", note: ""))
            }
            let text = try await site.audit().map { "\($0)" }.joined()
            for secret in ["correct horse", "my wrong", token, site.adminToken] { #expect(!text.contains(secret)) }
        }
    }

    @Test func strangersCannotFillTheLog() async throws {
        try await TestSite.run { site in
            try await site.anyone { caller in
                var codes: Set<Int> = []
                for _ in 0..<400 { codes.insert(try await caller.failure(.get, "/v1/nodes").status) }
                #expect(codes == [401, 429])
            }
            #expect(try await site.audit().count < 340)
        }
    }

    @Test func databaseRefusesToChangeOrShortenTheLog() async throws {
        let scratch = try ScratchDirectory()
        try await TestSite.run(in: scratch) { site in
            try await site.administrator { admin in
                _ = try await admin.failure(.put, "/v1/roles/x", RoleRequest(verbs: []))
            }
        }
        for statement in ["UPDATE audit SET entry = ''", "DELETE FROM audit"] {
            let outcome = try shell("python3", "-c", Self.script, scratch.path + "/data/apusd.sqlite", statement)
            #expect(outcome.contains("never"), "\(outcome)")
        }
    }

    /// Whoever can write the file can take the triggers away first: then the chain, or who remembers it, shows it.
    @Test func tamperedDatabaseShows() async throws {
        let scratch = try ScratchDirectory()
        try await TestSite.run(in: scratch) { site in
            for name in ["a", "b", "c", "d"] { _ = try await site.user(name) }
        }
        let path = scratch.path + "/data/apusd.sqlite"
        let drop = "DROP TRIGGER audit_is_not_changed; DROP TRIGGER audit_is_not_shortened; "
        let head = try await verified(path, remembered: nil)
        #expect(head.count >= 8)
        _ = try shell("python3", "-c", Self.script, path, drop + "DELETE FROM audit WHERE sequence > \(head.count - 2)")
        #expect(try await verified(path, remembered: nil).count == head.count - 2, "a cut tail is a whole chain")
        await #expect(throws: AuditChain.Fault.self) { try await verified(path, remembered: head) }
        _ = try shell(
            "python3", "-c", Self.script, path, "UPDATE audit SET entry = replace(entry, 'a', 'b') WHERE sequence = 3")
        await #expect(throws: AuditChain.Fault.self) { try await verified(path, remembered: nil) }
    }

    @Test func nodesRememberTheHeadAndTellItAgain() async throws {
        try await TestSite.run { site in
            let node = try await AdmittedNode.make(site)
            let head = try await node.connect(site) { caller in
                let reply = try await caller.exchange(
                    .post, "/v1/node/status", AdmittedNode.status(), as: StatusReply.self)
                let head = try #require(reply.auditHead)
                var status = AdmittedNode.status()
                status.auditHeads = [head]
                _ = try await caller.exchange(.post, "/v1/node/status", status, as: StatusReply.self)
                return head
            }
            try await site.administrator { admin in
                let list = try await admin.exchange(.get, "/v1/audit/witnesses", as: AuditWitnessList.self)
                #expect(list.witnesses.map(\.head) == [head] && list.witnesses.map(\.node) == [node.id])
            }
        }
    }

    private func verified(_ path: String, remembered: AuditHead?) async throws -> AuditHead {
        let store = try SQLiteStore(path: path)
        defer { try? store.close() }
        let records = try await store.read { try $0.auditRecords(after: 0, limit: 10_000) }
        var verifier = AuditChain.Verifier(remembered: remembered.map { [($0, "a node")] } ?? [])
        for record in records { try verifier.take(record) }
        try verifier.finish()
        return verifier.head
    }

    private func shell(_ words: String...) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = words
        let pipe = Pipe()
        (process.standardOutput, process.standardError) = (pipe, pipe)
        try process.run()
        let said = try pipe.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return String(decoding: said, as: UTF8.self)
    }

    private static let script = """
        import sqlite3, sys
        connection = sqlite3.connect(sys.argv[1])
        connection.executescript(sys.argv[2])
        connection.commit()
        """
}
