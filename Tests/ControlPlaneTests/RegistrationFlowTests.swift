import Contract
import Cryptography
import Foundation
import HTTPTypes
import Store
import Testing

@testable import ControlPlane

/// Registration over real TLS connections.
struct RegistrationFlowTests {
    private func token(
        _ site: TestSite, uses: Int = 1, lifetime: Int64 = 3600, labels: [String: String] = [:]
    ) async throws -> TokenView {
        try await site.administrator {
            try await $0.exchange(
                .post, "/v1/tokens", TokenRequest(note: "n", uses: uses, lifetimeSeconds: lifetime, labels: labels),
                as: TokenView.self)
        }
    }

    @Test func tokenAdmitsWithItsLabelsAndCertificate() async throws {
        try await TestSite.run { site in
            let token = try await token(site, labels: ["rack": "7"])
            let machine = try TestNode()
            let status = try await site.anyone { try await machine.register($0, token: token.secret).status }
            #expect(status.state == .admitted)
            let id = try #require(status.nodeID)
            let chain = Authority.blocks(try #require(status.certificate))
            let certificate = try Certificate(pem: try #require(chain.first))
            #expect(certificate.subjectCommonName == id.rawValue)
            #expect(certificate.publicKey == machine.key.publicKey)
            #expect(certificate.isValid(atSeconds: 1_580_000_000), "a clock that was floored can use it")
            let node = try await site.administrator {
                try await $0.exchange(.get, "/v1/nodes/\(id)", as: NodeView.self)
            }
            #expect(node.labels == ["rack": "7"])
            #expect(node.state == .admitted)
        }
    }

    @Test func badTokensAreRefusedEachWithItsCode() async throws {
        try await TestSite.run { site in
            let usedUp = try await token(site)
            let expired = try await token(site, lifetime: 10)
            let revoked = try await token(site)
            _ = try await AdmittedNode.make(site)
            try await site.anyone { _ = try await TestNode().register($0, token: usedUp.secret) }
            try await site.administrator {
                _ = try await $0.exchange(.post, "/v1/tokens/\(revoked.id)/revoke", as: TokenView.self)
            }
            site.clock.advance(11)
            let cases: [(String?, String)] = [
                (expired.secret, "token-expired"), (revoked.secret, "token-revoked"),
                ("apus-join-nonsense", "token-unknown"),
            ]
            for (secret, code) in cases {
                let failure = try await site.anyone {
                    try await $0.failure(.post, "/v1/registrations", try TestNode().request(token: secret))
                }
                #expect(failure.status == 403)
                #expect(failure.code == code)
            }
            let machine = try TestNode()
            let failure = await #expect(throws: Failure.self) {
                try await site.anyone { _ = try await machine.register($0, token: usedUp.secret) }
            }
            #expect(failure?.code == "token-used-up")
            let nodes = try await site.administrator { try await $0.exchange(.get, "/v1/nodes", as: NodeList.self) }
            #expect(nodes.nodes.count == 2, "a refused machine leaves no node behind")
        }
    }

    @Test func withoutTokenNothingLeavesBeforeTheCodeIsApproved() async throws {
        try await TestSite.run { site in
            let machine = try TestNode()
            let (reply, status) = try await site.anyone { try await machine.register($0) }
            #expect(status.state == .pending)
            #expect(status.nodeID == nil)
            #expect(status.certificate == nil)
            let nodes = try await site.administrator { try await $0.exchange(.get, "/v1/nodes", as: NodeList.self) }
            let id = try #require(nodes.nodes.first?.id)
            let code = try machine.code(reply, site: site)

            // The machine's poll is held open while a person types: first a wrong code, then the right one.
            async let polled = site.anyone {
                try await $0.exchange(
                    .get, "/v1/registrations/\(reply.registrationID)?waitSeconds=55", headers: reply.bearer,
                    as: RegistrationStatus.self)
            }
            let approved = try await site.administrator { caller in
                let wrong = try await caller.failure(
                    .post, "/v1/nodes/\(id)/approve",
                    ApprovalRequest(code: code == "0000-0000" ? "1111-1111" : "0000-0000"))
                #expect(wrong.code == "wrong-code")
                #expect(wrong.message.contains("4 attempts"))
                return try await caller.exchange(
                    .post, "/v1/nodes/\(id)/approve", ApprovalRequest(code: code.lowercased()), as: NodeView.self)
            }
            #expect([.approved, .admitted].contains(approved.state))
            let admitted = try await polled
            #expect(admitted.state == .admitted)
            #expect(admitted.nodeID == id)
            #expect(admitted.certificate != nil)
            let again = try await site.administrator {
                try await $0.failure(.post, "/v1/nodes/\(id)/approve", ApprovalRequest(code: code))
            }
            #expect(again.code == "nothing-to-approve")
        }
    }

    @Test func wrongCodesCloseTheRegistration() async throws {
        try await TestSite.run { site in
            let machine = try TestNode()
            let (reply, _) = try await site.anyone { try await machine.register($0) }
            let codes = try await site.administrator { caller in
                let nodes = try await caller.exchange(.get, "/v1/nodes", as: NodeList.self)
                let id = try #require(nodes.nodes.first?.id)
                var codes: [String] = []
                for _ in 0..<5 {
                    codes.append(
                        try await caller.failure(.post, "/v1/nodes/\(id)/approve", ApprovalRequest(code: "x")).code)
                }
                return codes
            }
            #expect(codes == Array(repeating: "wrong-code", count: 4) + ["too-many-wrong-codes"])
            let failure = try await site.anyone {
                try await $0.failure(.get, "/v1/registrations/\(reply.registrationID)", headers: reply.bearer)
            }
            #expect(failure.code == "too-many-wrong-codes")
            let status = try await site.anyone { try await machine.register($0).status }
            #expect(status.state == .pending, "the machine may begin anew, with another code")
        }
    }

    @Test func commitmentMustFit() async throws {
        try await TestSite.run { site in
            let machine = try TestNode()
            try await site.anyone { caller in
                let reply = try await caller.exchange(
                    .post, "/v1/registrations", try machine.request(), as: RegistrationReply.self)
                let other = RegistrationReveal(nodeNonce: try randomBytes(32).lowercaseHex)
                let path = "/v1/registrations/\(reply.registrationID)"
                let early = try await caller.failure(.get, path, headers: reply.bearer)
                #expect(early.code == "reveal-first")
                let failure = try await caller.failure(.post, path + "/reveal", other, headers: reply.bearer)
                #expect(failure.code == "commitment-mismatch")
                let closed = try await caller.failure(
                    .post, path + "/reveal", RegistrationReveal(nodeNonce: machine.nonce.lowercaseHex),
                    headers: reply.bearer)
                #expect(closed.code == "registration-closed", "there is no second guess")
            }
        }
    }

    @Test func repeatedRevealAfterALostReplyChangesNothing() async throws {
        try await TestSite.run { site in
            let token = try await token(site)
            let machine = try TestNode()
            let (reply, first) = try await site.anyone { try await machine.register($0, token: token.secret) }
            let second = try await site.anyone {
                try await $0.exchange(
                    .post, "/v1/registrations/\(reply.registrationID)/reveal",
                    RegistrationReveal(nodeNonce: machine.nonce.lowercaseHex), headers: reply.bearer,
                    as: RegistrationStatus.self)
            }
            #expect(first == second)
        }
    }

    @Test func registrationIsForWhoeverHasItsSecret() async throws {
        try await TestSite.run { site in
            let (reply, _) = try await site.anyone { try await TestNode().register($0) }
            try await site.anyone { caller in
                let path = "/v1/registrations/\(reply.registrationID)"
                #expect(try await caller.failure(.get, path).code == "registration-unknown")
                let wrong = try await caller.failure(.get, path, headers: [.authorization: "Bearer nonsense"])
                #expect(wrong.code == "registration-unknown")
            }
        }
    }

    @Test func sameKeyIsTheSameNodeEvenWithARevokedToken() async throws {
        try await TestSite.run { site in
            let token = try await token(site)
            let machine = try TestNode()
            let first = try await site.anyone { try await machine.register($0, token: token.secret).status }
            try await site.administrator {
                _ = try await $0.exchange(.post, "/v1/tokens/\(token.id)/revoke", as: TokenView.self)
            }
            let second = try await site.anyone { try await machine.register($0, token: token.secret).status }
            #expect(second.state == .admitted)
            #expect(second.nodeID == first.nodeID)
            let nodes = try await site.administrator { try await $0.exchange(.get, "/v1/nodes", as: NodeList.self) }
            #expect(nodes.nodes.count == 1)
        }
    }

    @Test func retiredNodeIsRefused() async throws {
        try await TestSite.run { site in
            let node = try await AdmittedNode.make(site)
            try await site.administrator {
                _ = try await $0.exchange(.post, "/v1/nodes/\(node.id)/retire", as: NodeView.self)
            }
            let failure = try await node.connect(site) { try await $0.failure(.get, "/v1/node/plan") }
            #expect(failure.code == "node-retired")
            let machine = node.machine
            let refused = await #expect(throws: Failure.self) {
                try await site.anyone { _ = try await machine.register($0) }
            }
            #expect(refused?.code == "node-retired")
        }
    }

    @Test func listedSerialNeedsNoToken() async throws {
        let scratch = try ScratchDirectory()
        let list = scratch.path + "/serials"
        try "# our machines\nSN-77  # in rack 3\n".write(toFile: list, atomically: true, encoding: .utf8)
        try await TestSite.run(in: scratch, configure: { $0.serialsFile = list }) { site in
            let listed = try await site.anyone { try await TestNode(serial: "SN-77").register($0).status }
            #expect(listed.state == .admitted)
            let other = try await site.anyone { try await TestNode(serial: "SN-78").register($0).status }
            #expect(other.state == .pending)
        }
    }

    @Test func idleRegistrationExpiresWithItsPendingNode() async throws {
        let scratch = try ScratchDirectory()
        let directory = try DataDirectory(creating: scratch.path)
        let clock = TestClock()
        let store = try SQLiteStore(path: directory.database + "-test")
        let core = Core(
            store: store, signals: Signals(), authority: try Authority(in: directory), now: { clock.now })
        let service = RegistrationService(core: core, listedSerials: { [] })
        let machine = try TestNode()
        let reply = try await service.begin(try machine.request(), from: "192.0.2.1")
        let reveal = RegistrationReveal(nodeNonce: machine.nonce.lowercaseHex)
        _ = try await service.reveal(reply.registrationID, secret: reply.secret, reveal)
        let begun = try await service.begin(try TestNode().request(), from: "192.0.2.1")
        clock.advance(ServerLimit.registrationBriefSeconds + 1)
        try await service.expireIdle()
        #expect(try await store.read { try $0.registration(begun.registrationID) } == nil)
        clock.advance(ServerLimit.registrationIdleSeconds - ServerLimit.registrationBriefSeconds - 1)
        try await service.expireIdle()
        #expect(try await store.read { try $0.countOfUnadmittedNodes() } == 1)
        clock.advance(1)
        try await service.expireIdle()
        #expect(try await store.read { try $0.countOfUnadmittedNodes() } == 0)
        #expect(try await store.read { try $0.registration(reply.registrationID) } == nil)
    }
}
