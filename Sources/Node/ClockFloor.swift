internal import Linux

/// A clock that was never set, or lost its battery, must not break TLS: it is raised to a time that is known to be
/// past, and never turned back.
public enum ClockFloor {
    /// The clock that a machine with `now` should have when it is known to be at least `floor`; nil leaves it.
    ///
    /// A few seconds are not worth a jump.
    static func corrected(now: Int64, floor: Int64) -> Int64? { now < floor - 5 ? floor : nil }

    /// Raises the machine's clock where it is behind.
    public static func raise(to floor: Int64, source: String, log: NodeLog) {
        // 2100-01-01: a time beyond it is a mistake, and would make every certificate look expired.
        guard floor < 4_102_444_800, let seconds = corrected(now: Clock.realtimeSeconds(), floor: floor) else { return }
        do {
            try Clock.setRealtime(seconds: seconds)
            log.log("the clock was behind and is now the \(source)'s: \(seconds) s since 1970")
        } catch {
            log.log("ignoring that the clock cannot be set: \(error)")
        }
    }
}
