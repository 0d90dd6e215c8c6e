/// A UUID in text with lower-case digits, and the mixed-endian bytes in which GPT and UEFI store it
/// (UEFI 2.10, appendix A: the first three fields are little endian).
public struct StoredUUID: Hashable, Sendable, CustomStringConvertible {
    /// 16 bytes in the order of the text.
    private let bytes: [UInt8]

    init(bigEndian bytes: [UInt8]) { self.bytes = bytes }

    /// Takes `8-4-4-4-12` hexadecimal digits in either case, or nil.
    public init?(_ text: some StringProtocol) {
        let groups = text.split(separator: "-", omittingEmptySubsequences: false)
        guard groups.map(\.utf8.count) == [8, 4, 4, 4, 12] else { return nil }
        var bytes: [UInt8] = []
        for group in groups {
            var rest = Substring(group)
            while !rest.isEmpty {
                guard rest.first?.isHexDigit == true, rest.dropFirst().first?.isHexDigit == true,
                    let byte = UInt8(rest.prefix(2), radix: 16)
                else { return nil }
                bytes.append(byte)
                rest = rest.dropFirst(2)
            }
        }
        guard bytes.count == 16 else { return nil }
        self.bytes = bytes
    }

    /// Takes the 16 bytes as GPT and UEFI store them, or nil for another count.
    public init?(storedBytes stored: some Collection<UInt8>) {
        let stored = Array(stored)
        guard stored.count == 16 else { return nil }
        bytes = Self.swapped(stored)
    }

    /// The 16 bytes as GPT and UEFI store them.
    public var storedBytes: [UInt8] { Self.swapped(bytes) }

    /// `8-4-4-4-12` lower-case hexadecimal digits.
    public var description: String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        for (index, byte) in bytes.enumerated() {
            if index == 4 || index == 6 || index == 8 || index == 10 { text.append(UInt8(ascii: "-")) }
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }

    private static func swapped(_ b: [UInt8]) -> [UInt8] {
        [b[3], b[2], b[1], b[0], b[5], b[4], b[7], b[6]] + b[8...]
    }
}
