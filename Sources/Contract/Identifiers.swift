/// A SHA-256 digest: 32 bytes, written as 64 lower-case hexadecimal digits (FIPS 180-4).
public struct Digest256: Hashable, Sendable, Codable, CustomStringConvertible {
    /// The 32 bytes.
    public let bytes: [UInt8]

    /// Takes exactly 32 bytes, or nil.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 32 else { return nil }
        self.bytes = Array(bytes)
    }

    /// Takes exactly 64 lower-case hexadecimal digits, or nil.
    public init?(hex: some StringProtocol) {
        guard let bytes = [UInt8](lowercaseHex: hex), bytes.count == 32 else { return nil }
        self.bytes = bytes
    }

    /// 32 zeros, which stand for what comes before the first of a chain.
    public static let zero = Digest256(zeros: 32)

    private init(zeros count: Int) { bytes = [UInt8](repeating: 0, count: count) }

    /// 64 lower-case hexadecimal digits.
    public var description: String { bytes.lowercaseHex }

    /// Decodes the text form, and refuses anything else.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let digest = Digest256(hex: try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "a SHA-256 digest is 64 lower-case hexadecimal digits")
        }
        self = digest
    }

    /// Encodes the text form.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

/// A node's identifier: assigned by the server alone, 26 characters of Crockford base 32 in lower case.
public struct NodeID: Hashable, Sendable, Codable, CustomStringConvertible {
    /// The text form.
    public let rawValue: String

    /// Takes 26 characters of `0-9a-hjkmnp-tv-z`, or nil.
    public init?(_ text: String) {
        let alphabet = "0123456789abcdefghjkmnpqrstvwxyz"
        guard text.utf8.count == 26, text.allSatisfy(alphabet.contains) else { return nil }
        rawValue = text
    }

    /// The text form.
    public var description: String { rawValue }

    /// Decodes the text form, and refuses anything else.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let id = NodeID(try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "a node id is 26 characters of 0-9 and a-z without i, l, o and u")
        }
        self = id
    }

    /// Encodes the text form.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(rawValue)
    }
}

/// One of the two places on the disk that hold an operating system.
public enum SlotName: String, Sendable, Codable, CodingKeyRepresentable, CaseIterable, Hashable {
    /// Slot A.
    case a
    /// Slot B.
    case b

    /// The slot that is not this one.
    public var other: SlotName { self == .a ? .b : .a }

    /// `A` or `B`, as labels and people write it.
    public var letter: String { self == .a ? "A" : "B" }
}

/// Processor architectures in Debian's names.
public enum Architecture: String, Sendable, Codable, Hashable {
    /// 64-bit x86.
    case amd64
    /// 64-bit Arm.
    case arm64

    /// The architecture that this program was compiled for.
    public static var current: Architecture {
        #if arch(arm64)
            .arm64
        #else
            .amd64
        #endif
    }
}

extension [UInt8] {
    /// Decodes lower-case hexadecimal digits; nil for an odd count or any other character.
    public init?(lowercaseHex text: some StringProtocol) {
        func value(_ digit: UInt8) -> UInt8? {
            switch digit {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
            default: nil
            }
        }
        let digits = Array(text.utf8)
        guard digits.count.isMultiple(of: 2) else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(digits.count / 2)
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let high = value(digits[index]), let low = value(digits[index + 1]) else { return nil }
            bytes.append(high << 4 | low)
        }
        self = bytes
    }

    /// Lower-case hexadecimal digits, two a byte.
    public var lowercaseHex: String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        text.reserveCapacity(count * 2)
        for byte in self {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }
}
