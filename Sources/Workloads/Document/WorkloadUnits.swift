/// Bounds of what a workload document may hold.
public enum WorkloadLimit {
    /// A document, in bytes.
    public static let documentBytes = 256 << 10
    /// Problems that one answer names.
    public static let problems = 32
    /// Workloads on one node.
    public static let workloadsPerNode = 256
    /// The longest time from the signal to stop until the kill, in seconds.
    public static let stopGraceSeconds = 600
}

/// Sizes, durations and processors in the text forms of the Compose Specification ("Specifying byte values",
/// "Specifying durations").
public enum WorkloadUnits {
    private static let units: [(name: String, shift: UInt64)] = [
        ("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40), ("kb", 10), ("mb", 20), ("gb", 30), ("tb", 40), ("k", 10),
        ("m", 20), ("g", 30), ("t", 40), ("b", 0),
    ]

    /// A size in bytes from a whole number with a unit (`b k kb m mb g gb t tb`, or `KiB MiB GiB TiB`; all are
    /// powers of 1024, as Compose has them); nil for anything else, an overflow included.
    public static func bytes(_ text: String) -> UInt64? {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        guard let number = whole(digits) else { return nil }
        let unit = text.dropFirst(digits.count)
        guard let shift = units.first(where: { $0.name == unit })?.shift else { return nil }
        let (bytes, overflow) = number.multipliedReportingOverflow(by: 1 << shift)
        return overflow ? nil : bytes
    }

    /// The shortest text that `bytes(_:)` reads back.
    public static func text(bytes: UInt64) -> String {
        for (unit, shift) in [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)] as [(String, UInt64)]
        where bytes >= 1 << shift && bytes.isMultiple(of: 1 << shift) {
            return "\(bytes >> shift)\(unit)"
        }
        return "\(bytes)b"
    }

    /// A duration in milliseconds from parts with the units `h m s ms`, the larger first and each at most once;
    /// nil for anything else.
    public static func milliseconds(_ text: String) -> Int64? {
        let units: [(name: String, milliseconds: Int64)] = [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)]
        var rest = Substring(text)
        var next = 0
        var total: Int64 = 0
        guard !rest.isEmpty else { return nil }
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isASCII && $0.isNumber }
            guard digits.count <= 9, let number = whole(digits) else { return nil }
            rest = rest.dropFirst(digits.count)
            let name = rest.prefix { $0.isASCII && $0.isLetter }
            guard let index = units.firstIndex(where: { $0.name == name }), index >= next else { return nil }
            rest = rest.dropFirst(name.count)
            next = index + 1
            total += Int64(number) * units[index].milliseconds
        }
        return total
    }

    /// The shortest text that `milliseconds(_:)` reads back.
    public static func text(milliseconds: Int64) -> String {
        guard milliseconds > 0 else { return "0s" }
        var rest = milliseconds
        var text = ""
        for (unit, size) in [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)] as [(String, Int64)] {
            if rest >= size { text += "\(rest / size)\(unit)" }
            rest %= size
        }
        return text
    }

    /// Thousandths of a processor from `2`, `0.5` or `1.25`, with at most three digits after the point.
    public static func milliCPUs(_ text: String) -> Int? {
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, first.count <= 4, let number = whole(first) else { return nil }
        guard parts.count == 2 else { return Int(number) * 1000 }
        let fraction = parts[1]
        guard (1...3).contains(fraction.count), fraction.allSatisfy({ $0.isASCII && $0.isNumber }),
            let thousandths = Int(fraction + String(repeating: "0", count: 3 - fraction.count))
        else { return nil }
        return Int(number) * 1000 + thousandths
    }

    /// The text that `milliCPUs(_:)` reads back.
    public static func text(milliCPUs: Int) -> String {
        let fraction = String(String(milliCPUs % 1000 + 1000).dropFirst())
        return milliCPUs.isMultiple(of: 1000) ? "\(milliCPUs / 1000)" : "\(milliCPUs / 1000).\(fraction)"
    }

    /// A whole number without a leading zero or a sign.
    private static func whole(_ digits: Substring) -> UInt64? {
        guard digits == "0" || !digits.hasPrefix("0"), digits.allSatisfy({ $0.isASCII && $0.isNumber }) else {
            return nil
        }
        return UInt64(digits)
    }
}
