/// A domain name as DNS messages carry it: labels of any bytes, compared without regard to the case of letters of
/// ASCII (RFC 1035, section 3.1; RFC 4343).
public struct DomainName: Hashable, Sendable, CustomStringConvertible {
    /// The labels in lower case, each after its length, and the empty one at the end; at most 255 bytes.
    public let wire: [UInt8]

    /// The longest name, in bytes of the message (RFC 1035, section 2.3.4).
    public static let byteLimit = 255

    /// Takes labels of 1 to 63 bytes; nil where one is none, or all are too long together.
    public init?(labels: [[UInt8]]) {
        var wire: [UInt8] = []
        for label in labels {
            guard (1...63).contains(label.count) else { return nil }
            wire.append(UInt8(label.count))
            wire += label.map(Self.lowered)
        }
        wire.append(0)
        guard wire.count <= Self.byteLimit else { return nil }
        self.wire = wire
    }

    /// Reads a host's name; nil for what no host is called.
    public init?(_ text: String) {
        self.init(labels: text.split(separator: ".", omittingEmptySubsequences: false).map { Array($0.utf8) })
        guard self.text != nil else { return nil }
    }

    /// The text form, where every label is made of letters, digits, `-` and `_`; nil for all others and the root.
    ///
    /// A label may hold a dot, and `a\.b` would look like `a.b`: what an allow-list is asked for has no such bytes.
    public var text: String? {
        guard wire.count > 1 else { return nil }
        var text: [UInt8] = []
        var left = 0
        for byte in wire.dropLast() {
            if left == 0 {
                if !text.isEmpty { text.append(0x2E) }
                left = Int(byte)
                continue
            }
            guard Self.isPlain(byte) else { return nil }
            text.append(byte)
            left -= 1
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// The text form, or what says that there is none.
    public var description: String { text ?? (wire.count == 1 ? "." : "a name of odd bytes") }

    private static func lowered(_ byte: UInt8) -> UInt8 { (0x41...0x5A).contains(byte) ? byte | 0x20 : byte }

    private static func isPlain(_ byte: UInt8) -> Bool {
        (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte) || byte == 0x2D || byte == 0x5F
    }
}
