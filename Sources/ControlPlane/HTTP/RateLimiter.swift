import Synchronization

/// Bounds how fast each address may begin registrations: a bucket of tokens that fills steadily.
///
/// A rack that powers on behind one address must pass at once; a loop must not.
final class RateLimiter: Sendable {
    private struct Bucket {
        var level: Double
        var updated: ContinuousClock.Instant
    }

    private let capacity: Double
    private let perSecond: Double
    private let buckets = Mutex<[String: Bucket]>([:])
    private static let addressLimit = 8192

    init(capacity: Double, perSecond: Double) {
        self.capacity = capacity
        self.perSecond = perSecond
    }

    /// Takes `cost` from an address' bucket; returns the seconds to wait where it holds too little.
    func take(_ cost: Double, from address: String, now: ContinuousClock.Instant = .now) -> Int? {
        buckets.withLock { buckets in
            if buckets.count >= Self.addressLimit {
                // Full buckets say nothing that an absent one would not.
                buckets = buckets.filter { level(of: $0.value, at: now) < capacity }
                if buckets.count >= Self.addressLimit { buckets.removeAll() }
            }
            var bucket = buckets[address] ?? Bucket(level: capacity, updated: now)
            bucket.level = level(of: bucket, at: now)
            bucket.updated = now
            defer { buckets[address] = bucket }
            guard bucket.level >= cost else { return max(1, Int(((cost - bucket.level) / perSecond).rounded(.up))) }
            bucket.level -= cost
            return nil
        }
    }

    private func level(of bucket: Bucket, at now: ContinuousClock.Instant) -> Double {
        let elapsed = now - bucket.updated
        let seconds = Double(elapsed.components.seconds) + Double(elapsed.components.attoseconds) / 1e18
        return min(capacity, bucket.level + max(0, seconds) * perSecond)
    }
}
