import CAttack
import Glibc

extension Attack {
    /// More descriptors than the 512 of the lab's document.
    private static let descriptorTarget = 2000

    static let limits = [
        Attack(
            "descriptors",
            [
                Attempt("files") { exhaust { opened("/dev/null", O_RDONLY) } },
                Attempt("sockets") { exhaust { call("socket", 1, 1, 0) } },
                Attempt("epoll") { exhaust { call("epoll_create1", 0) } },
            ]),
        Attack("inotify", [Attempt("instances") { inotify() }]),
    ]

    /// Opens until it is enough, and holds what there is for the rest of the time.
    private static func exhaust(_ open: () -> Int64) -> Said {
        let deadline = Pace.deadline
        var count = 0
        var failure: Int64 = 0
        while count < descriptorTarget {
            failure = open()
            guard failure >= 0 else { break }
            count += 1
        }
        Pace.hold(until: min(deadline, attack_now() + 5_000_000))
        return count == descriptorTarget ? .succeeded("\(count) descriptors") : Said(failure, "after \(count)")
    }

    /// Instances are counted by user. Without a user namespace that user is the node's root, who has none left then.
    private static func inotify() -> Said {
        let deadline = Pace.deadline
        var count = 0
        var failure: Int64 = 0
        while count < 8192 {
            failure = call("inotify_init1", 0)
            guard failure >= 0 else { break }
            count += 1
        }
        Pace.hold(until: min(deadline, attack_now() + 5_000_000))
        let map = (contents("/proc/self/uid_map") ?? "").split(whereSeparator: \.isWhitespace)
        guard map.count == 3, map[1] != "0" else {
            return .succeeded("\(count) instances of the node's root, and no more for it")
        }
        return failure < 0 ? Said(failure, "after \(count)") : .succeeded("\(count) instances")
    }
}
