import Foundation

/// How many files, and so connections, this process may have open (`setrlimit(2)`).
enum OpenFiles {
    /// Raises the soft limit to the hard one: the usual 1024 are too few for a server that nodes stay connected to.
    static func raiseLimit() {
        guard var limit = current(), limit.rlim_cur < limit.rlim_max else { return }
        limit.rlim_cur = limit.rlim_max
        // A smaller number of connections is no reason not to start.
        _ = setrlimit(resource, &limit)
    }

    /// How many connections each of two listeners may have, with some files left for everything else.
    static func connections() -> Int {
        guard let limit = current() else { return 256 }
        let files = Int(clamping: limit.rlim_cur)
        return min(ServerLimit.connections, max(64, (files - 128) / 2))
    }

    private static let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)

    private static func current() -> rlimit? {
        var limit = rlimit()
        return getrlimit(resource, &limit) == 0 ? limit : nil
    }
}
