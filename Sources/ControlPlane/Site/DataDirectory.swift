import Foundation

/// The directory with everything that the server remembers; for its owner only.
struct DataDirectory: Sendable {
    /// Where it lies, absolute.
    let path: String

    var database: String { path + "/apusd.sqlite" }
    var authority: String { path + "/ca.pem" }
    var authorityCertificate: String { path + "/ca.crt" }
    var adminToken: String { path + "/admin.token" }
    /// Where the running server listens, for `apus` on the same machine.
    var address: String { path + "/address" }
    var releases: String { path + "/releases" }
    var staging: String { path + "/staging" }
    var boot: String { path + "/boot" }

    /// Makes the directory and those in it where they are not there, and closes them to others.
    init(creating path: String) throws {
        self.init(at: path)
        for directory in [self.path, releases, staging, boot] {
            do {
                try FileManager.default.createDirectory(
                    atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
            } catch {
                throw ServerProblem(
                    "cannot create the directory '\(directory)'; choose another place with --data, or run as a user "
                        + "that may write there")
            }
            guard chmod(directory, 0o700) == 0 else { throw DurableFile.failure("protect", directory) }
        }
    }

    /// Names a directory without touching it.
    init(at path: String) {
        let absolute = path.hasPrefix("/") ? path : FileManager.default.currentDirectoryPath + "/" + path
        var trimmed = absolute[...]
        while trimmed.count > 1, trimmed.hasSuffix("/") { trimmed.removeLast() }
        self.path = String(trimmed)
    }

    /// Holds the directory for one server; the lock goes with the process.
    func lock() throws -> DirectoryLock { try DirectoryLock(path: path + "/lock") }
}

/// A lock on a data directory, so that two servers never share one (`flock(2)`).
final class DirectoryLock: Sendable {
    private let descriptor: Int32

    init(path: String) throws {
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw DurableFile.failure("open", path) }
        // Whatever this program starts holds the lock, too, until it runs a program of its own: a server that follows at
        // once waits that long.
        var tries = 0
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            tries += 1
            guard tries > 20 else {
                usleep(50_000)
                continue
            }
            close(descriptor)
            throw ServerProblem(
                "another apusd uses '\(DurableFile.parent(of: path))'; stop it, or choose another place with --data")
        }
    }

    deinit { close(descriptor) }
}
