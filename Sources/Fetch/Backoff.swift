/// Delays between attempts: exponential, with jitter, bounded in length and in number. Pure: randomness is given in.
///
/// The jitter is "equal": half of the delay is fixed and half is random, so that machines that were switched on
/// together spread out and none hammers.
public struct Backoff: Sendable, Equatable {
    /// The first delay in milliseconds.
    public var firstMilliseconds: Int
    /// No delay is longer, in milliseconds.
    public var longestMilliseconds: Int
    /// How many delays are given before it is up; nil where waiting for ever is right.
    public var attempts: Int?
    /// How many delays were given since the last `reset()`.
    public private(set) var used = 0

    /// Makes a policy that starts with `firstMilliseconds` and doubles up to `longestMilliseconds`.
    public init(firstMilliseconds: Int = 500, longestMilliseconds: Int = 30_000, attempts: Int? = 8) {
        self.firstMilliseconds = max(1, firstMilliseconds)
        self.longestMilliseconds = max(self.firstMilliseconds, longestMilliseconds)
        self.attempts = attempts
    }

    /// The next delay in milliseconds, or nil when the attempts are used up.
    public mutating func next(random: UInt64) -> Int? {
        if let attempts, used >= attempts { return nil }
        // 2^30 ms is 12 days: further doubling only risks an overflow.
        let doubled = firstMilliseconds.multipliedReportingOverflow(by: 1 << min(used, 30))
        let delay = doubled.overflow ? longestMilliseconds : min(doubled.partialValue, longestMilliseconds)
        if used < Int.max { used += 1 }
        let half = delay / 2
        return delay - half + Int(random % UInt64(half + 1))
    }

    /// Starts over, after something went well.
    public mutating func reset() { used = 0 }
}
