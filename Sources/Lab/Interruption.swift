import Glibc
import Synchronization

/// Ctrl-C and its like: noticed by whatever waits, so that everything is put away in order.
enum Interruption {
    private static let flag = Atomic<Bool>(false)

    /// Whether the lab was asked to end.
    static var isRequested: Bool { flag.load(ordering: .relaxed) }

    /// Takes SIGINT, SIGTERM and SIGHUP as the request to end, and ignores SIGPIPE.
    static func install() {
        for number in [SIGINT, SIGTERM, SIGHUP] {
            var action = sigaction()
            action.__sigaction_handler.sa_handler = { _ in Interruption.flag.store(true, ordering: .relaxed) }
            sigaction(number, &action, nil)
        }
        signal(SIGPIPE, SIG_IGN)
    }
}
