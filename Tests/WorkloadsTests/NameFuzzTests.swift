import TestSupport
import Testing

@testable import Workloads

/// Mutations of good messages, the same in every run: nothing may crash, and what is accepted keeps its promises.
@Suite(.ownThreads) struct NameFuzz {
    static func mutated(_ bytes: [UInt8], _ noise: inout SeededGenerator) -> [UInt8] {
        var bytes = bytes
        for _ in 0...Int.random(in: 0..<5, using: &noise) {
            let place = bytes.isEmpty ? 0 : Int.random(in: 0..<bytes.count, using: &noise)
            switch Int.random(in: 0..<8, using: &noise) {
            case 0 where !bytes.isEmpty: bytes[place] ^= UInt8(1) << UInt8.random(in: 0..<8, using: &noise)
            case 1 where !bytes.isEmpty: bytes[place] = UInt8.random(in: 0...255, using: &noise)
            case 2 where !bytes.isEmpty: bytes.remove(at: place)
            case 3: bytes.insert(contentsOf: [0xC0, UInt8.random(in: 0...255, using: &noise)], at: place)
            case 4: bytes.removeLast(min(bytes.count, Int.random(in: 0..<20, using: &noise)))
            case 5 where bytes.count > 11:
                bytes[[5, 7, 9, 11][place % 4]] = UInt8.random(in: 0...4, using: &noise)
            case 6: bytes.insert(contentsOf: noise.bytes(Int.random(in: 1..<40, using: &noise)), at: place)
            default: bytes.insert(contentsOf: bytes[place...].prefix(24), at: place)
            }
        }
        return bytes
    }

    static let name = "api.example.com"
    static let answers: [[UInt8]] = {
        var extended = CraftedDNS(id: 100, flags: 0x8180, question: (name, 1))
        extended.addExtensions(datagramBytes: 1232)
        return [
            extended.bytes, CraftedDNS.answer(id: 100, name, 1, [.address(name, [203, 0, 113, 7])]),
            CraftedDNS.answer(
                id: 100, name, 1,
                [
                    .alias(name, "edge.example.net"), .alias("edge.example.net", "cdn.example.net"),
                    .address("cdn.example.net", [203, 0, 113, 9]), .address("cdn.example.net", [169, 254, 169, 254]),
                ]), CraftedDNS.answer(id: 100, flags: 0x8183, name), CraftedDNS.answer(id: 100, flags: 0x8380, name),
        ]
    }()

    @Test func repliesToAnyBytesAreWellFormedAndSmall() throws {
        var noise = SeededGenerator(seed: 11)
        var extended = CraftedDNS(id: 7, flags: 0x0100, question: (Self.name, 1))
        extended.addExtensions(datagramBytes: 4096)
        let seeds = [extended.bytes, CraftedDNS.question(Self.name), CraftedDNS.question("a.b.c.d.e", 28)]
        var kinds = [0, 0, 0]
        for round in 0..<20_000 {
            let bytes = Self.mutated(seeds[round % seeds.count], &noise)
            switch NameQuestion.read(bytes) {
            case .silent: kinds[0] += 1
            case .answered(let reply):
                kinds[1] += 1
                // Never larger than what was asked, but for the extensions of one that they were asked of.
                if reply.count > bytes.count + 11 { Issue.record("\(bytes)") }
                if let head = try? DNSHead(parsing: reply), head.isAnswer { continue }
                Issue.record("\(bytes) was answered with \(reply)")
            case .question(let question):
                kinds[2] += 1
                let reply = question.reply(.noError, [NetworkAddress(constant: [203, 0, 113, 7])])
                let read = try DNSMessage(parsing: reply)
                if read.head.name != question.name || read.answers.count != 1 || reply.count > 512 + 17 {
                    Issue.record("\(bytes) was answered with \(reply)")
                }
                if let text = question.name.text, DomainName(text) != question.name { Issue.record("\(text)") }
            }
        }
        #expect(kinds.allSatisfy { $0 > 100 }, "\(kinds)")
    }

    @Test func noAnswerOpensWhatIsForbiddenOrWasNotAskedFor() throws {
        var noise = SeededGenerator(seed: 12)
        var opened = 0
        let fresh = try NameRelays.relay()
        let sets = try #require(fresh.services[3]).sets
        for round in 0..<20_000 {
            var relay = fresh
            let lookup = try NameRelays.asked(NameRelays.ask(&relay))
            let answer = Self.answers[round % Self.answers.count]
            // Mostly the records: with another front hardly anything is looked at any more.
            let kept = round % 4 == 0 ? 0 : min(answer.count, 12 + Self.name.utf8.count + 2 + 4)
            let bytes = Array(answer.prefix(kept)) + Self.mutated(Array(answer.dropFirst(kept)), &noise)
            let actions = relay.received(lookup.number, bytes, now: 0)
            guard let opening = NameRelays.opening(actions) else { continue }
            opened += 1
            for element in opening.elements where !sets.mayOpen(element.address) || !element.set.hasPrefix("name0_v4") {
                Issue.record("\(bytes) opened \(element)")
            }
            let safe = opening.commands.utf8.allSatisfy { (0x20...0x7E).contains($0) || $0 == 0x0A }
            if !safe || opening.commands.contains(";") || !(60...3630).contains(opening.seconds) {
                Issue.record("\(opening.commands)")
            }
        }
        #expect(opened > 500, "\(opened)")
    }

    @Test func bytesWithoutAnyOrderNeverCrashAnything() {
        var noise = SeededGenerator(seed: 13)
        let name = DomainName(Self.name)
        for _ in 0..<20_000 {
            let bytes = noise.bytes(Int.random(in: 0..<120, using: &noise))
            _ = NameQuestion.read(bytes)
            if let name { _ = NameAnswer(parsing: bytes, id: 100, name: name, type: 1) { _ in true } }
            if let message = try? DNSMessage(parsing: bytes), message.answers.count > DNSMessage.recordLimit {
                Issue.record("\(message.answers.count) records")
            }
            _ = NameServer.list(in: bytes)
        }
    }
}
