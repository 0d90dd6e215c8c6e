internal import CLinux
internal import Glibc
internal import Synchronization

/// A program whose standard streams this one holds: fed and read piece by piece, by one thread for each direction.
public final class PipedProcess: Sendable {
    /// What was read.
    public enum Piece: Sendable, Equatable {
        /// From standard output.
        case output([UInt8])
        /// From standard error.
        case error([UInt8])
        /// Nothing came in the time that was allowed.
        case nothing
        /// It ended, and all that it wrote was read.
        case ended(Processes.Ending)
    }

    private let process: Int32
    private let handle: Int32
    private let output: Int32
    private let error: Int32
    private let input: Mutex<Int32>
    private let state = Mutex(State())

    private struct State {
        var isOpen = [true, true]
        var ending: Processes.Ending?
    }

    /// Starts a program in a process group of its own.
    public init(
        _ path: String, _ arguments: [String], environment: [String] = Processes.defaultEnvironment
    ) throws(SystemError) {
        // A program that ends while it is fed must not end this one (pipe(7)); the child gets the default back.
        signal(SIGPIPE, SIG_IGN)
        let into = try Pipe()
        let out = try Pipe()
        let err = try Pipe()
        process = try Processes.spawn(
            path, arguments, environment: environment, input: into.readEnd.rawValue, output: out.writeEnd.rawValue,
            error: err.writeEnd.rawValue)
        handle = apus_pidfd_open(process)
        guard handle >= 0 else {
            _ = apus_kill_group(process, SIGKILL)
            _ = try Processes.wait(for: process)
            throw SystemError("watch", path, code: handle)
        }
        input = Mutex(into.closeReadEnd().release())
        output = out.closeWriteEnd().release()
        error = err.closeWriteEnd().release()
        _ = apus_set_nonblocking(output, 1)
        _ = apus_set_nonblocking(error, 1)
    }

    deinit {
        kill()
        // Its ending is nobody's any more: ignoring.
        if state.withLock({ $0.ending }) == nil { _ = try? Processes.wait(for: process) }
        closeInput()
        for end in [output, error, handle] where end >= 0 { _ = apus_close(end) }
    }

    /// Feeds it; false once it takes nothing more.
    public func write(_ bytes: [UInt8]) -> Bool {
        input.withLock { end in
            var done = 0
            while end >= 0, done < bytes.count {
                let from = done
                let put = bytes.withUnsafeBytes { buffer in
                    apus_write(end, buffer.baseAddress.map { $0 + from }, bytes.count - from)
                }
                guard put > 0 else { return false }
                done += Int(put)
            }
            return end >= 0
        }
    }

    /// Ends what it is fed.
    public func closeInput() {
        input.withLock { end in
            if end >= 0 { _ = apus_close(end) }
            end = -1
        }
    }

    /// Kills it and what it started in its group.
    public func kill() {
        if state.withLock({ $0.ending }) == nil { _ = apus_kill_group(process, SIGKILL) }
    }

    /// Waits for the next piece, of at most 32 KiB.
    public func read(waitingMilliseconds: Int) throws(SystemError) -> Piece {
        let deadline = Clock.monotonicMilliseconds() + Int64(waitingMilliseconds)
        while true {
            let (open, ending) = state.withLock { ($0.isOpen, $0.ending) }
            if let ending { return .ended(ending) }
            let ends = [open[0] ? output : -1, open[1] ? error : -1, handle]
            let left = max(0, deadline - Clock.monotonicMilliseconds())
            let ready = apus_poll_read(ends, 3, Int32(clamping: left))
            let hasEnded = ready & 4 != 0
            if open[0], hasEnded || ready & 1 != 0, let bytes = take(0, output, hasEnded) { return .output(bytes) }
            if open[1], hasEnded || ready & 2 != 0, let bytes = take(1, error, hasEnded) { return .error(bytes) }
            if hasEnded {
                let ending = try Processes.wait(for: process) ?? .timedOut
                state.withLock { $0.ending = ending }
                return .ended(ending)
            }
            if Clock.monotonicMilliseconds() >= deadline { return .nothing }
        }
    }

    /// What is there; nil for nothing. A descendant that keeps a pipe open is not awaited once the program has ended.
    private func take(_ index: Int, _ end: Int32, _ hasEnded: Bool) -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: 32 << 10)
        let got = apus_read(end, &buffer, buffer.count)
        if got > 0 { return Array(buffer.prefix(Int(got))) }
        if got != -Int64(EAGAIN) || hasEnded { state.withLock { $0.isOpen[index] = false } }
        return nil
    }
}
