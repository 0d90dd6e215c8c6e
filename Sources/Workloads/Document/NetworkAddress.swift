/// An IPv4 or IPv6 address.
public struct NetworkAddress: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// 4 or 16 bytes in network order.
    public let bytes: [UInt8]

    /// Takes 4 or 16 bytes, or nil.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 4 || bytes.count == 16 else { return nil }
        self.bytes = Array(bytes)
    }

    /// Reads `192.0.2.1` without leading zeros, or an IPv6 address (RFC 4291, section 2.2) without a zone and
    /// without an embedded IPv4 address; nil for anything else.
    public init?(_ text: some StringProtocol) {
        guard let bytes = text.contains(":") ? Self.version6(String(text)) : Self.version4(String(text)) else {
            return nil
        }
        self.bytes = bytes
    }

    /// Whether it is an IPv4 address.
    public var isVersion4: Bool { bytes.count == 4 }

    /// The usual text form; for IPv6 that of RFC 5952, section 4.
    public var description: String {
        guard !isVersion4 else { return bytes.map { String($0) }.joined(separator: ".") }
        let groups = stride(from: 0, to: 16, by: 2).map { UInt16(bytes[$0]) << 8 | UInt16(bytes[$0 + 1]) }
        var longest = 0..<0
        var index = 0
        while index < 8 {
            var end = index
            while end < 8, groups[end] == 0 { end += 1 }
            if end - index > max(1, longest.count) { longest = index..<end }
            index = max(end, index + 1)
        }
        func join(_ part: ArraySlice<UInt16>) -> String { part.map { String($0, radix: 16) }.joined(separator: ":") }
        guard !longest.isEmpty else { return join(groups[...]) }
        return join(groups[..<longest.lowerBound]) + "::" + join(groups[longest.upperBound...])
    }

    /// The address `offset` further on; nil beyond the family's end.
    public func advanced(by offset: UInt32) -> NetworkAddress? {
        var carry = UInt64(offset)
        var result = bytes
        for index in result.indices.reversed() {
            let sum = UInt64(result[index]) + carry & 0xFF
            carry = carry >> 8 + sum >> 8
            result[index] = UInt8(truncatingIfNeeded: sum)
        }
        return carry == 0 ? NetworkAddress(bytes: result) : nil
    }

    /// IPv4 before IPv6, then by value.
    public static func < (first: NetworkAddress, second: NetworkAddress) -> Bool {
        first.bytes.count != second.bytes.count
            ? first.bytes.count < second.bytes.count : first.bytes.lexicographicallyPrecedes(second.bytes)
    }

    private static func version4(_ text: String) -> [UInt8]? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var bytes: [UInt8] = []
        for part in parts {
            guard (1...3).contains(part.count), part == "0" || !part.hasPrefix("0"),
                part.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let byte = UInt8(part)
            else { return nil }
            bytes.append(byte)
        }
        return bytes
    }

    private static func version6(_ text: String) -> [UInt8]? {
        guard text.utf8.count <= 39 else { return nil }
        func groups(_ part: Substring) -> [UInt8]? {
            guard !part.isEmpty else { return [] }
            var bytes: [UInt8] = []
            for group in part.split(separator: ":", omittingEmptySubsequences: false) {
                guard (1...4).contains(group.utf8.count), group.allSatisfy({ $0.isASCII && $0.isHexDigit }),
                    let value = UInt16(group, radix: 16)
                else { return nil }
                bytes += [UInt8(value >> 8), UInt8(value & 0xFF)]
            }
            return bytes
        }
        guard let gap = text.firstDoubleColon else {
            return groups(Substring(text)).flatMap { $0.count == 16 ? $0 : nil }
        }
        guard let head = groups(text[..<gap]), let tail = groups(text[text.index(gap, offsetBy: 2)...]),
            head.count + tail.count <= 14
        else { return nil }
        return head + [UInt8](repeating: 0, count: 16 - head.count - tail.count) + tail
    }
}

extension String {
    fileprivate var firstDoubleColon: String.Index? {
        indices.first { self[$0...].hasPrefix("::") }
    }
}

/// A range of addresses: an address and how many of its leading bits count. The other bits are zero.
public struct NetworkPrefix: Hashable, Sendable, CustomStringConvertible {
    /// The first address.
    public let address: NetworkAddress
    /// The leading bits that count: 0 to 32, or 0 to 128.
    public let length: Int

    /// Takes an address whose bits beyond the length are zero; nil otherwise.
    public init?(_ address: NetworkAddress, length: Int) {
        guard (0...address.bytes.count * 8).contains(length) else { return nil }
        for bit in length..<address.bytes.count * 8 where address.bytes[bit / 8] & (0x80 >> UInt8(bit % 8)) != 0 {
            return nil
        }
        self.address = address
        self.length = length
    }

    /// Reads `192.0.2.0/24`, or an address, which is a range of one; nil for anything else.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, let address = NetworkAddress(first) else { return nil }
        guard parts.count == 2 else {
            self.init(address, length: address.bytes.count * 8)
            return
        }
        guard parts[1] == "0" || !parts[1].hasPrefix("0"), parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let length = Int(parts[1])
        else { return nil }
        self.init(address, length: length)
    }

    /// Whether it is a range of IPv4 addresses.
    public var isVersion4: Bool { address.isVersion4 }

    /// `address/length`.
    public var description: String { "\(address)/\(length)" }

    /// Whether an address of the same family lies inside.
    public func contains(_ other: NetworkAddress) -> Bool {
        guard other.bytes.count == address.bytes.count else { return false }
        let whole = length / 8
        guard address.bytes.prefix(whole) == other.bytes.prefix(whole) else { return false }
        guard length % 8 != 0 else { return true }
        return address.bytes[whole] ^ other.bytes[whole] < 0x80 >> UInt8(length % 8 - 1)
    }

    /// Whether two ranges have an address in common.
    public func overlaps(_ other: NetworkPrefix) -> Bool { contains(other.address) || other.contains(address) }

    /// Whether all of another range lies inside.
    public func contains(_ other: NetworkPrefix) -> Bool { length <= other.length && contains(other.address) }

    /// `0.0.0.0/0`.
    public static let allVersion4 = NetworkPrefix(constant: [0, 0, 0, 0], length: 0)
    /// `::/0`.
    public static let allVersion6 = NetworkPrefix(constant: [UInt8](repeating: 0, count: 16), length: 0)

    /// Takes bytes that are known to be right.
    init(constant bytes: [UInt8], length: Int) {
        address = NetworkAddress(constant: bytes)
        self.length = length
    }
}

extension NetworkAddress {
    /// Takes bytes that are known to be right.
    init(constant bytes: [UInt8]) { self.bytes = bytes }
}
