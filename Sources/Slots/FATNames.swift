/// Names in directories: the 8.3 entry and the long-name entries before it.
///
/// Implements "FAT Long Directory Entries" of Microsoft's FAT specification 1.03, for names of printable ASCII.
enum FATNames {
    static let entryBytes = 32
    static let longNameAttribute: UInt8 = 0x0f

    /// Whether a long name can hold it.
    static func isValid(_ name: String) -> Bool {
        let refused = Array("\"*/:<>?\\|".utf8)
        guard (1...255).contains(name.utf8.count), name.first != " ", name.last != " ", name.last != "." else {
            return false
        }
        return name.utf8.allSatisfy { (0x20..<0x7f).contains($0) && !refused.contains($0) }
    }

    private static func isShort(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
        default: "!#$%&'()-@^_`{}~".utf8.contains(byte)
        }
    }

    /// The 11 bytes of an 8.3 name, or nil where the upper-cased name does not fit without loss.
    static func short(_ name: String) -> [UInt8]? {
        let parts = name.uppercased().split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        let base = Array(parts[0].utf8)
        let suffix = parts.count == 2 ? Array(parts[1].utf8) : []
        guard (1...8).contains(base.count), suffix.count <= 3, parts.count == 1 || !suffix.isEmpty,
            base.allSatisfy(isShort), suffix.allSatisfy(isShort)
        else { return nil }
        return base + Array(repeating: 0x20, count: 8 - base.count) + suffix
            + Array(repeating: 0x20, count: 3 - suffix.count)
    }

    /// An 8.3 alias that none of `taken` has, such as `APUS~1.JSO`; nil after 999 tries.
    static func alias(_ name: String, taken: Set<[UInt8]>) -> [UInt8]? {
        if let exact = short(name), !taken.contains(exact) { return exact }
        let upper = Array(name.uppercased().utf8)
        let dot = upper.lastIndex(of: UInt8(ascii: "."))
        let base = upper[..<(dot ?? upper.endIndex)].filter(isShort)
        let suffix = dot.map { upper[($0 + 1)...].filter(isShort).prefix(3) } ?? []
        for number in 1...999 {
            let tail = Array("~\(number)".utf8)
            let front = base.prefix(8 - tail.count) + tail
            let candidate =
                front + Array(repeating: 0x20, count: 8 - front.count) + suffix
                + Array(repeating: 0x20, count: 3 - suffix.count)
            if !taken.contains(Array(candidate)) { return Array(candidate) }
        }
        return nil
    }

    /// The checksum that ties long-name entries to their 8.3 entry.
    static func checksum(_ short: [UInt8]) -> UInt8 {
        short.reduce(0) { ($0 & 1) << 7 &+ $0 >> 1 &+ $1 }
    }

    /// Where the 13 characters of a long-name entry stand.
    static let characterOffsets = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30]

    /// The long-name entries of `name`, as they stand before its 8.3 entry; none where that says it all.
    static func longEntries(_ name: String, alias: [UInt8]) -> [UInt8] {
        if short(name) == alias, name == name.uppercased() { return [] }
        let characters = Array(name.utf8).map(UInt16.init)
        let count = (characters.count + 12) / 13
        var bytes: [UInt8] = []
        for index in (0..<count).reversed() {
            var entry = [UInt8](repeating: 0, count: entryBytes)
            entry[0] = UInt8(index + 1) | (index == count - 1 ? 0x40 : 0)
            entry[11] = longNameAttribute
            entry[13] = checksum(alias)
            for (position, offset) in characterOffsets.enumerated() {
                let at = index * 13 + position
                let unit: UInt16 = at < characters.count ? characters[at] : at == characters.count ? 0 : 0xffff
                entry.put(unit, at: offset)
            }
            bytes += entry
        }
        return bytes
    }

    /// An 8.3 entry. Times are the earliest that FAT knows, 1980-01-01, so that equal inputs give equal volumes.
    static func entry(_ short: [UInt8], attribute: UInt8, cluster: UInt32, sizeBytes: UInt32) -> [UInt8] {
        var entry = [UInt8](repeating: 0, count: entryBytes)
        entry.put(short, at: 0)
        entry[11] = attribute
        let firstDay: UInt16 = 0x0021
        for offset in [16, 18, 24] { entry.put(firstDay, at: offset) }
        entry.put(UInt16(truncatingIfNeeded: cluster >> 16), at: 20)
        entry.put(UInt16(truncatingIfNeeded: cluster), at: 26)
        entry.put(sizeBytes, at: 28)
        return entry
    }
}
