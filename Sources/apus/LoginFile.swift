import Contract
import Foundation

/// What 'apus login' keeps: a server, how to believe it, and a token for it.
struct Login: Codable {
    var server: String
    var caCertificate: String
    var user: String
    var token: String
    var expiresSeconds: Int64
}

/// A file that its owner alone can read, with what 'apus login' keeps.
struct LoginFile {
    let path: String

    /// Where it lies unless told otherwise.
    static func usual(_ environment: [String: String] = ProcessInfo.processInfo.environment) -> LoginFile {
        LoginFile(path: configurationFolder(environment) + "/login.json")
    }

    /// What is kept; nil where nobody signed in.
    func read() throws -> Login? {
        guard FileManager.default.fileExists(atPath: path) else { return nil }
        var facts = stat()
        guard stat(path, &facts) == 0, facts.st_mode & 0o077 == 0, facts.st_uid == geteuid() else {
            throw Failure(
                "'\(path)' holds a token and can be read by others, or belongs to somebody else: remove it, and sign in again"
            )
        }
        guard let login = try? JSONDecoder().decode(Login.self, from: Data(try apus.read(path, limit: 64 << 10))) else {
            throw Failure("'\(path)' is damaged: remove it, and sign in again with 'apus login'")
        }
        return login
    }

    func write(_ login: Login) throws { try OwnerFile.write(try JSONEncoder().encode(login), to: path) }

    func remove() { unlink(path) }
}

/// Where this program keeps what it remembers between calls.
func configurationFolder(_ environment: [String: String]) -> String {
    let base = environment["XDG_CONFIG_HOME"].flatMap { $0.isEmpty ? nil : $0 }
    return (base ?? NSHomeDirectory() + "/.config") + "/apus"
}

/// Files for their owner alone, replaced as a whole.
enum OwnerFile {
    static func write(_ bytes: Data, to path: String) throws {
        let folder = (path as NSString).deletingLastPathComponent
        let partial = path + ".partial"
        do {
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw Failure("cannot make the folder '\(folder)': may you write there?")
        }
        unlink(partial)
        let descriptor = open(partial, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Failure("cannot write '\(path)': \(String(cString: strerror(errno)))") }
        let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        do {
            try handle.write(contentsOf: bytes)
            try handle.synchronize()
        } catch {
            unlink(partial)
            throw Failure("cannot write '\(path)': is there room left?")
        }
        guard rename(partial, path) == 0 else {
            throw Failure("cannot write '\(path)': \(String(cString: strerror(errno)))")
        }
    }
}
