/// 65,536 neighbouring user and group ids of the node that one workload alone has.
public struct IDRange: Sendable, Codable, Hashable {
    /// The node's id that is 0 inside.
    public let first: UInt32

    /// How many ids a range has.
    public static let count: UInt32 = 65_536

    /// Takes a multiple of 65,536 above 0 whose range ends below 2³¹; nil for anything else.
    public init?(first: UInt32) {
        guard first > 0, first.isMultiple(of: Self.count), first < 1 << 31 else { return nil }
        self.first = first
    }

    /// The node's id of an id inside.
    public func outer(_ inner: UInt32) -> UInt32 { first + min(inner, Self.count - 1) }
}

/// Gives every workload a range, and lets it keep it: its volumes belong to those ids.
public enum IDRangePlanner {
    /// The first range that is given: above what `useradd` and systemd's dynamic users and containers take by
    /// themselves (systemd, "Users, Groups, UIDs and GIDs on systemd Systems": containers end at 0x6fffffff).
    public static let firstRange: UInt32 = 0x7000_0000
    /// How many there are.
    public static let rangeCount: UInt32 = (1 << 31 - 0x7000_0000) / IDRange.count

    /// Returns a range for every wanted workload; those that have one keep it, and those that are gone lose it only
    /// where `kept` does not hold them, for their volumes may still be there.
    ///
    /// Nil where there are not enough.
    public static func assign(
        _ wanted: [WorkloadName], existing: [WorkloadName: IDRange], kept: Set<WorkloadName> = []
    ) -> [WorkloadName: IDRange]? {
        let staying = kept.union(wanted)
        var result = existing.filter { staying.contains($0.key) }
        var taken = Set(result.values)
        var next: UInt32 = 0
        for name in wanted.sorted() where result[name] == nil {
            while next < rangeCount {
                let range = IDRange(first: firstRange + next * IDRange.count)
                next += 1
                guard let range, taken.insert(range).inserted else { continue }
                result[name] = range
                break
            }
            if result[name] == nil { return nil }
        }
        return result
    }
}
