import Contract
import Foundation
import Node
import Testing

struct AuditMemoryTests {
    private func head(_ count: Int64, _ byte: UInt8 = 1) throws -> AuditHead {
        AuditHead(
            count: count,
            hash: try #require(
                Digest256(bytes: withUnsafeBytes(of: count) { Array($0) } + [UInt8](repeating: byte, count: 24))))
    }

    @Test func shorterOrOtherLogIsComplainedOfAndForgetsNothing() throws {
        var memory = AuditMemory(path: nil)
        #expect(memory.take(try head(3)) == nil)
        #expect(memory.take(try head(7)) == nil)
        #expect(memory.take(try head(7)) == nil)
        #expect(memory.take(try head(6))?.contains("had 7") == true)
        #expect(memory.take(try head(7, 2))?.contains("entry 7") == true)
        #expect(memory.take(AuditHead(count: 0, hash: .zero))?.contains("had 7") == true)
        #expect(memory.heads == [try head(3), try head(7)])
    }

    /// A log that is made anew and longer than the old one takes no memory of the old one away.
    @Test func longerLogMadeAnewIsRememberedBesideTheOldOne() throws {
        var memory = AuditMemory(path: nil)
        for count in 1...2000 { _ = memory.take(try head(Int64(count))) }
        for count in 2001...9000 { _ = memory.take(try head(Int64(count), 2)) }
        let counts = memory.heads.map(\.count)
        #expect(memory.heads.count == AuditMemory.limit && counts == counts.sorted())
        #expect(counts.first == 1 && counts.last == 9000)
        #expect(counts.filter { $0 <= 2000 }.count >= 3, "\(counts)")
        let gaps = zip(counts.dropFirst(), counts).map { $0 - $1 }
        #expect((gaps.max() ?? .max) <= 1000, "no part of the log is without one: \(counts)")
    }

    @Test func whatWasRememberedOutlivesTheProcessAndADamagedFileIsNone() throws {
        let path = NSTemporaryDirectory() + "apus-audit-memory-" + UUID().uuidString
        defer { try? FileManager.default.removeItem(atPath: path) }
        var memory = AuditMemory(path: path)
        _ = memory.take(try head(5))
        #expect(AuditMemory(path: path).heads == [try head(5)])
        try "{".write(toFile: path, atomically: true, encoding: .utf8)
        #expect(AuditMemory(path: path).heads == [])
    }
}
