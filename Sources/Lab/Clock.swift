import Glibc

/// Time for deadlines and for the table of where it went.
enum LabClock {
    /// Seconds on the clock that never jumps (`CLOCK_MONOTONIC`, clock_gettime(2)).
    static var seconds: Double {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        return Double(now.tv_sec) + Double(now.tv_nsec) / 1e9
    }
}

/// An instant until which something is awaited.
struct Deadline {
    /// How many seconds it lay ahead when it was made.
    let allowedSeconds: Double
    private let end: Double

    /// Makes a deadline that lies `seconds` ahead, stretched by `Deadline.patience`.
    init(seconds: Double) {
        allowedSeconds = seconds * Deadline.patience
        end = LabClock.seconds + allowedSeconds
    }

    /// How many seconds remain, never below zero.
    var remainingSeconds: Double { max(0, end - LabClock.seconds) }

    /// Whether the instant has passed.
    var isOver: Bool { remainingSeconds == 0 }

    /// The variable that stretches all deadlines.
    static let patienceVariable = "APUS_LAB_PATIENCE"
    /// How many seconds a start takes on the machines that the deadlines were made on.
    private static let usualStartSeconds = 70.0

    /// By which factor a machine that takes so long to start needs longer deadlines.
    static func patience(startSeconds: Double) -> Double { max(1, startSeconds / usualStartSeconds) }

    /// The factor of `APUS_LAB_PATIENCE` by which all deadlines are stretched on slow machines; 1 where it is not set.
    static let patience: Double = {
        guard let text = getenv(patienceVariable), let factor = Double(String(cString: text)), factor > 0 else {
            return 1
        }
        return min(factor, 100)
    }()
}
