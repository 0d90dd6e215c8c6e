import FoundationEssentials

/// How late a victim woke, as a histogram: what a row adds to it is what the row costs others.
public struct VictimLatency: Sendable, Equatable {
    /// How many samples there are.
    public private(set) var samples = 0
    private var counts: [Int: Int] = [:]

    /// Buckets for each doubling, as the program has them: neighbours differ by 4.4 percent.
    static let bucketsPerOctave = 16

    /// The fewest samples that a row is judged on.
    public static let fewestSamples = 1000
    /// How much worse the 99th percentile may become, in percent.
    public static let allowedPercent = 20.0

    /// No samples.
    public init() {}

    /// A window of samples.
    public struct Window: Sendable, Equatable {
        /// When it began, in microseconds of the machine's boot.
        public var begin: Int64
        /// When it ended.
        public var end: Int64
        /// Its samples.
        public var latency: VictimLatency
    }

    private struct Line: Decodable {
        var victim: Int
        var begin: Int64
        var end: Int64
        var histogram: [String: Int]
    }

    /// The windows in a victim's log, in order.
    public static func parse(_ text: String) -> [Window] {
        let decoder = JSONDecoder()
        var windows: [Window] = []
        for raw in text.split(whereSeparator: \.isNewline) where raw.contains("\"victim\"") {
            guard raw.utf8.count <= AttackReport.lineLimit, let start = raw.firstIndex(of: "{"),
                let line = try? decoder.decode(Line.self, from: Data(raw[start...].utf8)), line.end > line.begin
            else { continue }
            var latency = VictimLatency()
            for (bucket, count) in line.histogram {
                guard let bucket = Int(bucket), (0...1024).contains(bucket), (1...1_000_000).contains(count) else {
                    continue
                }
                latency.counts[bucket, default: 0] += count
                latency.samples += count
            }
            windows.append(Window(begin: line.begin, end: line.end, latency: latency))
        }
        return windows
    }

    /// All samples of the windows that lie within a time.
    public static func merged(_ windows: [Window], from begin: Int64, to end: Int64) -> VictimLatency {
        var result = VictimLatency()
        for window in windows where window.begin >= begin && window.end <= end {
            result.samples += window.latency.samples
            result.counts.merge(window.latency.counts, uniquingKeysWith: +)
        }
        return result
    }

    /// The 99th percentile in microseconds, by straight lines within a bucket; nil without samples.
    public var p99Microseconds: Double? {
        guard samples > 0 else { return nil }
        let wanted = Double(samples) * 0.99
        var seen = 0.0
        for (bucket, count) in counts.sorted(by: { $0.key < $1.key }) {
            guard seen + Double(count) >= wanted else {
                seen += Double(count)
                continue
            }
            let low = Self.microseconds(bucket)
            return low + (Self.microseconds(bucket + 1) - low) * (wanted - seen) / Double(count)
        }
        return nil
    }

    private static func microseconds(_ bucket: Int) -> Double {
        // 2^(1/16), without a mathematics library.
        let root = 1.044_273_782_427_413_8
        var value = Double(1 << min(bucket / bucketsPerOctave, 60))
        for _ in 0..<bucket % bucketsPerOctave { value *= root }
        return value
    }

    /// By how many percent the 99th percentile is worse than in the baseline; nil where either has too few samples.
    public func percentWorse(than baseline: VictimLatency) -> Double? {
        guard samples >= Self.fewestSamples, baseline.samples >= Self.fewestSamples,
            let now = p99Microseconds, let before = baseline.p99Microseconds, before > 0
        else { return nil }
        return (now / before - 1) * 100
    }
}
