import TestSupport
import Testing

@testable import Workloads

@Suite struct DNSMessages {
    static func name(_ text: String) throws -> DomainName { try #require(DomainName(text)) }

    static func question(_ bytes: [UInt8]) throws -> NameQuestion {
        guard case .question(let question) = NameQuestion.read(bytes) else {
            throw DNSError("\(NameQuestion.read(bytes))")
        }
        return question
    }

    @Test func namesAreComparedWithoutCaseAndOddOnesHaveNoText() throws {
        #expect(try Self.name("API.Example.com") == Self.name("api.example.COM"))
        #expect(try Self.name("_srv.example.com").text == "_srv.example.com")
        #expect(DomainName("a..b") == nil && DomainName("") == nil && DomainName("a b") == nil)
        #expect(DomainName(labels: [Array("api.example".utf8), Array("com".utf8)])?.text == nil)
        #expect(DomainName(labels: [])?.description == ".")
        #expect(DomainName(labels: [[UInt8](repeating: 97, count: 64)]) == nil)
        let label = [UInt8](repeating: 97, count: 63)
        #expect(DomainName(labels: [label, label, label, Array(label.dropLast(2))])?.wire.count == 255)
        #expect(DomainName(labels: [label, label, label, Array(label.dropLast())]) == nil)
    }

    @Test func compressedNamesAreFollowedBackwardsOnlyAndNotForLong() throws {
        let head: [UInt8] = Array(repeating: 0, count: 12)
        let tail = CraftedDNS.name("example.com")
        var reader = DNSReader(head + tail + [3, 97, 112, 105, 0xC0, 12, 9], from: 12 + tail.count)
        #expect(try reader.name() == Self.name("api.example.com"))
        #expect(try reader.byte() == 9)
        // To itself, forwards, beyond the end, two that lead to each other, and labels of other kinds.
        for bytes: [UInt8] in [
            [0xC0, 12], [0xC0, 14, 0], [0xC3, 0xFF], [1, 97, 0xC0, 12], [0xC0, 14, 0xC0, 12], [0x40], [0x80, 0],
            [5, 97],
            [0xC0], [],
        ] {
            var reader = DNSReader(head + bytes, from: 12)
            #expect(throws: DNSError.self, "\(bytes)") { try reader.name() }
        }
        // A ladder of pointers, each to the one before.
        var ladder: [UInt8] = [0]
        for step in 0..<400 {
            let target = step == 0 ? 0 : 1 + (step - 1) * 2
            ladder += [0xC0 | UInt8(target >> 8), UInt8(target & 0xFF)]
        }
        var last = DNSReader(ladder, from: ladder.count - 2)
        #expect(throws: DNSError.self) { try last.name() }
        var early = DNSReader(ladder, from: 9)
        #expect(try early.name().wire == [0])
    }

    @Test func aReplyRepeatsTheQuestionAsItCame() throws {
        var asked = CraftedDNS(id: 0xABCD, flags: 0x0110, question: ("aPi.ExAmple.com", 1))
        let question = try Self.question(asked.bytes)
        let address = try #require(NetworkAddress("203.0.113.7"))
        let reply = question.reply(.noError, [address], timeToLiveSeconds: 60)
        #expect(Array(reply[12..<33]) == Array(asked.bytes[12..<33]))
        let read = try DNSMessage(parsing: reply)
        #expect(read.head.id == 0xABCD && read.head.flags == 0x8190 && read.extensions == nil)
        #expect(
            read.answers == [
                DNSRecord(
                    name: try Self.name("api.example.com"), content: .address(address), timeToLiveSeconds: 60)
            ])
        asked.addExtensions(datagramBytes: 4096)
        let reasoned = try Self.question(asked.bytes).reply(.nameError, reason: .prohibited)
        #expect(try DNSMessage(parsing: reasoned).extensions?.datagramBytes == 1232)
        #expect(Array(reasoned.suffix(6)) == [0, 15, 0, 2, 0, 18])
    }

    @Test func whatDoesNotFitIntoADatagramIsAskedForAgain() throws {
        let many = (1...60).compactMap { NetworkAddress(bytes: [203, 0, 113, UInt8($0)]) }
        var asked = CraftedDNS(id: 1, flags: 0x0100, question: ("api.example.com", 1))
        let plain = try Self.question(asked.bytes)
        let cut = try DNSMessage(parsing: plain.reply(.noError, many))
        #expect(cut.head.isTruncated && cut.answers.isEmpty)
        #expect(try DNSMessage(parsing: plain.reply(.noError, many, isStream: true)).answers.count == 60)
        asked.addExtensions(datagramBytes: 1100)
        let reply = try Self.question(asked.bytes).reply(.noError, many)
        #expect(try DNSMessage(parsing: reply).answers.count == 60 && reply.count <= 1100)
    }

    @Test func whatIsNoQuestionIsAnsweredWithoutOneOrNotAtAll() throws {
        let good = CraftedDNS.question("api.example.com")
        #expect(NameQuestion.read(CraftedDNS.answer(id: 1, "api.example.com")) == .silent)
        #expect(NameQuestion.read(Array(good.prefix(11))) == .silent)
        #expect(NameQuestion.read([UInt8](repeating: 0, count: 1025)) == .silent)
        func code(_ bytes: [UInt8]) -> UInt8? {
            guard case .answered(let reply) = NameQuestion.read(bytes), reply[2] & 0x80 != 0 else { return nil }
            return reply[3] & 0xF
        }
        #expect(code(Array(good.prefix(20))) == 1)
        #expect(code(CraftedDNS(id: 1, flags: 0x0100, question: nil).bytes) == 1)
        var two = good
        two[5] = 2
        #expect(code(two + good.dropFirst(12)) == 1)
        var notify = good
        notify[2] |= 4 << 3
        #expect(code(notify) == 4)
        var future = CraftedDNS(id: 1, flags: 0x0100, question: ("a.example", 1))
        future.addExtensions(datagramBytes: 512, version: 1)
        guard case .answered(let reply) = NameQuestion.read(future.bytes) else {
            Issue.record("a version of the future was accepted")
            return
        }
        #expect(try DNSMessage(parsing: reply).code == 16)
        future.addExtensions(datagramBytes: 512)
        #expect(code(future.bytes) == 1)
    }

    @Test func aStreamIsCutIntoItsMessages() {
        var stream = DNSStream(limit: 5)
        #expect(stream.next() == nil)
        stream.append(DNSStream.framed([1, 2, 3]) + [0])
        #expect(stream.next() == [1, 2, 3] && stream.next() == nil)
        stream.append([0, 0, 5, 1, 2])
        #expect(stream.next() == [] && stream.next() == nil)
        stream.append([3, 4, 5, 0, 6])
        #expect(stream.next() == [1, 2, 3, 4, 5] && !stream.isBroken)
        #expect(stream.next() == nil && stream.isBroken)
    }

    @Test func theNodesServersAreReadFromItsFiles() {
        let file = """
            # This is /run/systemd/resolve/resolv.conf
            nameserver 192.0.2.53
            nameserver\t2001:db8::53 # the second
            nameserver fe80::1%eth0
            nameserver fe80::1%far/too
            nameserver 192.0.2.1%eth0
            nameserver dns.example.com
            nameserver 192.0.2.53
            search example.com
            nameserver 192.0.2.54
            nameserver 192.0.2.55
            """
        #expect(
            NameServer.list(in: Array(file.utf8)).map(\.description) == [
                "192.0.2.53", "2001:db8::53", "fe80::1%eth0", "192.0.2.54",
            ])
        #expect(NameServer.list(in: []).isEmpty && NameServer.list(in: [0xFF, 0x0A, 0]).isEmpty)
    }
}
