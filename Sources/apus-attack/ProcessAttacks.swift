import CAttack
import Glibc

extension Attack {
    /// More processes than the lab's document allows, which is 128.
    private static let processTarget = 1000

    static let processes = [
        Attack("fork-bomb", [Attempt("fork") { Pace.pressing { forkMany(thatEnd: false) } }]),
        Attack(
            "zombie-storm",
            [
                Attempt("zombies") { Pace.pressing { forkMany(thatEnd: true) } },
                Attempt("uninterruptible") { vforkChain() },
            ]),
        Attack("cpu-spin", [Attempt("spin") { spin() }]),
        Attack(
            "real-time",
            [
                Attempt("fifo") { Said(call("sched_setscheduler", 0, 1, words([50]))) },
                Attempt("deadline") {
                    // struct sched_attr, version 0: size, policy 6, flags, nice, priority, runtime, deadline, period.
                    Said(
                        call(
                            "sched_setattr", 0,
                            words([48, 6, 0, 0, 0, 0, 10_000_000, 0, 100_000_000, 0, 100_000_000, 0])))
                },
                // On a kernel without a scheduler that knows it, the class still needs the right to it.
                Attempt("io") { Said(call("ioprio_set", 1, 0, 1 << 13)) },
                Attempt("nice") { Said(call("setpriority", 0, 0, UInt64(bitPattern: -20))) },
            ]),
    ]

    /// Makes processes until the kernel has enough; those that end are never waited for.
    private static func forkMany(thatEnd: Bool) -> Said {
        var children: [Int32] = []
        var failure: Int32 = 0
        while children.count < processTarget {
            let child = attack_fork()
            if child == 0 {
                alarm(60)
                if !thatEnd { pause() }
                attack_exit(0)
            }
            guard child > 0 else {
                failure = child
                break
            }
            children.append(child)
        }
        for child in children {
            kill(child, SIGKILL)
            var status: Int32 = 0
            var signal: Int32 = 0
            _ = attack_wait(child, 1, &status, &signal)
        }
        let made = "\(children.count) processes"
        return failure == 0 ? .succeeded(made) : Said(Int64(failure), made)
    }

    /// Parents that sleep uninterruptibly until their children end. They look as if nothing could kill them.
    private static func vforkChain() -> Said {
        var children: [Int32] = []
        for _ in 0..<16 {
            let child = attack_fork()
            if child == 0 {
                _ = attack_vfork_sleeper(60)
                attack_exit(0)
            }
            if child > 0 { children.append(child) }
        }
        attack_sleep_until(attack_now() + 300_000)
        var states: Set<Character> = []
        for child in children {
            let line = contents("/proc/\(child)/stat") ?? ""
            if let state = line.split(separator: " ").dropFirst(2).first?.first { states.insert(state) }
        }
        for child in children { kill(child, SIGKILL) }
        let deadline = attack_now() + 10_000_000
        var left = Set(children)
        while !left.isEmpty, attack_now() < deadline {
            for child in left {
                var status: Int32 = 0
                var signal: Int32 = 0
                if attack_wait(child, 0, &status, &signal) == child { left.remove(child) }
            }
            attack_sleep_until(attack_now() + 10_000)
        }
        let seen = "\(children.count) in state \(states.sorted().map(String.init).joined())"
        return left.isEmpty ? Said("killed", seen) : .succeeded("\(left.count) of \(seen) outlive SIGKILL")
    }

    /// Four processes that calculate, against the half of a processor that the lab's document allows.
    private static func spin() -> Said {
        let begin = attack_now()
        let deadline = Pace.deadline
        var children: [Int32] = []
        for _ in 0..<4 {
            let child = attack_fork()
            if child == 0 {
                var number: UInt64 = 1
                while attack_now() < deadline { for _ in 0..<10_000 { number = number &* 6_364_136_223 &+ 1 } }
                attack_exit(number == 0 ? 1 : 0)
            }
            if child > 0 { children.append(child) }
        }
        for child in children {
            var status: Int32 = 0
            var signal: Int32 = 0
            _ = attack_wait(child, 1, &status, &signal)
        }
        var usage = rusage()
        getrusage(RUSAGE_CHILDREN.rawValue, &usage)
        let used =
            Int64(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1_000_000
            + Int64(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec)
        let percent = used * 100 / max(1, attack_now() - begin)
        let detail = "\(percent) percent of a processor"
        return percent > 75 ? .succeeded(detail) : Said("bounded", detail)
    }
}
