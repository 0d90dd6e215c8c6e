import Linux
import Synchronization
import TestSupport
import Testing

@testable import Sandbox
@testable import Workloads

/// Names looked up through a real wire, with real rules and a real server outside.
@Suite(
    .ownThreads, .enabled(if: Street.obstacle == nil, "no network can be made here: \(Street.obstacle ?? "")"),
    .serialized)
struct NameServices {
    static let api = #"[{"to": "api.example.com", "ports": [443]}, {"to": "*.example.org", "ports": [443]}]"#
    static let seven: [UInt8] = [203, 0, 113, 7]
    static let eight: [UInt8] = [203, 0, 113, 8]

    @Test func aListedNameOpensItsAddressesAndNothingElse() throws {
        let street = try Street(
            Self.api,
            [
                "api.example.com": .answer([
                    .address("evil.test", Self.eight), .alias("api.example.com", "edge.example.net"),
                    .address("edge.example.net", Self.seven),
                ])
            ])
        #expect(try !street.isOpen(Self.seven), "before it was looked up")
        let answer = try street.ask("api.example.com")
        #expect(answer.code == 0 && answer.addresses == [Self.seven])
        #expect(try street.isOpen(Self.seven))
        #expect(try !street.isOpen(Self.eight))
        #expect(try street.ask("api.example.com", 28).addresses.isEmpty)
        #expect(street.town.questions == ["api.example.com 1 udp", "api.example.com 28 udp"])
    }

    @Test func whatIsNotListedLeavesTheNodeInNoForm() throws {
        let street = try Street(
            #"[{"to": "api.example.com", "ports": []}]"#,
            ["api.example.com": .answer([.address("api.example.com", Self.seven)])])
        #expect(try street.ask("stolen-secret.evil.test").code == 3)
        #expect(try street.ask("evil.test", isStream: true).code == 3)
        #expect(try street.ask("stolen.api.example.com").code == 3)
        #expect(try street.ask("api.example.com", 16).answers.isEmpty)
        #expect(street.town.questions.isEmpty)
        // Looked up only, it opens nothing; and no other server is reached.
        #expect(try street.ask("api.example.com").addresses == [Self.seven])
        #expect(try !street.isOpen(Self.seven))
        let town = try #require(NetworkAddress("192.0.2.53"))
        #expect(try Guest.ask(street.guest, town, "api.example.com", milliseconds: 800) == nil)
    }

    @Test func aNameThatLeadsToAForbiddenAddressOpensNothingThere() throws {
        let street = try Street(
            Self.api,
            [
                "api.example.com": .answer(
                    [[169, 254, 169, 254], [127, 0, 0, 1], [192, 0, 2, 1], [100, 127, 0, 9]].map {
                        .address("api.example.com", $0)
                    }),
                "a.example.org": .answer([
                    .address("a.example.org", [10, 0, 0, 1]), .address("a.example.org", [192, 0, 2, 1]),
                ]),
            ])
        let none = try street.ask("api.example.com")
        #expect(none.code == 0 && none.addresses.isEmpty)
        // The node's own address is left out, and another of a private network, which a site may mean, is not.
        #expect(try street.ask("a.example.org").addresses == [[10, 0, 0, 1]])
        #expect(street.rules.contains("10.0.0.1 timeout") && !street.rules.contains("192.0.2.1 timeout"))
        let told = street.told.sentences.withLock { $0 }
        #expect(told.count == 2 && told.contains { $0.contains("169.254.169.254") }, "\(told)")
    }

    @Test func answersOfOthersAreNotBelieved() throws {
        let street = try Street(
            Self.api,
            [
                "api.example.com": .spoofed(
                    [.address("api.example.com", Self.eight)],
                    thenAnswer: [.address("api.example.com", Self.seven)])
            ])
        #expect(try street.ask("api.example.com").addresses == [Self.seven])
        #expect(try street.isOpen(Self.seven))
        #expect(try !street.isOpen(Self.eight))
        #expect(!street.rules.contains("203.0.113.8 timeout"))
    }

    @Test func whatIsTooLargeGoesByTCPOnBothSides() throws {
        let many = (1...60).map { CraftedDNS.Record.address("api.example.com", [203, 0, 113, UInt8($0)]) }
        let street = try Street(Self.api, ["api.example.com": .large(many)])
        let cut = try street.ask("api.example.com")
        #expect(cut.head.isTruncated && cut.addresses.isEmpty)
        #expect(street.town.questions == ["api.example.com 1 udp", "api.example.com 1 tcp"])
        #expect(try street.ask("api.example.com", isStream: true).addresses.count == 60)
        #expect(try street.isOpen(Self.seven))
    }

    @Test func atTheEndOfItsLifetimeANameIsClosedForNewConnectionsOnly() throws {
        var limits = NameRelay.Limits()
        (limits.lifetimeSeconds, limits.slackSeconds) = (5...10, 0)
        let street = try Street(
            Self.api, limits: limits,
            ["api.example.com": .answer([.address("api.example.com", Self.seven, seconds: 1)])])
        _ = try street.ask("api.example.com")
        let early = try #require(try Guest.connect(street.guest, Self.seven))
        var tries = 0
        while try street.isOpen(Self.seven), tries < 600 {
            tries += 1
            Clock.pause(milliseconds: 100)
        }
        #expect(try !street.isOpen(Self.seven))
        #expect(Guest.echoes(early), "what was open goes on")
        _ = try street.ask("api.example.com")
        #expect(try street.isOpen(Self.seven))
    }

    @Test func aNewResolverAndRulesThatAreLoadedAgainKeepWhatIsOpen() throws {
        let street = try Street(
            Self.api,
            [
                "api.example.com": .answer([.address("api.example.com", Self.seven)]),
                "a.example.org": .answer([.address("a.example.org", Self.eight)]),
            ])
        _ = try street.ask("api.example.com")
        try street.wires.prepareNode()
        try street.wires.apply([street.firewall.rules])
        try street.startService()
        #expect(try street.isOpen(Self.seven))
        _ = try street.ask("a.example.org")
        #expect(try street.isOpen(Self.eight))
    }

    @Test func serversThatAreSilentGoneOrRefuseArePassedOver() throws {
        let street = try Street(
            Self.api, servers: "nameserver 192.0.2.54\nnameserver 192.0.2.53\n",
            [
                "api.example.com": .answer([.address("api.example.com", Self.seven)]), "a.example.org": .silence,
                "b.example.org": .code(5),
            ])
        #expect(try street.ask("api.example.com").addresses == [Self.seven])
        #expect(try street.ask("a.example.org").code == 2)
        #expect(try street.ask("b.example.org").code == 2)
        #expect(try street.ask("c.example.org").code == 3)
        // Without a server there is no answer, until the node has one again.
        try Files.writeDurably([], to: street.serverFile)
        var tries = 0
        while try street.ask("api.example.com").code == 0, tries < 100 {
            tries += 1
            Clock.pause(milliseconds: 100)
        }
        #expect(try street.ask("api.example.com").code == 2)
        try Files.writeDurably(Array("nameserver 192.0.2.53\n".utf8), to: street.serverFile)
        tries = 0
        while try street.ask("api.example.com").code == 2, tries < 100 {
            tries += 1
            Clock.pause(milliseconds: 100)
        }
        #expect(try street.ask("api.example.com").addresses == [Self.seven])
    }

    @Test func onlyTheWorkloadsOwnAddressIsAnswered() throws {
        let street = try Street(
            Self.api, ["api.example.com": .answer([.address("api.example.com", Self.seven)])])
        // Without any rules it is the resolver that must not answer.
        let free = Tool.run([
            "sh", "-c",
            """
            set -e
            nsenter --net=\(street.node) nft flush ruleset
            nsenter --net=\(street.node) ip route add 100.127.0.99/32 dev \(street.plan.hostInterface)
            nsenter --net=\(street.guest) ip addr add 100.127.0.99/32 dev lo
            nsenter --net=\(street.guest) ip route add \(street.plan.hostVersion4)/32 dev eth0 src 100.127.0.99
            """,
        ])
        #expect(free.status == 0, "\(free.output)")
        for isStream in [false, true] {
            let answer = try Guest.ask(
                street.guest, street.plan.hostVersion4, "evil.test", isStream: isStream, milliseconds: 800)
            #expect(answer == nil)
        }
        let back = Tool.run([
            "nsenter", "--net=\(street.guest)", "ip", "route", "del", "\(street.plan.hostVersion4)/32", "dev", "eth0",
        ])
        #expect(back.status == 0, "\(back.output)")
        #expect(try street.ask("evil.test").code == 3)
        // Nobody else on the node, and nobody outside, finds a resolver there.
        let outside = street.scratch.path + "/town-net"
        let route = Tool.run([
            "nsenter", "--net=\(outside)", "ip", "route", "add", "100.127.0.6/32", "via", "192.0.2.1",
        ])
        #expect(route.status == 0, "\(route.output)")
        for network in [street.node, outside] {
            #expect(try Guest.ask(network, street.plan.hostVersion4, "evil.test", milliseconds: 800) == nil)
        }
        // The sets are gone: what cannot be opened is not answered, and people are told.
        #expect(try street.ask("api.example.com").code == 2)
        #expect(street.told.sentences.withLock { $0.contains { $0.contains("cannot be opened") } })
    }

    @Test func aWorkloadIsKnownByItsWireAndHasItsOwnListOnly() throws {
        let street = try Street(
            Self.api,
            [
                "api.example.com": .answer([.address("api.example.com", Self.seven)]),
                "db.example.com": .answer([.address("db.example.com", Self.eight)]),
            ])
        let plan = try #require(NetworkPlan(index: 4))
        let egress = try Fixture.workload(
            "db", #", "egress": [{"to": "db.example.com", "ports": [443]}]"#
        ).revision.egress
        try street.wires.make(plan)
        try street.wires.apply([Firewall(wire: plan, egress: egress).rules])
        try street.wires.raise(plan)
        try #require(street.service).serve(
            try #require(WorkloadName("db")), EgressSets(wire: plan, egress: egress))
        let guest = street.wires.places.namespace(plan)
        func ask(_ name: String, _ server: NetworkAddress) throws -> DNSMessage? {
            try Guest.ask(guest, server, name, milliseconds: server == plan.hostVersion4 ? 20_000 : 800)
        }
        #expect(try ask("api.example.com", plan.hostVersion4)?.code == 3)
        #expect(try ask("db.example.com", plan.hostVersion4)?.addresses == [Self.eight])
        #expect(try street.ask("db.example.com").code == 3)
        #expect(try Guest.connect(guest, Self.eight) != nil)
        #expect(try !street.isOpen(Self.eight), "what one looked up is open for it alone")
        // Another's resolver is not reached, with rules or without.
        #expect(try ask("api.example.com", street.plan.hostVersion4) == nil)
        Tool.run(["nsenter", "--net=\(street.node)", "nft", "flush", "ruleset"])
        #expect(try ask("api.example.com", street.plan.hostVersion4) == nil)
        #expect(try ask("evil.test", plan.hostVersion4)?.code == 3)
        try street.wires.remove(plan)
    }

    @Test func oneWorkloadsMissingRulesAreNotTheOthersLoss() throws {
        let street = try Street(Self.api, [:])
        let address = try #require(NetworkAddress(bytes: Self.seven))
        func opening(_ wire: Int) throws -> NameRelay.Opening {
            let sets = EgressSets(wire: try #require(NetworkPlan(index: wire)), egress: street.firewall.egress)
            let elements = sets.elements("api.example.com", [address])
            return NameRelay.Opening(
                asker: NameAsker(wire: wire, port: 1), commands: sets.opening(elements, seconds: 60), reply: [],
                failure: [], elements: elements, seconds: 60)
        }
        let openings = [try opening(9), try opening(3), try opening(8)]
        let told = street.told
        let done = try inside(street.node) {
            var opener = AddressOpener { sentence in told.sentences.withLock { $0.append(sentence) } }
            return opener.open(openings).map { "\($0.opening.asker.wire) \($0.isOpen)" }
        }
        #expect(done == ["9 false", "3 true", "8 false"])
        #expect(try street.isOpen(Self.seven))
        #expect(street.told.sentences.withLock { !$0.isEmpty })
    }

    @Test func aWorkloadsOldestConnectionGivesWayToOneTooMany() throws {
        let street = try Street(Self.api, [:])
        let place = NetworkEndpoint(address: street.plan.hostVersion4.bytes, port: 53)
        let answers = try inside(street.guest) {
            func answers(_ socket: NetworkSocket) -> Bool {
                guard NetworkSocket.wait([(socket.descriptor, true)], milliseconds: 20_000) == [true],
                    socket.send(DNSStream.framed(CraftedDNS.question("evil.test"))),
                    NetworkSocket.wait([(socket.descriptor, false)], milliseconds: 20_000) == [true],
                    case .done = socket.read(limit: 4096)
                else { return false }
                return true
            }
            var sockets: [NetworkSocket] = []
            for _ in 0..<5 {
                let socket = try NetworkSocket(connectingTo: place, zone: nil, isStream: true)
                guard answers(socket) else { return [Bool]() }
                sockets.append(socket)
            }
            return sockets.map(answers)
        }
        #expect(answers == [false, true, true, true, true])
    }

    @Test func aWireThatGoesTakesItsResolverAlong() throws {
        let street = try Street(Self.api, ["api.example.com": .silence])
        let service = try #require(street.service)
        #expect(try street.ask("evil.test").code == 3)
        try service.release(street.plan.index)
        #expect(try Guest.ask(street.guest, street.plan.hostVersion4, "evil.test", milliseconds: 800) == nil)
        // A wire that is not there cannot be served, and the reason says so.
        let other = EgressSets(wire: try #require(NetworkPlan(index: 9)), egress: street.firewall.egress)
        #expect(throws: SandboxError.self) { try service.serve(try #require(WorkloadName("x")), other) }
        try service.serve(
            try #require(WorkloadName("web")), EgressSets(wire: street.plan, egress: street.firewall.egress))
        #expect(try street.ask("evil.test").code == 3)
    }
}
