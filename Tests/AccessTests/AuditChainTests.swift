import Access
import Contract
import Testing

struct AuditChainTests {
    private func log(_ count: Int, who: String = "maria") throws -> [AuditRecord] {
        var head = AuditChain.empty
        return try (0..<count).map { index in
            let entry = AuditEntry(
                sequence: 0, timeSeconds: 1_800_000_000 + Int64(index), who: who, token: nil, from: "192.0.2.7",
                action: "POST /v1/nodes", outcome: .done, detail: "change \(index)")
            let record = try AuditChain.record(entry, after: head)
            head = AuditHead(count: head.count + 1, hash: record.hash)
            return record
        }
    }

    private func head(_ log: [AuditRecord], _ count: Int) -> AuditHead {
        AuditHead(count: Int64(count), hash: count == 0 ? .zero : log[count - 1].hash)
    }

    private func fault(_ log: [AuditRecord], remembered: [AuditHead] = []) -> AuditChain.Fault? {
        var verifier = AuditChain.Verifier(remembered: remembered.map { ($0, "somebody") })
        do throws(AuditChain.Fault) {
            for record in log { try verifier.take(record) }
            try verifier.finish()
            return nil
        } catch {
            return error
        }
    }

    @Test func wholeLogIsBelievedWithEveryHeadOfItRemembered() throws {
        let log = try log(20)
        #expect(fault(log, remembered: (0...20).map { head(log, $0) }) == nil)
        #expect(fault([]) == nil)
    }

    @Test func everyAlteredByteShowsAtItsEntry() throws {
        let log = try log(6)
        for index in log.indices {
            for position in 0..<log[index].entry.utf8.count {
                var bytes = Array(log[index].entry.utf8)
                bytes[position] = bytes[position] == 0x30 ? 0x31 : 0x30
                var altered = log
                altered[index].entry = String(decoding: bytes, as: UTF8.self)
                #expect(fault(altered)?.sequence == Int64(index + 1))
            }
        }
    }

    @Test func removedMovedAndInsertedEntriesShow() throws {
        let log = try log(8)
        for index in 0..<7 {
            var removed = log
            removed.remove(at: index)
            #expect(fault(removed)?.sequence == Int64(index + 1))
            var moved = log
            moved.swapAt(index, index + 1)
            #expect(fault(moved)?.sequence == Int64(index + 1))
            var doubled = log
            doubled.insert(log[index], at: index)
            #expect(fault(doubled) != nil)
        }
    }

    @Test func cutTailShowsOnlyToWhoRemembersIt() throws {
        let log = try log(8)
        let cut = Array(log.dropLast(3))
        #expect(fault(cut) == nil, "the chain alone cannot tell")
        #expect(fault(cut, remembered: [head(log, 8)])?.sequence == 6)
        #expect(fault(cut, remembered: [head(log, 5)]) == nil)
    }

    @Test func logMadeAnewShowsToWhoRemembersAnyOfIt() throws {
        let old = try log(8)
        let new = try log(12, who: "mallory")
        #expect(fault(new) == nil, "the chain alone cannot tell")
        for count in 1...8 { #expect(fault(new, remembered: [head(old, count)])?.sequence == Int64(count)) }
    }

    @Test func wrongNumberIsRefusedThoughItsHashFits() throws {
        let entry = AuditEntry(
            sequence: 7, timeSeconds: 0, who: "a", token: nil, from: "", action: "", outcome: .done, detail: "")
        let record = try AuditChain.record(entry, after: AuditHead(count: 6, hash: .zero))
        #expect(fault([record])?.sequence == 1)
    }
}
