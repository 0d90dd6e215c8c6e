/// What was measured on a machine, read from lines of scripts and programs: `SAMPLE NAME VALUE [END]` for a number, with
/// the instant at which it was complete where that matters, and `FAILED NAME WHY`.
public struct BenchReadings: Sendable, Equatable {
    /// One measurement.
    public struct Sample: Sendable, Equatable {
        /// The number, in the unit that its name stands for: KiB, microseconds or a count.
        public var value: Double
        /// When it was complete, in microseconds of the machine's boot; nil where nobody said.
        public var end: Double?
    }

    /// The measurements by name, in order.
    public private(set) var samples: [String: [Sample]] = [:]
    /// Why something could not be measured, by name: the first reason.
    public private(set) var failures: [String: String] = [:]

    /// How many measurements of one name are kept.
    static let sampleLimit = 10_000
    /// How many names there may be.
    static let nameLimit = 200

    /// Nothing yet.
    public init() {}

    /// Takes in the output of a script; lines that are none of the two are left out.
    public mutating func add(_ text: String) {
        for line in text.split(whereSeparator: \.isNewline) {
            let words = line.split(separator: " ")
            guard words.count >= 3, words[1].utf8.count <= 64 else { continue }
            let name = String(words[1])
            switch words[0] {
            case "SAMPLE": add(name, words[2], words.count > 3 ? words[3] : nil)
            case "FAILED" where failures.count < Self.nameLimit:
                let why = words[2...].joined(separator: " ").prefix(300)
                if failures[name] == nil { failures[name] = String(why) }
            default: continue
            }
        }
    }

    private mutating func add(_ name: String, _ word: Substring, _ end: Substring?) {
        guard let value = Self.number(word), samples.count < Self.nameLimit || samples[name] != nil,
            samples[name, default: []].count < Self.sampleLimit
        else { return }
        samples[name, default: []].append(Sample(value: value, end: end.flatMap(Self.number)))
    }

    /// A number that can be one of a machine's: not negative, not beyond what a clock or a memory shows.
    private static func number(_ word: Substring) -> Double? {
        guard let value = Double(word), value.isFinite, (0..<1e15).contains(value) else { return nil }
        return value
    }

    /// The values of a name, without the first ones, which warm caches up.
    func values(_ name: String, leavingOut warmUps: Int = 0) -> [Double] {
        samples[name, default: []].dropFirst(warmUps).map(\.value)
    }

    /// How long each took of those that follow each other without a pause: the time from one's end to the next one's,
    /// in order of time, without some at each end, where not all that take part are under way.
    func intervals(_ name: String, leavingOut edges: Int) -> [Double] {
        let ends = samples[name, default: []].compactMap(\.end).sorted().dropFirst(edges).dropLast(edges)
        return zip(ends.dropFirst(), ends).map { $0 - $1 }
    }
}

/// What many measurements of one thing say together.
public struct BenchSummary: Sendable, Equatable {
    /// How many there are.
    public var count: Int
    /// The one in the middle.
    public var median: Double
    /// A quarter of them is below it.
    public var lowerQuartile: Double
    /// A quarter of them is above it.
    public var upperQuartile: Double

    /// Sums measurements up.
    ///
    /// - Parameter minimum: with fewer than so many nothing is said.
    public init?(_ values: [Double], atLeast minimum: Int) {
        let sorted = values.sorted()
        guard !sorted.isEmpty, sorted.count >= minimum else { return nil }
        count = sorted.count
        median = Self.quantile(0.5, sorted)
        lowerQuartile = Self.quantile(0.25, sorted)
        upperQuartile = Self.quantile(0.75, sorted)
    }

    /// Between the two nearest ones, in proportion.
    private static func quantile(_ part: Double, _ sorted: [Double]) -> Double {
        let place = part * Double(sorted.count - 1)
        let below = Int(place)
        let above = min(below + 1, sorted.count - 1)
        return sorted[below] + (sorted[above] - sorted[below]) * (place - Double(below))
    }
}
