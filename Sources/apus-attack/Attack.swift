import CAttack
import Glibc

/// One thing that a row tries, in a process of its own: what it breaks, and the signal that ends it, are its own.
struct Attempt: Sendable {
    var name: String
    var run: @Sendable () -> Said

    init(_ name: String, _ run: @escaping @Sendable () -> Said) {
        self.name = name
        self.run = run
    }
}

/// A row of the battery: `Sources/Lab/Attack` says what must come of it.
struct Attack: Sendable {
    var row: String
    var attempts: [Attempt]

    init(_ row: String, _ attempts: [Attempt]) {
        self.row = row
        self.attempts = attempts
    }

    static let all: [Attack] =
        processes + memory + storage + limits + kernelCalls + tracing + files + devices + mounts + abis + sockets
        + network + runtime

    /// Plays the row. Its last line says that nothing ended it before.
    func play() {
        Report.moment(row, "begin")
        for attempt in attempts { play(attempt) }
        Report.moment(row, "end")
    }

    private func play(_ attempt: Attempt) {
        let child = attack_fork()
        guard child != 0 else {
            alarm(UInt32(Pace.seconds) + 60)
            Report.said(row, attempt.name, attempt.run())
            attack_exit(0)
        }
        guard child > 0 else {
            Report.said(row, attempt.name, Said(Int64(child), "before the attempt"))
            return
        }
        var status: Int32 = 0
        var signal: Int32 = 0
        _ = attack_wait(child, 1, &status, &signal)
        guard signal != 0 else { return }
        var name = [CChar](repeating: 0, count: 32)
        attack_signal_name(signal, &name)
        let word = name.withUnsafeBufferPointer { buffer in
            String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
        Report.said(row, attempt.name, Said(word == "SIGALRM" ? "timed-out" : word))
    }
}

/// How long exhaustion goes on: as long as the victim needs for its samples.
enum Pace {
    nonisolated(unsafe) static var seconds = 2

    static var deadline: Int64 { attack_now() + Int64(seconds) * 1_000_000 }

    /// Repeats an attempt until the time is up, or it succeeded; at most so often.
    static func pressing(times: Int = 100_000, _ attempt: () -> Said) -> Said {
        let deadline = deadline
        var said = attempt()
        var count = 1
        while said.word != "succeeded", count < times, attack_now() < deadline {
            said = attempt()
            count += 1
        }
        said.detail += " (\(count) times)"
        return said
    }

    /// Waits for the rest of the time, so that the victim is watched while what was taken is held.
    static func hold(until deadline: Int64) { attack_sleep_until(deadline) }
}
