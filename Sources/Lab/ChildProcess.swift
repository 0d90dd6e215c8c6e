import FoundationEssentials
import Glibc

/// A program that the lab started: in a process group of its own, killed by the kernel if the lab dies, and ended by
/// the process id that it was started with, never by name.
final class ChildProcess {
    /// What the program is called in messages.
    let name: String
    /// Its process id, which is its process group's too.
    let processID: pid_t
    private var status: Int32?

    /// How to start a program.
    struct Setup {
        /// The program and its arguments; the program is looked up in `PATH`.
        var command: [String]
        /// Variables set beside the lab's own.
        var environment: [String: String] = [:]
        /// The file that takes its output and its errors, appended to; nil discards both.
        var logPath: String?
        /// Whether output and errors go where the lab's own go; then there is no log.
        var inheritsOutput = false
        /// A descriptor that the program finds as number 3.
        var descriptor: Int32?
    }

    /// Starts a program.
    ///
    /// `setpriv` (util-linux) asks the kernel to kill the program when the lab's main thread ends
    /// (`PR_SET_PDEATHSIG`, prctl(2)), which `posix_spawn` cannot ask for.
    init(_ setup: Setup) throws(LabError) {
        name = setup.command.first.map { String($0.split(separator: "/").last ?? "") } ?? "?"
        let command = ["setpriv", "--pdeathsig", "KILL", "--"] + setup.command
        if setup.inheritsOutput {
            processID = try ChildProcess.spawn(command, setup: setup, output: 1, errors: 2)
            return
        }
        let log = open(setup.logPath ?? "/dev/null", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard log >= 0 else { throw LabError("cannot open the log '\(setup.logPath ?? "")': \(lastError())") }
        defer { close(log) }
        processID = try ChildProcess.spawn(command, setup: setup, output: log, errors: log)
    }

    private init(name: String, processID: pid_t) {
        self.name = name
        self.processID = processID
    }

    /// Whether it still runs.
    var isRunning: Bool {
        guard status == nil else { return false }
        var found: Int32 = 0
        guard waitpid(processID, &found, WNOHANG) == processID else { return true }
        status = found
        return false
    }

    /// The exit code, 128 plus the signal's number where a signal ended it; nil while it runs.
    var exitCode: Int32? {
        guard !isRunning, let status else { return nil }
        return ChildProcess.exitCode(of: status)
    }

    private static func exitCode(of status: Int32) -> Int32 {
        status & 0x7f == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f)
    }

    /// Asks it to end, and kills its process group when it has not within `graceSeconds`.
    func stop(graceSeconds: Double = 10) {
        guard isRunning else { return }
        kill(processID, SIGTERM)
        let end = LabClock.seconds + graceSeconds
        while isRunning, LabClock.seconds < end { pause(milliseconds: 20) }
        killNow()
    }

    /// Sends a signal to its whole process group.
    func signal(_ number: Int32) {
        if isRunning { kill(-processID, number) }
    }

    /// Kills its process group and reaps it: for a virtual machine, this is the power cord.
    func killNow() {
        guard isRunning else { return }
        kill(-processID, SIGKILL)
        var found: Int32 = 0
        if waitpid(processID, &found, 0) == processID { status = found }
    }

    private func pause(milliseconds: Int32) { _ = poll(nil, 0, milliseconds) }
}

extension ChildProcess {
    /// What a program that ran to its end left behind.
    struct Result {
        /// Its exit code.
        var exitCode: Int32
        /// What it wrote, errors included, at most 16 MiB.
        var output: String
    }

    /// Runs a program to its end and takes its output.
    static func run(
        _ command: [String], environment: [String: String] = [:], input: String? = nil
    ) throws(LabError) -> Result {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw LabError("cannot make a pipe: \(lastError())") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        let setup = Setup(command: command, environment: environment)
        let processID: pid_t
        do {
            processID = try spawn(command, setup: setup, output: ends[1], errors: ends[1], input: input)
        } catch {
            close(ends[0])
            close(ends[1])
            throw error
        }
        close(ends[1])
        defer { close(ends[0]) }
        let output = drain(ends[0], limit: 16 << 20)
        var status: Int32 = 0
        while waitpid(processID, &status, 0) == -1, errno == EINTR {}
        return Result(exitCode: exitCode(of: status), output: String(decoding: output, as: UTF8.self))
    }

    /// Runs a program that must succeed; the error quotes the end of its output.
    @discardableResult
    static func check(
        _ command: [String], environment: [String: String] = [:], input: String? = nil
    ) throws(LabError) -> String {
        let result = try run(command, environment: environment, input: input)
        guard result.exitCode == 0 else {
            let tail = result.output.split(separator: "\n").suffix(5).joined(separator: " / ")
            throw LabError("'\(command.joined(separator: " "))' failed with code \(result.exitCode): \(tail)")
        }
        return result.output
    }

    private static func drain(_ descriptor: Int32, limit: Int) -> [UInt8] {
        var output: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = read(descriptor, &piece, piece.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return output }
            if output.count < limit { output += piece[..<count] }
        }
    }

    private static func spawn(
        _ command: [String], setup: Setup, output: Int32, errors: Int32, input: String? = nil
    ) throws(LabError) -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, input ?? "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, output, 1)
        posix_spawn_file_actions_adddup2(&actions, errors, 2)
        if let descriptor = setup.descriptor { posix_spawn_file_actions_adddup2(&actions, descriptor, 3) }

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // A group of its own keeps the terminal's Ctrl-C for the lab, which then ends its children in order.
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        var restored = sigset_t()
        sigemptyset(&restored)
        for signal in [SIGINT, SIGTERM, SIGHUP, SIGPIPE] { sigaddset(&restored, signal) }
        posix_spawnattr_setsigdefault(&attributes, &restored)

        var environment = ProcessInfo.processInfo.environment
        environment.merge(setup.environment) { _, new in new }
        var processID: pid_t = 0
        let failure = withCStrings(command) { arguments in
            withCStrings(environment.map { "\($0.key)=\($0.value)" }) { variables in
                posix_spawnp(&processID, command.first ?? "", &actions, &attributes, arguments, variables)
            }
        }
        guard failure == 0 else {
            throw LabError("cannot start '\(command.first ?? "")': \(String(cString: strerror(failure)))")
        }
        return processID
    }
}

/// The sentence for `errno`.
func lastError() -> String { String(cString: strerror(errno)) }

/// Lends a null-terminated array of C strings to a call that returns an error number.
func withCStrings(
    _ texts: [String], _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Int32
) -> Int32 {
    var pointers: [UnsafeMutablePointer<CChar>?] = texts.map { strdup($0) } + [nil]
    defer { for pointer in pointers { free(pointer) } }
    return pointers.withUnsafeMutableBufferPointer { buffer in
        guard let base = buffer.baseAddress else { return EINVAL }
        return body(base)
    }
}
