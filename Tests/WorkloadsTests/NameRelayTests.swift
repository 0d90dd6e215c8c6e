import TestSupport
import Testing

@testable import Workloads

@Suite struct NameRelays {
    static let first = NameServer(address: NetworkAddress(constant: [192, 0, 2, 53]))
    static let second = NameServer(address: NetworkAddress(constant: [192, 0, 2, 54]))
    static let asker = NameAsker(wire: 3, port: 4000)
    static let address: [UInt8] = [203, 0, 113, 7]

    /// A relay with one workload, and numbers that count up from 100.
    static func relay(
        _ egress: String = #"[{"to": "api.example.com", "ports": [443]}, {"to": "*.example.org", "ports": [443]}]"#,
        servers: [NameServer] = [first, second], limits: NameRelay.Limits = NameRelay.Limits()
    ) throws -> NameRelay {
        let workload = try Fixture.workload("web", #", "egress": \#(egress)"#)
        var relay = NameRelay(limits: limits, random: { 100 })
        relay.servers = servers
        let sets = EgressSets(wire: try #require(NetworkPlan(index: 3)), egress: workload.revision.egress)
        #expect(relay.serve(workload.name, sets, now: 0).isEmpty)
        return relay
    }

    static func ask(
        _ relay: inout NameRelay, _ name: String = "api.example.com", _ type: UInt16 = 1, asker: NameAsker = asker,
        now: Int64 = 0
    ) -> [NameRelay.Action] { relay.asked(asker, CraftedDNS.question(name, type), now: now) }

    /// The lookup and the message of the only action, which asks a server.
    static func asked(_ actions: [NameRelay.Action]) throws -> (number: Int, server: NameServer, isStream: Bool) {
        guard actions.count == 1, case .ask(let number, let server, let isStream, _) = actions[0] else {
            throw DNSError("\(actions)")
        }
        return (number, server, isStream)
    }

    /// How the only reply among actions went, and its addresses.
    static func reply(_ actions: [NameRelay.Action]) throws -> (code: UInt16, addresses: [NetworkAddress]) {
        let replies = actions.compactMap { action in
            switch action {
            case .reply(_, let bytes): bytes
            case .open(let opening): opening.reply
            default: nil
            }
        }
        let message = try DNSMessage(parsing: try #require(replies.count == 1 ? replies.first : nil, "\(actions)"))
        return (
            message.code,
            message.answers.compactMap { if case .address(let address) = $0.content { address } else { nil } }
        )
    }

    static func opening(_ actions: [NameRelay.Action]) -> NameRelay.Opening? {
        actions.lazy.compactMap { if case .open(let opening) = $0 { opening } else { nil } }.first
    }

    @Test func theQuestionIsTheNodesOwnAndTheAnswerOpensBeforeItGoesBack() throws {
        var relay = try Self.relay()
        var asked = CraftedDNS(id: 9, flags: 0x0100, question: ("API.example.COM", 1))
        asked.addExtensions(datagramBytes: 4096)
        let actions = relay.asked(Self.asker, asked.bytes, now: 0)
        let lookup = try Self.asked(actions)
        guard case .ask(_, _, _, let bytes) = actions[0] else { return }
        // Neither the workload's number nor its letters' case go out.
        #expect(bytes.starts(with: CraftedDNS.question("api.example.com", id: 100).prefix(11)))
        #expect(Array(bytes[12..<33]) == CraftedDNS.name("api.example.com") + [0, 1, 0, 1])
        #expect(lookup.server == Self.first && relay.nextDeadline == 1400)
        let answer = CraftedDNS.answer(id: 100, "api.example.com", 1, [.address("api.example.com", Self.address)])
        let done = relay.received(lookup.number, answer, now: 5)
        let opening = try #require(Self.opening(done))
        #expect(done == [.end(lookup.number), .open(opening)])
        #expect(
            opening.commands == """
                add element inet apus_w3 name0_v4 { 203.0.113.7 timeout 330s }
                delete element inet apus_w3 name0_v4 { 203.0.113.7 }
                add element inet apus_w3 name0_v4 { 203.0.113.7 timeout 330s }

                """)
        #expect(try Self.reply(done) == (0, [NetworkAddress(constant: Self.address)]))
        #expect(try DNSMessage(parsing: opening.failure).code == 2)
        #expect(relay.nextDeadline == nil)

        // It is open: the next answer goes back at once, until too little time would be left.
        relay.opened(opening, now: 5)
        for (now, isOpen) in [(20_000, true), (30_005, true), (30_006, false)] as [(Int64, Bool)] {
            let next = try Self.asked(Self.ask(&relay, now: now))
            let done = relay.received(next.number, answer, now: now)
            #expect((Self.opening(done) == nil) == isOpen, "\(now)")
        }
    }

    @Test func whatIsNotListedIsNeverAsked() throws {
        var relay = try Self.relay(
            #"[{"to": "api.example.com", "ports": [443]}, {"to": "*.example.org", "ports": []}]"#)
        for name in ["example.com", "x.api.example.com", "secret.evil.test", "example.org", "localhost"] {
            #expect(try Self.reply(Self.ask(&relay, name)).code == 3, "\(name)")
        }
        // One label with a dot in it, and the root.
        let odd = CraftedDNS(id: 1, flags: 0x0100, question: nil).bytes.enumerated().map { $0 == 5 ? 1 : $1 }
        for name: [UInt8] in [[11] + Array("api.example".utf8) + [3] + Array("com".utf8) + [0], [0]] {
            #expect(try Self.reply(relay.asked(Self.asker, odd + name + [0, 1, 0, 1], now: 0)).code == 3)
        }
        // A listed name's other records are none; another class, too.
        for type: UInt16 in [2, 5, 12, 15, 16, 33, 65, 252, 255] {
            #expect(try Self.reply(Self.ask(&relay, "api.example.com", type)) == (0, []), "\(type)")
        }
        #expect(relay.lookups.isEmpty)
        #expect(try Self.asked(Self.ask(&relay, "a.b.example.org")).server == Self.first)
        #expect(Self.ask(&relay, asker: NameAsker(wire: 4, port: 1)).isEmpty)
    }

    @Test func aNameThatMayOnlyBeLookedUpOpensNothing() throws {
        var relay = try Self.relay(#"[{"to": "api.example.com", "ports": []}]"#)
        let lookup = try Self.asked(Self.ask(&relay))
        let answer = CraftedDNS.answer(id: 100, "api.example.com", 1, [.address("api.example.com", Self.address)])
        let done = relay.received(lookup.number, answer, now: 0)
        #expect(Self.opening(done) == nil)
        #expect(try Self.reply(done) == (0, [NetworkAddress(constant: Self.address)]))
    }

    @Test func onlyWhatTheAskedNameLeadsToIsOpened() throws {
        var relay = try Self.relay()
        let lookup = try Self.asked(Self.ask(&relay))
        let records: [CraftedDNS.Record] = [
            .address("cdn.example.net", [203, 0, 113, 9], seconds: 0x8000_0000),
            .address("evil.test", [203, 0, 113, 66]),
            .alias("api.example.com", "edge.example.net", seconds: 90), .alias("edge.example.net", "cdn.example.net"),
            .address("edge.example.net", [203, 0, 113, 67]), .address("api.example.com", [203, 0, 113, 68]),
            .address("cdn.example.net", [203, 0, 113, 9]),
            .address("cdn.example.net", [UInt8](repeating: 32, count: 16)),
        ]
        let done = relay.received(
            lookup.number, CraftedDNS.answer(id: 100, "api.example.com", 1, records), now: 0)
        #expect(try Self.reply(done) == (0, [NetworkAddress(constant: [203, 0, 113, 9])]))
        // The shortest lifetime on the way counts, and one too short is made long enough.
        #expect(Self.opening(done)?.commands.contains("timeout 60s") == true)
        // Names that lead round in circles, and one that leads to two others.
        for records: [CraftedDNS.Record] in [
            [.alias("api.example.com", "b.test"), .alias("b.test", "api.example.com")],
            [.alias("api.example.com", "b.test"), .alias("api.example.com", "c.test")],
            (0..<20).map { .alias($0 == 0 ? "api.example.com" : "n\($0).test", "n\($0 + 1).test") },
        ] {
            let lookup = try Self.asked(Self.ask(&relay))
            let answer = CraftedDNS.answer(id: 100, "api.example.com", 1, records)
            let next = try Self.asked(relay.received(lookup.number, answer, now: 0))
            #expect(next.server != lookup.server)
            _ = relay.serve(
                try #require(WorkloadName("web")), try #require(relay.services[3]?.sets), now: 0)
        }
    }

    @Test func addressesThatNobodyMayReachAreLeftOutAndTold() throws {
        var relay = try Self.relay()
        relay.ownAddresses = [NetworkAddress(constant: [192, 168, 1, 5])]
        let forbidden: [[UInt8]] = [
            [127, 0, 0, 1], [169, 254, 169, 254], [100, 127, 0, 9], [192, 168, 1, 5], [0, 0, 0, 0], [224, 0, 0, 1],
            [255, 255, 255, 255], [100, 100, 100, 200],
        ]
        let records = (forbidden + [Self.address]).map { CraftedDNS.Record.address("api.example.com", $0) }
        let lookup = try Self.asked(Self.ask(&relay))
        let done = relay.received(lookup.number, CraftedDNS.answer(id: 100, "api.example.com", 1, records), now: 0)
        #expect(try Self.reply(done) == (0, [NetworkAddress(constant: Self.address)]))
        let told = done.compactMap { if case .tell(let sentence) = $0 { sentence } else { nil } }
        #expect(told.count == 1 && told[0].contains("'web'") && told[0].contains("127.0.0.1"), "\(told)")
        let version6: [[UInt8]] = [
            "::1", "::", "::ffff:7f00:1", "fe80::1", "fd61:7075:7300::9", "64:ff9b::a9fe:a9fe", "ff02::1",
            "fd00:ec2::254",
        ].compactMap { NetworkAddress($0)?.bytes }
        #expect(version6.count == 8)
        let next = try Self.asked(Self.ask(&relay, "api.example.com", 28))
        let none = relay.received(
            next.number,
            CraftedDNS.answer(
                id: 100, "api.example.com", 28, version6.map { .address("api.example.com", $0) }), now: 0)
        // Nothing is left, nothing opens, and it is told only once.
        #expect(try Self.reply(none) == (0, []) && none.count == 2)
    }

    @Test func whatIsNoAnswerToTheQuestionIsPassedOver() throws {
        var relay = try Self.relay()
        let lookup = try Self.asked(Self.ask(&relay))
        let records: [CraftedDNS.Record] = [.address("api.example.com", [203, 0, 113, 66])]
        var odd = CraftedDNS.answer(id: 100, "api.example.com", 1, records)
        odd[2] |= 2 << 3
        let foreign = [
            CraftedDNS.answer(id: 101, "api.example.com", 1, records),
            CraftedDNS.answer(id: 100, "evil.test", 1, records),
            CraftedDNS.answer(id: 100, "api.example.com", 28, records), CraftedDNS.question("api.example.com", id: 100),
            [], [0, 100], odd,
        ]
        for bytes in foreign { #expect(relay.received(lookup.number, bytes, now: 1).isEmpty, "\(bytes)") }
        // The right one is still taken, in any case of letters.
        let right = CraftedDNS.answer(id: 100, "API.EXAMPLE.com", 1, [.address("API.EXAMPLE.com", Self.address)])
        #expect(try Self.reply(relay.received(lookup.number, right, now: 2)).addresses.count == 1)
        // A flood of them makes the attempt void: the next one has another port and number.
        let other = try Self.asked(Self.ask(&relay))
        for _ in 0..<16 { #expect(relay.received(other.number, foreign[0], now: 1).isEmpty) }
        #expect(try Self.asked(relay.received(other.number, foreign[0], now: 1)).number == other.number)
    }

    @Test func truncationGoesToTCPAndOldServersAreAskedWithoutExtensions() throws {
        var relay = try Self.relay()
        let lookup = try Self.asked(Self.ask(&relay))
        let cut = CraftedDNS.answer(id: 100, flags: 0x8380, "api.example.com")
        let again = try Self.asked(relay.received(lookup.number, cut, now: 0))
        #expect(again == (lookup.number, Self.first, true))
        // Truncated by TCP is nonsense: the next server.
        #expect(try Self.asked(relay.received(lookup.number, cut, now: 0)) == (lookup.number, Self.second, false))
        for bytes in [
            CraftedDNS.answer(id: 100, flags: 0x8181, "api.example.com"),
            CraftedDNS(id: 100, flags: 0x8181, question: nil).bytes,
        ] {
            let number = try Self.asked(Self.ask(&relay, "a.example.org", asker: NameAsker(wire: 3, port: 1))).number
            let bytes = bytes.count == 12 ? bytes : CraftedDNS.answer(id: 100, flags: 0x8181, "a.example.org")
            let plain = relay.received(number, bytes, now: 0)
            guard case .ask(_, Self.first, false, let message)? = plain.first else {
                Issue.record("\(plain)")
                return
            }
            #expect(message == CraftedDNS.question("a.example.org", id: 100))
            #expect(try Self.asked(relay.received(number, bytes, now: 0)).server == Self.second)
            _ = relay.received(number, CraftedDNS.answer(id: 100, flags: 0x8183, "a.example.org"), now: 0)
        }
    }

    @Test func silentAndUnableServersAreGivenUpInTurn() throws {
        var relay = try Self.relay()
        let lookup = try Self.asked(Self.ask(&relay))
        #expect(relay.expire(now: 1399).isEmpty)
        #expect(try Self.asked(relay.expire(now: 1400)).server == Self.second)
        // The silent one is no longer the first to be asked.
        let other = try Self.asked(Self.ask(&relay, "a.example.org", now: 1500))
        #expect(other.server == Self.second)
        let unable = CraftedDNS.answer(id: 100, flags: 0x8182, "api.example.com")
        #expect(try Self.asked(relay.received(lookup.number, unable, now: 1600)).server == Self.first)
        let end = relay.failed(lookup.number, now: 1700)
        #expect(try Self.reply(end).code == 2)
        #expect(end.first == .end(lookup.number))
        // A name that does not exist is said at once.
        let absent = CraftedDNS.answer(id: 100, flags: 0x8183, "a.example.org")
        #expect(try Self.reply(relay.received(other.number, absent, now: 1700)).code == 3)
        relay.servers = []
        #expect(try Self.reply(Self.ask(&relay)).code == 2)
    }

    @Test func oneWorkloadTakesNoMoreThanItsPart() throws {
        var limits = NameRelay.Limits()
        (limits.lookups, limits.lookupsOfOne, limits.questionsPerSecond) = (8, 6, 10)
        var relay = try Self.relay(limits: limits)
        for port in 1...4 { _ = try Self.asked(Self.ask(&relay, asker: NameAsker(wire: 3, port: UInt16(port)))) }
        // The same question again is the same lookup; more than half of the room is for others.
        #expect(Self.ask(&relay, asker: NameAsker(wire: 3, port: 1)).isEmpty)
        #expect(try Self.reply(Self.ask(&relay, asker: NameAsker(wire: 3, port: 9))).code == 2)
        let other = try Fixture.workload("db", #", "egress": [{"to": "api.example.com", "ports": [1]}]"#)
        _ = relay.serve(
            other.name, EgressSets(wire: try #require(NetworkPlan(index: 4)), egress: other.revision.egress), now: 0)
        _ = try Self.asked(Self.ask(&relay, asker: NameAsker(wire: 4, port: 1)))
        // Ten questions in a second, and silence after that.
        for _ in 0..<4 { #expect(try Self.reply(Self.ask(&relay, "no")).code == 3) }
        #expect(Self.ask(&relay, "no").isEmpty && Self.ask(&relay, "no", now: 99).isEmpty)
        #expect(Self.ask(&relay, "no", now: 200).count == 1)
        // A wire that goes takes its lookups along.
        #expect(relay.release(3).count == 4 && relay.lookups.count == 1)
        #expect(relay.release(4).count == 1 && relay.nextDeadline == nil)
    }
}
