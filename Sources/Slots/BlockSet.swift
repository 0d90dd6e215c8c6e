/// A set of block numbers below a bound: one bit each.
struct BlockSet: Equatable {
    private var words: [UInt64]
    let bound: UInt64

    /// Makes an empty set for blocks below `bound`.
    init(bound: UInt64) {
        self.bound = bound
        words = [UInt64](repeating: 0, count: Int((bound + 63) / 64))
    }

    func contains(_ block: UInt64) -> Bool { words[Int(block / 64)] >> (block % 64) & 1 == 1 }

    mutating func insert(_ block: UInt64) { words[Int(block / 64)] |= 1 << (block % 64) }

    var count: Int { words.reduce(0) { $0 + $1.nonzeroBitCount } }

    /// The runs of blocks within `range` that are not in the set.
    func missingRuns(in range: Range<UInt64>) -> [Range<UInt64>] {
        var runs: [Range<UInt64>] = []
        for block in range where !contains(block) {
            if let last = runs.last, last.upperBound == block {
                runs[runs.count - 1] = last.lowerBound..<block + 1
            } else {
                runs.append(block..<block + 1)
            }
        }
        return runs
    }
}
