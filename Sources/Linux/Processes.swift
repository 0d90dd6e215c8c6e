internal import CLinux
internal import Glibc

/// Running other programs, and this program's own life.
public enum Processes {
    /// How a program ended.
    public enum Ending: Sendable, Equatable {
        /// By itself, with this status.
        case exited(Int32)
        /// By this signal.
        case signalled(Int32)
        /// It was killed because its time was up.
        case timedOut
    }

    /// What a program did.
    public struct Outcome: Sendable, Equatable {
        /// How it ended.
        public var ending: Ending
        /// The first bytes that it wrote to standard output.
        public var output: [UInt8]
        /// The first bytes that it wrote to standard error.
        public var errorOutput: [UInt8]

        /// Whether it exited with status 0.
        public var succeeded: Bool { ending == .exited(0) }

        /// How it ended and the last line that it wrote to standard error, as a sentence part.
        public var summary: String {
            let how =
                switch ending {
                case .exited(let status): "ended with status \(status)"
                case .signalled(let signal): "was ended by signal \(signal)"
                case .timedOut: "did not end in time"
                }
            let text = String(decoding: errorOutput.isEmpty ? output : errorOutput, as: UTF8.self)
            guard let line = text.split(whereSeparator: \.isNewline).last else { return how }
            return "\(how): \(line.prefix(300))"
        }
    }

    /// Runs a program to its end, with its output captured up to a limit and its time bounded.
    ///
    /// The program gets a process group of its own, which is killed as a whole when the time is up. Output beyond the
    /// limit is read and dropped, so that the program does not block on it.
    ///
    /// - Parameters:
    ///   - path: the program's full path.
    ///   - arguments: the arguments after the program's name.
    ///   - environment: its whole environment, as `NAME=value`.
    ///   - input: the bytes of its standard input, at most 64 KiB; none is `/dev/null`.
    ///   - directory: where it runs.
    ///   - outputLimitBytes: how much of each output is kept.
    ///   - timeoutSeconds: when it is killed.
    public static func run(
        _ path: String, _ arguments: [String], environment: [String] = defaultEnvironment, input: [UInt8] = [],
        directory: String? = nil, outputLimitBytes: Int = 64 << 10, timeoutSeconds: Int
    ) throws(SystemError) -> Outcome {
        let output = try Pipe()
        let error = try Pipe()
        let standardInput = try inputDescriptor(input)
        let child = try spawn(
            path, arguments, environment: environment, directory: directory, input: standardInput.rawValue,
            output: output.writeEnd.rawValue, error: error.writeEnd.rawValue)
        let outputEnd = output.closeWriteEnd()
        let errorEnd = error.closeWriteEnd()
        return try collect(child, outputEnd, errorEnd, path, outputLimitBytes, timeoutSeconds)
    }

    /// A modest environment for the tools of an initramfs.
    public static let defaultEnvironment = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"]

    /// Starts a program and returns its process id; -1 for a descriptor is `/dev/null`.
    public static func spawn(
        _ path: String, _ arguments: [String], environment: [String] = defaultEnvironment, directory: String? = nil,
        input: Int32 = -1, output: Int32 = -1, error: Int32 = -1
    ) throws(SystemError) -> Int32 {
        var child: pid_t = 0
        let result = withCStrings([path] + arguments) { argv in
            withCStrings(environment) { envp in
                apus_spawn(path, argv, envp, input, output, error, directory, &child)
            }
        }
        try check(result, "run", path)
        return child
    }

    /// Starts a program that goes on beside this one, and returns once it has written to its standard output, by which
    /// it says that it is in its place.
    ///
    /// Without this a program that is started last may find that what it needs has moved away meanwhile. One that ends
    /// or stays silent for `timeoutSeconds` is ended and is an error.
    @discardableResult
    public static func spawnReady(
        _ path: String, _ arguments: [String], environment: [String] = defaultEnvironment, timeoutSeconds: Int
    ) throws(SystemError) -> Int32 {
        let pipe = try Pipe()
        let child = try spawn(path, arguments, environment: environment, output: pipe.writeEnd.rawValue)
        let readEnd = pipe.closeWriteEnd()
        let deadline = Clock.monotonicMilliseconds() + Int64(timeoutSeconds) * 1000
        var failure = SystemError("start", path, code: ETIMEDOUT, detail: "it did not say that it is ready")
        while true {
            let left = deadline - Clock.monotonicMilliseconds()
            guard left > 0 else { break }
            // A signal may end the wait early; the deadline bounds the loop.
            guard apus_poll_read([readEnd.rawValue], 1, Int32(clamping: left)) & 1 != 0 else { continue }
            var word: UInt8 = 0
            if apus_read(readEnd.rawValue, &word, 1) == 1 { return child }
            failure = SystemError("start", path, code: EPIPE, detail: "it ended before it was ready")
            break
        }
        _ = apus_kill_group(child, SIGKILL)
        _ = try wait(for: child)
        throw failure
    }

    /// Replaces this program by another; returns only by throwing. `arguments` starts with the program's own name.
    public static func replace(
        with path: String, arguments: [String], environment: [String] = defaultEnvironment
    ) throws(SystemError) {
        let result = withCStrings(arguments) { argv in
            withCStrings(environment) { envp in apus_exec(path, argv, envp) }
        }
        try check(result, "run", path)
    }

    /// Waits for a process that this one started. With `block` false, nil means that it still runs.
    public static func wait(for process: Int32, block: Bool = true) throws(SystemError) -> Ending? {
        var code: Int32 = 0
        var signalled: Int32 = 0
        let found = try check(apus_wait(process, block ? 1 : 0, &code, &signalled), "wait for process", "\(process)")
        if found == 0 { return nil }
        return signalled != 0 ? .signalled(code) : .exited(code)
    }

    /// Takes in every child that has ended, as PID 1 must; `except` is left for its own waiter.
    public static func reapChildren() -> [Int32] {
        var ended: [Int32] = []
        var code: Int32 = 0
        var signalled: Int32 = 0
        while ended.count < 1024 {
            let found = apus_wait(-1, 0, &code, &signalled)
            guard found > 0 else { break }
            ended.append(found)
        }
        return ended
    }

    /// Sends a signal to a process; one that has ended is fine.
    public static func signal(_ process: Int32, _ signal: Int32) throws(SystemError) {
        let result = apus_kill(process, signal)
        if result != -ESRCH { try check(result, "send signal \(signal) to process", "\(process)") }
    }

    /// Splits this process in two: the child gets true. Only for programs with one thread, as `apus-init` is.
    public static func fork() throws(SystemError) -> (isChild: Bool, process: Int32) {
        let process = try check(apus_fork(), "start a second process")
        return (process == 0, process)
    }

    /// Ends this process at once, without running anything else.
    public static func exitNow(_ status: Int32) -> Never {
        apus_exit_now(status)
        // The kernel does not return from it.
        while true { pause() }
    }

    /// Leads a session of its own, without a terminal.
    public static func leadSession() throws(SystemError) { try check(apus_setsid(), "start a session") }

    /// Changes the name that ps shows. systemd spares processes whose name starts with `@` when it stops all others
    /// (systemd, "Using /tmp and daemons in the initrd", ROOT_STORAGE_DAEMONS). Read the arguments before.
    public static func setName(_ name: String) { _ = apus_set_process_name(name) }

    /// This process is killed when its parent ends.
    public static func dieWithParent() { _ = apus_die_with_parent(SIGKILL) }

    /// The process id of this program.
    public static var ownID: Int32 { getpid() }

    /// The user that this process acts as.
    public static var ownUser: UInt32 { geteuid() }

    private static func inputDescriptor(_ input: [UInt8]) throws(SystemError) -> OwnedDescriptor {
        guard !input.isEmpty else { return OwnedDescriptor(adopting: -1, path: "") }
        // A file in memory instead of a pipe: nobody has to feed it while the program runs.
        let file = try OwnedDescriptor.inMemory(name: "input")
        try file.write(input)
        try check(apus_seek_start(file.rawValue), "rewind", "the input")
        return file
    }

    private static func collect(
        _ child: Int32, _ output: consuming OwnedDescriptor, _ error: consuming OwnedDescriptor, _ path: String,
        _ limit: Int, _ timeoutSeconds: Int
    ) throws(SystemError) -> Outcome {
        let handle = apus_pidfd_open(child)
        guard handle >= 0 else {
            _ = apus_kill_group(child, SIGKILL)
            _ = try wait(for: child)
            throw SystemError("watch", path, code: handle)
        }
        let process = OwnedDescriptor(adopting: handle, path: path)
        _ = apus_set_nonblocking(output.rawValue, 1)
        _ = apus_set_nonblocking(error.rawValue, 1)
        let deadline = Clock.monotonicMilliseconds() + Int64(timeoutSeconds) * 1000
        var kept: [[UInt8]] = [[], []]
        var open: [Int32] = [output.rawValue, error.rawValue, process.rawValue]
        var timedOut = false
        while true {
            let left = deadline - Clock.monotonicMilliseconds()
            if left <= 0, !timedOut {
                timedOut = true
                _ = apus_kill_group(child, SIGKILL)
            }
            let ready = apus_poll_read(open, Int32(open.count), timedOut ? 1000 : Int32(clamping: left))
            if ready & 1 != 0, !drain(output, into: &kept[0], limit) { open[0] = -1 }
            if ready & 2 != 0, !drain(error, into: &kept[1], limit) { open[1] = -1 }
            // What the program itself wrote is in the pipes by now; a descendant that keeps them open is not awaited.
            if ready & 4 != 0 { break }
        }
        _ = drain(output, into: &kept[0], limit)
        _ = drain(error, into: &kept[1], limit)
        let ending = try wait(for: child) ?? .timedOut
        return Outcome(ending: timedOut ? .timedOut : ending, output: kept[0], errorOutput: kept[1])
    }

    /// Reads what is there; false at the end.
    private static func drain(_ pipe: borrowing OwnedDescriptor, into kept: inout [UInt8], _ limit: Int) -> Bool {
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        // Bounded, so that a program that writes without end cannot keep its own deadline from being looked at.
        for _ in 0..<64 {
            let got = apus_read(pipe.rawValue, &buffer, buffer.count)
            if got == -EAGAIN { return true }
            if got <= 0 { return false }
            kept += buffer.prefix(min(Int(got), max(0, limit - kept.count)))
        }
        return true
    }
}

/// A pipe's two ends.
struct Pipe: ~Copyable {
    let readEnd: OwnedDescriptor
    let writeEnd: OwnedDescriptor

    init() throws(SystemError) {
        var ends: [Int32] = [-1, -1]
        try check(apus_pipe(&ends), "make a pipe")
        readEnd = OwnedDescriptor(adopting: ends[0], path: "pipe")
        writeEnd = OwnedDescriptor(adopting: ends[1], path: "pipe")
    }

    /// Keeps only the end to write to.
    consuming func closeReadEnd() -> OwnedDescriptor { writeEnd }

    /// Keeps only the end to read from.
    consuming func closeWriteEnd() -> OwnedDescriptor { readEnd }
}

/// Lends a null-terminated array of C strings.
func withCStrings<Result>(
    _ strings: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result
) -> Result {
    var pointers = strings.map { strdup($0) }
    pointers.append(nil)
    defer { for pointer in pointers { free(pointer) } }
    return pointers.withUnsafeBufferPointer { buffer in
        // The array always holds at least its end, so it has an address.
        guard let base = buffer.baseAddress else { preconditionFailure("an array with an element has an address") }
        return body(base)
    }
}
