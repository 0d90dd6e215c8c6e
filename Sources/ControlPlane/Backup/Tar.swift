import Foundation

/// The little of the tar format that backups need: regular files with plain names (POSIX.1-2017 pax, "ustar").
///
/// An operator can look into a backup with any tar.
enum Tar {
    static let blockBytes = 512
    /// The largest file: eleven octal digits.
    static let largestBytes: UInt64 = 1 << 33 - 1

    /// The header block of a file.
    static func header(name: String, bytes: UInt64, modified: Int64) throws -> [UInt8] {
        let nameBytes = Array(name.utf8)
        guard (1...100).contains(nameBytes.count) else { throw ServerProblem("'\(name)' is too long for a backup") }
        guard bytes <= largestBytes else { throw ServerProblem("'\(name)' is too large for a backup") }
        var block = [UInt8](repeating: 0, count: blockBytes)
        func put(_ text: some Sequence<UInt8>, at offset: Int) {
            for (index, byte) in text.enumerated() { block[offset + index] = byte }
        }
        func octal(_ value: UInt64, digits: Int) -> [UInt8] {
            let text = Array(String(value, radix: 8).utf8)
            return [UInt8](repeating: UInt8(ascii: "0"), count: max(0, digits - text.count)) + text
        }
        put(nameBytes, at: 0)
        put(octal(0o600, digits: 7), at: 100)
        put(octal(0, digits: 7), at: 108)
        put(octal(0, digits: 7), at: 116)
        put(octal(bytes, digits: 11), at: 124)
        put(octal(UInt64(max(0, modified)), digits: 11), at: 136)
        put([UInt8](repeating: UInt8(ascii: " "), count: 8), at: 148)
        put([UInt8(ascii: "0")], at: 156)
        put(Array("ustar\u{0}00".utf8), at: 257)
        let sum = block.reduce(UInt64(0)) { $0 + UInt64($1) }
        put(octal(sum, digits: 6) + [0, UInt8(ascii: " ")], at: 148)
        return block
    }

    /// A file in an archive.
    struct Entry: Equatable {
        var name: String
        var bytes: UInt64
    }

    /// Reads a header block; nil for the zero block at the end.
    static func entry(_ block: [UInt8]) throws -> Entry? {
        guard block.count == blockBytes else { throw ServerProblem("the backup ends in the middle; use another copy") }
        guard block.contains(where: { $0 != 0 }) else { return nil }
        func field(_ range: Range<Int>) -> [UInt8] { Array(block[range].prefix { $0 != 0 }) }
        func number(_ range: Range<Int>) -> UInt64? {
            UInt64(String(decoding: field(range).filter { $0 != UInt8(ascii: " ") }, as: UTF8.self), radix: 8)
        }
        let sum = block.enumerated().reduce(UInt64(0)) { total, item in
            total + UInt64((148..<156).contains(item.offset) ? UInt8(ascii: " ") : item.element)
        }
        guard block[257..<262].elementsEqual(Array("ustar".utf8)), number(148..<156) == sum,
            let bytes = number(124..<136), block[156] == UInt8(ascii: "0")
        else { throw ServerProblem("this is not a backup of apusd, or it is damaged") }
        return Entry(name: String(decoding: field(0..<100), as: UTF8.self), bytes: bytes)
    }

    /// How many bytes of padding follow a file's content.
    static func padding(after bytes: UInt64) -> Int { Int((512 - bytes % 512) % 512) }
}
