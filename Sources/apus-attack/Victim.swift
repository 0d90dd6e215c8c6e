import CAttack
import Glibc

/// Wakes every 10 ms by an absolute clock, and counts how late it was.
///
/// A delay of several periods counts once for each period that it swallowed, so that a long silence weighs as much as
/// many short ones.
enum Victim {
    private static let periodMicroseconds: Int64 = 10_000
    /// Buckets for each doubling of the latency: neighbours differ by 4.4 percent.
    private static let bucketsPerOctave = 16.0

    static func measure(samplesPerWindow: Int) {
        let samples = min(max(samplesPerWindow, 10), 100_000)
        signal(SIGTERM) { _ in attack_exit(0) }
        var next = attack_now() + periodMicroseconds
        while true {
            let begin = next
            var counts: [Int: Int] = [:]
            for _ in 0..<samples {
                attack_sleep_until(next)
                counts[bucket(max(0, attack_now() - next)), default: 0] += 1
                next += periodMicroseconds
            }
            print(begin: begin, end: next, samples: samples, counts)
        }
    }

    static func bucket(_ microseconds: Int64) -> Int { Int(log2(Double(max(1, microseconds))) * bucketsPerOctave) }

    private static func print(begin: Int64, end: Int64, samples: Int, _ counts: [Int: Int]) {
        let histogram = counts.sorted { $0.key < $1.key }.map { "\"\($0.key)\":\($0.value)" }.joined(separator: ",")
        Report.line([
            ("victim", "1"), ("begin", "\(begin)"), ("end", "\(end)"), ("samples", "\(samples)"),
            ("p50", "\(percentile(50, counts, samples))"), ("p99", "\(percentile(99, counts, samples))"),
            ("histogram", "{\(histogram)}"),
        ])
    }

    /// The upper end of the bucket that holds it, in microseconds.
    private static func percentile(_ percent: Int, _ counts: [Int: Int], _ samples: Int) -> Int {
        var seen = 0
        for (bucket, count) in counts.sorted(by: { $0.key < $1.key }) {
            seen += count
            if seen * 100 >= samples * percent { return Int(exp2(Double(bucket + 1) / bucketsPerOctave)) }
        }
        return 0
    }
}
