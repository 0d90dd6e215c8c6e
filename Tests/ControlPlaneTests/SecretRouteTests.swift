import Contract
import Foundation
import HTTPTypes
import HummingbirdTesting
import Logging
import Synchronization
import Testing
import Workloads

@testable import ControlPlane

/// Secrets and passwords go in, reach the nodes that need them, and are seen nowhere else.
struct SecretRouteTests {
    private func secret(_ text: String) throws -> SecretValue { try #require(SecretValue(bytes: Array(text.utf8))) }

    private func set(_ caller: TestCaller, _ name: String, _ value: String) async throws {
        _ = try await caller.exchange(
            .put, "/v1/secrets/\(name)", SecretRequest(value: try secret(value)), as: SecretView.self)
    }

    @Test func aSecretReachesTheNodesWhoseWorkloadsNameIt() async throws {
        try await TestSite.run { site in
            let node = try await AdmittedNode.make(site, labels: ["name": "one"])
            let other = try await AdmittedNode.make(site)
            let fields = #""secrets": ["key"], "deploy": {"placement": {"nodes": ["one"]}}"#
            try await site.administrator { caller in
                let applied = try await caller.apply("web", try TestWorkload.document("web", fields))
                #expect(applied.notes.contains { $0.contains("secret 'key' does not exist yet") })
                _ = try await caller.apply("job", try TestWorkload.document("job"))
            }
            let before = try await node.connect(site) { try await $0.assignment() }
            #expect(before.workloads.allSatisfy { $0.secrets.isEmpty })
            try await site.administrator { try await self.set($0, "key", "hunter2") }
            let after = try await node.connect(site) { try await $0.assignment() }
            #expect(after.generation != before.generation)
            let value = try self.secret("hunter2")
            #expect(after.workloads.map(\.secrets) == [[:], ["key": value]])
            try await site.administrator { try await self.set($0, "key", "hunter3") }
            let changed = try await node.connect(site) { try await $0.assignment() }
            #expect(changed.generation != after.generation)
            let untouched = try await other.connect(site) { try await $0.assignment() }
            #expect(untouched.workloads.flatMap(\.secrets.keys).isEmpty)
            try await site.administrator { caller in
                #expect(try await caller.failure(.delete, "/v1/secrets/key").code == "secret-in-use")
                _ = try await caller.exchange(.delete, "/v1/workloads/web", as: Acknowledgement.self)
                _ = try await caller.exchange(.delete, "/v1/secrets/key", as: Acknowledgement.self)
                #expect(try await caller.failure(.delete, "/v1/secrets/key").code == "secret-unknown")
            }
        }
    }

    @Test func aPasswordReachesOnlyNodesWithAnImageOfThatRegistry() async throws {
        try await TestSite.run { site in
            let node = try await AdmittedNode.make(site)
            try await site.administrator { caller in
                for host in ["registry.example", "other.example"] {
                    let request = RegistryRequest(
                        username: "user", password: try self.secret("hunter2"),
                        caPEM: "-----BEGIN CERTIFICATE-----\n")
                    let view = try await caller.exchange(
                        .put, "/v1/registries/\(host)", request, as: RegistryView.self)
                    #expect(view.hasPassword && view.username == "user")
                }
                _ = try await caller.apply("web", try TestWorkload.document("web"))
                // Another address of the mirror keeps the password; another user does not.
                let mirrored = try await caller.exchange(
                    .put, "/v1/registries/registry.example",
                    RegistryRequest(mirror: "https://mirror.example", username: "user"), as: RegistryView.self)
                #expect(mirrored.hasPassword && mirrored.mirror == "https://mirror.example")
                let stranger = try await caller.failure(
                    .put, "/v1/registries/registry.example", RegistryRequest(username: "other"))
                #expect(stranger.code == "malformed")
            }
            let accounts = try await node.connect(site) { try await $0.assignment() }.registries
            #expect(accounts.map(\.host) == ["registry.example"])
            let password = try self.secret("hunter2")
            #expect(accounts.first?.password == password)
            try await site.administrator { caller in
                for wrong in ["nohost", "a..b", "UPPER.example", "host:99999"] {
                    let failure = try await caller.failure(.put, "/v1/registries/\(wrong)", RegistryRequest())
                    #expect(failure.code == "malformed", "\(wrong)")
                }
                let mirror = RegistryRequest(mirror: "https://user:pass@mirror.example")
                #expect(try await caller.failure(.put, "/v1/registries/r.example", mirror).code == "malformed")
                _ = try await caller.exchange(.delete, "/v1/registries/other.example", as: Acknowledgement.self)
                let left = try await caller.exchange(.get, "/v1/registries", as: RegistryList.self)
                #expect(left.registries.map(\.host) == ["registry.example"])
            }
        }
    }

    @Test func valuesAreInNoReplyNoEventAndNoLog() async throws {
        let lines = Mutex<[String]>([])
        let logger = Logger(label: "test") { _ in CollectingHandler { line in lines.withLock { $0.append(line) } } }
        try await TestSite.run(logger: logger) { site in
            let node = try await AdmittedNode.make(site)
            let replies = try await site.administrator { caller in
                try await self.set(caller, "key", "hunter2")
                let registry = RegistryRequest(username: "user", password: try self.secret("hunter2"))
                _ = try await caller.exchange(
                    .put, "/v1/registries/registry.example", registry, as: RegistryView.self)
                _ = try await caller.apply("web", try TestWorkload.document("web", #""secrets": ["key"]"#))
                var replies: [String] = []
                for path in [
                    "/v1/secrets", "/v1/registries", "/v1/workloads", "/v1/workloads/web", "/v1/events",
                    "/v1/nodes/\(node.id)", "/v1/workloads/web/revisions",
                ] {
                    replies.append(String(decoding: try await caller.send(.get, path).bytes, as: UTF8.self))
                }
                for body in [#"{"value":"hunter2!"}"#, #"{"value":7}"#, #"{"value":"aHVudGVyMg"#] {
                    let reply = try await caller.send(.put, "/v1/secrets/key", body: Array(body.utf8))
                    #expect(reply.status == .badRequest)
                    replies.append(String(decoding: reply.bytes, as: UTF8.self))
                }
                #expect(try await caller.failure(.get, "/v1/secrets/key").code == "method-not-allowed")
                return replies
            }
            _ = try await node.connect(site) { try await $0.assignment() }
            for text in replies + lines.withLock({ $0 }) {
                for value in ["hunter2", "aHVudGVyMg"] { #expect(!text.contains(value), "\(text)") }
            }
        }
    }

    @Test func secretsAreInABackupAndFilesAreTheOwnersAlone() async throws {
        let scratch = try ScratchDirectory()
        let archive = scratch.path + "/backup.tar"
        try await TestSite.run(in: scratch) { site in
            try await site.administrator { try await self.set($0, "key", "hunter2") }
            for file in try FileManager.default.contentsOfDirectory(atPath: site.directory.path)
            where file.hasPrefix("apusd.sqlite") {
                let attributes = try FileManager.default.attributesOfItem(atPath: site.directory.path + "/" + file)
                #expect(attributes[.posixPermissions] as? Int == 0o600, "\(file)")
            }
            _ = try Backup.write(dataDirectory: site.directory.path, to: archive)
        }
        try FileManager.default.removeItem(atPath: scratch.path + "/data")
        try Backup.restore(from: archive, dataDirectory: scratch.path + "/data")
        try await TestSite.run(in: scratch) { site in
            let node = try await AdmittedNode.make(site)
            try await site.administrator {
                _ = try await $0.apply("web", try TestWorkload.document("web", #""secrets": ["key"]"#))
            }
            let assignment = try await node.connect(site) { try await $0.assignment() }
            let value = try self.secret("hunter2")
            #expect(assignment.workloads.first?.secrets["key"] == value)
        }
    }

    @Test func aPolicyIsTheSitesUntilANodeHasItsOwn() async throws {
        try await TestSite.run { site in
            let node = try await AdmittedNode.make(site)
            let other = try await AdmittedNode.make(site)
            let fields = #""read_only": false, "permissions": ["writable-root"]"#
            try await site.administrator { caller in
                let refused = try await caller.apply("web", try TestWorkload.document("web", fields))
                #expect(refused.notes.count == 2 && refused.notes.allSatisfy { $0.contains("will not run it") })
                let own = NodePolicy(permissions: [.writableRoot])
                _ = try await caller.exchange(
                    .put, "/v1/nodes/\(node.id)/workload-policy", own, as: NodePolicy.self)
            }
            func permissions(_ node: AdmittedNode) async throws -> Set<WorkloadPermission> {
                try await node.connect(site) { try await $0.assignment() }.policy.permissions
            }
            #expect(try await permissions(node) == [.writableRoot])
            #expect(try await permissions(other) == [])
            try await site.administrator { caller in
                _ = try await caller.exchange(
                    .put, "/v1/workload-policy", NodePolicy(permissions: [.lowPorts]), as: NodePolicy.self)
                _ = try await caller.exchange(.delete, "/v1/nodes/\(node.id)/workload-policy", as: NodePolicy.self)
            }
            #expect(try await permissions(node) == [.lowPorts])
            #expect(try await permissions(other) == [.lowPorts])
        }
    }
}
