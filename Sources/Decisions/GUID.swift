/// A 128-bit identifier of a partition, a partition type or a disk, in its text form (RFC 9562, section 4).
///
/// GPT and UEFI store the first three fields little-endian; adapters convert from this text form.
public struct GUID: Hashable, Sendable, Codable, Comparable, CustomStringConvertible {
    /// 36 characters in lower case, such as `c12a7328-f81f-11d2-ba4b-00a0c93ec93b`.
    public let text: String

    /// Takes the text form in either case, or nil for anything else.
    public init?(_ text: some StringProtocol) {
        let bytes = Array(text.utf8)
        guard bytes.count == 36 else { return nil }
        for index in 0..<36 {
            let byte = bytes[index]
            switch index {
            case 8, 13, 18, 23: guard byte == UInt8(ascii: "-") else { return nil }
            default:
                let isNumber = byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")
                let isLetter = byte | 0x20 >= UInt8(ascii: "a") && byte | 0x20 <= UInt8(ascii: "f")
                guard isNumber || isLetter else { return nil }
            }
        }
        self.text = text.lowercased()
    }

    /// Makes a random identifier of version 4.
    public static func random(using generator: inout some RandomNumberGenerator) -> GUID {
        let high = (generator.next() as UInt64) & ~0xf000 | 0x4000
        let low = (generator.next() as UInt64) & ~(3 << 62) | (2 << 62)
        var bytes: [UInt8] = []
        for word in [high, low] {
            for shift in stride(from: 56, through: 0, by: -8) { bytes.append(UInt8(truncatingIfNeeded: word >> shift)) }
        }
        return GUID(bytes: bytes)
    }

    /// A constant of this module, whose form its tests check.
    init(constant: String) { text = constant }

    private init(bytes: [UInt8]) {
        var hex = ""
        for (index, byte) in bytes.enumerated() {
            if [4, 6, 8, 10].contains(index) { hex += "-" }
            let digits = String(byte, radix: 16)
            hex += digits.count == 1 ? "0" + digits : digits
        }
        text = hex
    }

    /// The text form.
    public var description: String { text }

    /// Orders by the text form.
    public static func < (left: GUID, right: GUID) -> Bool { left.text < right.text }

    /// Reads the JSON form; throws where it is not valid.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let guid = GUID(try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "a GUID has 36 characters")
        }
        self = guid
    }

    /// Writes the JSON form.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }
}
