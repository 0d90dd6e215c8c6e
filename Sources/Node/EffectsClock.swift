internal import Glibc
internal import Linux
public import Sequences

/// Real time. Each wait tells the watchdog's keeper that this program is alive and waiting on purpose.
public final class NodeClock: ClockEffect {
    private let whileWaiting: () -> Void

    /// Makes a clock; `whileWaiting` is called before each wait and every few seconds during it.
    public init(whileWaiting: @escaping () -> Void = {}) { self.whileWaiting = whileWaiting }

    /// Milliseconds since the machine was started.
    public var uptimeMilliseconds: Int64 { Clock.monotonicMilliseconds() }

    /// Wall-clock seconds since 1970.
    public var nowSeconds: Int64 { Clock.realtimeSeconds() }

    /// Returns after that many milliseconds.
    public func wait(milliseconds: Int64) {
        let deadline = uptimeMilliseconds + max(0, milliseconds)
        while true {
            whileWaiting()
            let left = deadline - uptimeMilliseconds
            guard left > 0 else { return }
            NodeClock.pause(milliseconds: min(left, 5000))
        }
    }

    /// A random number below `bound`.
    public func random(below bound: Int64) -> Int64 { bound > 0 ? Int64.random(in: 0..<bound) : 0 }

    /// Sleeps; a signal may end it early.
    public static func pause(milliseconds: Int64) {
        var time = timespec(tv_sec: Int(milliseconds / 1000), tv_nsec: Int(milliseconds % 1000) * 1_000_000)
        nanosleep(&time, nil)
    }
}
