import Contract
import Cryptography
import Foundation
import HTTPTypes
import HummingbirdTesting
import Release
import Testing

@testable import ControlPlane

/// What an admitted node asks and tells, and what operators then see.
struct NodeRouteTests {
    @Test func planIsSignedByTheCAAndForThisNode() async throws {
        try await TestSite.run { site in
            let node = try await AdmittedNode.make(site, labels: ["apus.hand-over": "kexec"])
            let early = try await node.connect(site) { try await $0.failure(.get, "/v1/node/plan") }
            #expect(early.code == "no-release")
            let release = try await site.administrator { caller in
                let key = try await TestRelease.trustedKey(caller)
                return try await TestRelease(key: key).publish(caller)
            }
            let authority = try Certificate(
                pem: try String(contentsOfFile: site.directory.authorityCertificate, encoding: .utf8))
            let keys = [try ReleaseKey(p256: authority.publicKey)]
            let plans = try await node.connect(site) { caller in
                var plans: [ProvisioningPlan] = []
                for _ in 0..<2 {
                    let bytes = try await caller.send(.get, "/v1/node/plan").bytes
                    plans.append(try ProvisioningPlan.verified(envelope: bytes, keys: keys))
                }
                return plans
            }
            #expect(plans.map(\.nodeID) == [node.id, node.id])
            #expect(plans.map(\.release) == [release.name, release.name])
            #expect(plans.map(\.generation) == [1, 2])
            #expect(plans[0].handOver == .kexec)
            #expect(!plans[0].wipeState)
        }
    }

    @Test func nodeComesOnlineAndItsTimelineIsThere() async throws {
        try await TestSite.run { site in
            let node = try await AdmittedNode.make(site)
            try await node.connect(site) { caller in
                for done in [UInt64(1), 2, 3] {
                    let step = StepReport(
                        sequence: "provision", step: "stream-image", state: .progress, done: done, total: 3,
                        unit: "bytes",
                        milliseconds: 1)
                    _ = try await caller.exchange(
                        .post, "/v1/node/steps", StepReports(steps: [step]), as: Acknowledgement.self)
                }
                _ = try await caller.exchange(
                    .post, "/v1/node/log", LogChunk(source: "init", text: "line 1\nline\u{1b}[2J 2\n"),
                    as: Acknowledgement.self)
                _ = try await caller.exchange(
                    .post, "/v1/node/events", NodeEvent(kind: "firmware", message: "BootNext was ignored"),
                    as: Acknowledgement.self)
                let reply = try await caller.exchange(
                    .post, "/v1/node/status", AdmittedNode.status(), as: StatusReply.self)
                #expect(reply.clockSeconds == site.clock.now)
            }
            try await site.administrator { caller in
                let view = try await caller.exchange(.get, "/v1/nodes/\(node.id)", as: NodeView.self)
                #expect(view.state == .online)
                #expect(view.status?.bootEntry == 3)
                let events = try await caller.exchange(
                    .get, "/v1/events?node=\(node.id)", as: EventList.self
                ).events
                #expect(events.compactMap(\.state) == [.approved, .admitted, .provisioning, .online])
                #expect(events.compactMap(\.step?.done) == [3], "newer progress replaces older")
                #expect(events.contains { $0.kind == "firmware" && $0.message == "BootNext was ignored" })
                let logs = try await caller.exchange(.get, "/v1/nodes/\(node.id)/logs", as: LogList.self).entries
                #expect(logs.map(\.text) == ["line 1\nline[2J 2\n"])
                let last = try #require(events.last?.sequence)
                let later = try await caller.exchange(.get, "/v1/events?after=\(last)", as: EventList.self)
                #expect(later.events.isEmpty)
            }
        }
    }

    @Test func desiredStateIsHeldUntilItChanges() async throws {
        try await TestSite.run { site in
            let node = try await AdmittedNode.make(site)
            let first = try await node.connect(site) {
                try await $0.exchange(.get, "/v1/node/desired", as: DesiredState.self)
            }
            #expect(first.release == nil)
            async let next = node.connect(site) {
                try await $0.exchange(
                    .get, "/v1/node/desired?after=\(first.generation)&waitSeconds=55", as: DesiredState.self)
            }
            let release = try await site.administrator { caller in
                let key = try await TestRelease.trustedKey(caller)
                let release = try await TestRelease(key: key).publish(caller)
                let rule = ProbationRule(holdSeconds: 5, deadlineSeconds: 50, attempts: 1)
                _ = try await caller.exchange(
                    .post, "/v1/nodes/\(node.id)/upgrade", UpgradeRequest(release: release.name, probation: rule),
                    as: NodeView.self)
                return release
            }
            let state = try await next
            #expect(state.release == release.name)
            #expect(state.releaseVersion == "1.0")
            #expect(state.probation.holdSeconds == 5)
            #expect(state.generation > first.generation)
        }
    }

    @Test func commandStaysUntilItIsAcknowledged() async throws {
        try await TestSite.run { site in
            let node = try await AdmittedNode.make(site)
            let command = try await site.administrator {
                try await $0.exchange(
                    .post, "/v1/nodes/\(node.id)/commands", CommandRequest(kind: .reboot), as: NodeCommand.self)
            }
            try await node.connect(site) { caller in
                let before = try await caller.exchange(.get, "/v1/node/desired", as: DesiredState.self)
                #expect(before.commands == [command])
                _ = try await caller.exchange(
                    .post, "/v1/node/status", AdmittedNode.status(acknowledged: [command.id, "unknown"]),
                    as: StatusReply.self)
                let after = try await caller.exchange(.get, "/v1/node/desired", as: DesiredState.self)
                #expect(after.commands.isEmpty)
                #expect(after.generation > before.generation)
            }
        }
    }

    @Test func reprovisioningKeepsTheNodeAndWipesWhereAsked() async throws {
        try await TestSite.run { site in
            let node = try await AdmittedNode.make(site)
            try await site.administrator { caller in
                let key = try await TestRelease.trustedKey(caller)
                _ = try await TestRelease(key: key).publish(caller)
            }
            try await node.connect(site) {
                _ = try await $0.exchange(.post, "/v1/node/status", AdmittedNode.status(), as: StatusReply.self)
                #expect(try await $0.failure(.get, "/v1/node/plan").code == "not-provisioning")
            }
            let command = try await site.administrator {
                try await $0.exchange(
                    .post, "/v1/nodes/\(node.id)/reprovision", CommandRequest(kind: .reprovision, wipeState: true),
                    as: NodeCommand.self)
            }
            #expect(command.kind == .reprovision)
            let machine = node.machine
            let status = try await site.anyone { try await machine.register($0).status }
            #expect(status.nodeID == node.id)
            let again = AdmittedNode(machine: machine, id: node.id, certificate: try #require(status.certificate))
            let keys = [try ReleaseKey(p256: try certificate(site).publicKey)]
            try await again.connect(site) { caller in
                let bytes = try await caller.send(.get, "/v1/node/plan").bytes
                #expect(try ProvisioningPlan.verified(envelope: bytes, keys: keys).wipeState)
                let state = try await caller.exchange(.get, "/v1/node/desired", as: DesiredState.self)
                #expect(state.commands.isEmpty, "the command was to the system that is gone")
                _ = try await caller.exchange(.post, "/v1/node/status", AdmittedNode.status(), as: StatusReply.self)
            }
            let nodes = try await site.administrator { try await $0.exchange(.get, "/v1/nodes", as: NodeList.self) }
            #expect(nodes.nodes.map(\.state) == [.online])
        }
    }

    @Test func certificateOfAReplacedKeyIsRefused() async throws {
        try await TestSite.run { site in
            let first = try TestNode()
            let token = try await site.administrator {
                try await $0.exchange(
                    .post, "/v1/tokens", TokenRequest(note: "", uses: 1, lifetimeSeconds: 60, labels: [:]),
                    as: TokenView.self)
            }
            let before = try await site.anyone { try await first.register($0, token: token.secret).status }
            // The same machine after a power cut: another key, same identity, same token, which has no use left.
            var second = try TestNode()
            second.inventory = first.inventory
            let machine = second
            let after = try await site.anyone { try await machine.register($0, token: token.secret).status }
            #expect(after.nodeID == before.nodeID)
            let old = AdmittedNode(
                machine: first, id: try #require(before.nodeID), certificate: try #require(before.certificate))
            let failure = try await old.connect(site) { try await $0.failure(.get, "/v1/node/desired") }
            #expect(failure.code == "certificate-replaced")
            let new = AdmittedNode(
                machine: machine, id: try #require(after.nodeID), certificate: try #require(after.certificate))
            _ = try await new.connect(site) { try await $0.exchange(.get, "/v1/node/desired", as: DesiredState.self) }
        }
    }

    @Test func certificateOfAnotherAuthorityDoesNotConnect() async throws {
        try await TestSite.run { site in
            let node = try await AdmittedNode.make(site)
            let other = try CertificateAuthority.create(
                name: "Other", notBeforeSeconds: Authority.notBeforeSeconds, notAfterSeconds: Authority.notAfterSeconds)
            let request = try CertificateRequest(
                pem: try CertificateRequest.make(key: node.machine.key, commonName: "x"))
            let forged = try other.issueNodeCertificate(
                request: request, nodeID: node.id.rawValue, notBeforeSeconds: Authority.notBeforeSeconds,
                notAfterSeconds: Authority.notAfterSeconds)
            let key = try node.machine.key.pem()
            let pem = try forged.pem()
            await #expect(throws: (any Error).self) {
                try await site.node(certificate: pem, key: key) { _ = try await $0.send(.get, "/healthz") }
            }
        }
    }

    @Test func maintenanceIsStickyAndStopsUpgrades() async throws {
        try await TestSite.run { site in
            let node = try await AdmittedNode.make(site)
            try await node.connect(site) { caller in
                _ = try await caller.exchange(.post, "/v1/node/status", AdmittedNode.status(), as: StatusReply.self)
                try await site.administrator { admin in
                    let view = try await admin.exchange(
                        .post, "/v1/nodes/\(node.id)/maintenance", MaintenanceRequest(enabled: true, reason: "new fan"),
                        as: NodeView.self)
                    #expect(view.state == .maintenance)
                    #expect(view.reason == "new fan")
                }
                _ = try await caller.exchange(.post, "/v1/node/status", AdmittedNode.status(), as: StatusReply.self)
                try await site.administrator { admin in
                    let failure = try await admin.failure(
                        .post, "/v1/nodes/\(node.id)/upgrade",
                        UpgradeRequest(release: try #require(Digest256(bytes: [UInt8](repeating: 0, count: 32)))))
                    #expect(failure.code == "in-maintenance")
                    let view = try await admin.exchange(
                        .post, "/v1/nodes/\(node.id)/maintenance", MaintenanceRequest(enabled: false), as: NodeView.self
                    )
                    #expect(view.state == .online)
                }
            }
        }
    }

    @Test func hostileNodeReportsAreRefused() async throws {
        try await TestSite.run { site in
            let node = try await AdmittedNode.make(site)
            try await node.connect(site) { (caller: TestCaller) async throws in
                let many = StepReports(
                    steps: (0..<65).map { _ in StepReport(sequence: "s", step: "t", state: .started, milliseconds: 0) })
                #expect(try await caller.failure(.post, "/v1/node/steps", many).code == "malformed")
                let foreign = LogChunk(source: "/etc/passwd", text: "x")
                #expect(try await caller.failure(.post, "/v1/node/log", foreign).code == "malformed")
                let large = LogChunk(source: "agent", text: String(repeating: "x", count: WireLimit.logChunk + 1))
                #expect(try await caller.failure(.post, "/v1/node/log", large).code == "body-too-large")
                let forged = NodeEvent(kind: "state", message: "ONLINE")
                #expect(try await caller.failure(.post, "/v1/node/events", forged).code == "malformed")
                #expect(try await caller.failure(.get, "/v1/nodes").code == "operators-only")
            }
        }
    }

    private func certificate(_ site: TestSite) throws -> Certificate {
        try Certificate(pem: try String(contentsOfFile: site.directory.authorityCertificate, encoding: .utf8))
    }
}
