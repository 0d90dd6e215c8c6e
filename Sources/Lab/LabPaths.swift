import FoundationEssentials
import Glibc

/// Where the lab finds what it rehearses with, and where it leaves what it made.
public struct LabPaths: Sendable, Equatable {
    /// The project's folder, which has `.out` and `.lab`.
    public var project: String
    /// The `apus` program, which builds the releases that scenarios need.
    public var apus: String
    /// The server's program.
    public var apusd: String

    /// Takes the project's folder (absolute) and the path of `apus`; `apusd` is taken from beside it.
    public init(project: String, apus: String) {
        self.project = project
        self.apus = apus
        let folder = apus.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
        apusd = folder + "/apusd"
    }

    /// What the base build made.
    var out: String { project + "/.out" }
    /// Everything that the lab makes.
    var lab: String { project + "/.lab" }
    /// What scenarios share: the site and the installed node.
    var base: String { lab + "/base" }
    /// The reference OS as a tar archive.
    var rootArchive: String { out + "/os/root.tar" }
    /// What one scenario leaves.
    func scenario(_ name: String) -> String { lab + "/" + name }

    /// Throws where something that every scenario needs is missing, with the command that makes it.
    func check() throws(LabError) {
        let needed = [
            (apusd, "make tools"), (rootArchive, "make os"), (out + "/base/vmlinuz", "make base"),
            (out + "/base/initrd.zst", "make base"),
        ]
        for (path, command) in needed where access(path, R_OK) != 0 {
            throw LabError("'\(path)' is missing; run '\(command)' first")
        }
        for program in ["qemu-system-x86_64", "qemu-img", "dnsmasq", "ip", "setpriv", "unshare", "sfdisk", "tar"] {
            guard isInPath(program) else {
                throw LabError("the program '\(program)' is missing; run 'make packages-lab' first")
            }
        }
        _ = try firmware()
    }

    /// The firmware's code and the template of its variables (Debian's package `ovmf`).
    func firmware() throws(LabError) -> (code: String, variables: String) {
        let folder = "/usr/share/OVMF"
        let code = folder + "/OVMF_CODE_4M.fd"
        let variables = folder + "/OVMF_VARS_4M.fd"
        guard access(code, R_OK) == 0, access(variables, R_OK) == 0 else {
            throw LabError("UEFI firmware for virtual machines is missing; install the package 'ovmf'")
        }
        return (code, variables)
    }

    private func isInPath(_ program: String) -> Bool {
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map(String.init)
        return (folders + ["/usr/sbin", "/sbin"]).contains { access($0 + "/" + program, X_OK) == 0 }
    }
}

/// What the lab does with files.
enum Files {
    /// Makes a folder and those above it.
    static func makeFolder(_ path: String) throws {
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    /// Removes a file or a folder with all that is in it, if it exists.
    static func remove(_ path: String) throws {
        guard exists(path) else { return }
        try FileManager.default.removeItem(atPath: path)
    }

    /// Whether something has that name; a symbolic link is followed.
    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    /// Copies a file or a folder; holes stay holes, and where the file system can, blocks are shared.
    static func copy(_ source: String, to target: String) throws {
        try ChildProcess.check(["cp", "--archive", "--reflink=auto", "--sparse=always", "-T", source, target])
    }

    /// Writes a text file.
    static func write(_ text: String, to path: String, mode: mode_t = 0o644) throws {
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        chmod(path, mode)
    }

    /// Reads a text file.
    static func read(_ path: String) throws(LabError) -> String {
        guard let data = FileManager.default.contents(atPath: path) else { throw LabError("cannot read '\(path)'") }
        return String(decoding: data, as: UTF8.self)
    }

    /// The last lines of a text file, or none where it does not exist.
    static func tail(_ path: String, lines: Int) -> [String] {
        guard let data = FileManager.default.contents(atPath: path) else { return [] }
        return String(decoding: data.suffix(65536), as: UTF8.self).split(separator: "\n").suffix(lines).map(String.init)
    }

    /// Runs `body` while no other process of the lab holds the same lock.
    static func withLock<Value>(_ path: String, _ body: () throws -> Value) throws -> Value {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw LabError("cannot open the lock '\(path)': \(lastError())") }
        defer { close(descriptor) }
        while flock(descriptor, LOCK_EX) != 0 {
            guard errno == EINTR, !Interruption.isRequested else { throw LabError("interrupted") }
        }
        return try body()
    }
}
