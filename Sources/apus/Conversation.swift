import Contract
import Foundation
import Operator
import Synchronization

/// The operator's side of a stream: frames that arrive, standard input that leaves.
struct Conversation {
    let stream: OperatorStream

    /// Takes output until the stream ends; returns the exit status that it ends with.
    ///
    /// - Parameter endsSilently: whether it may end without a status, as logs do.
    func listen(endsSilently: Bool = false, _ take: (StreamFrame) throws -> Void) throws -> Int32 {
        var status: Int32?
        var failure: String?
        try stream.receive { frame in
            switch frame.kind {
            case .output, .error: try take(frame)
            case .exit: status = frame.exitStatus ?? 1
            case .failure: failure = String(decoding: frame.bytes, as: UTF8.self)
            case .input, .window, .idle: break
            }
        }
        if let failure { throw Failure(printable(failure)) }
        guard let status = status ?? (endsSilently ? 0 : nil) else {
            throw Failure("the stream ended without a word: the node or its agent went away")
        }
        return status
    }

    /// Hands standard input and output through until the stream ends; returns the exit status.
    func hold(input: Bool, terminal: Bool) throws -> Int32 {
        let raw = try terminal ? RawTerminal() : nil
        defer { raw?.restore() }
        let stream = stream
        // The thread ends with the program: nobody else can end a read from a terminal.
        Thread.detachNewThread {
            let source = InputSource(isRead: input, raw: raw)
            // What goes wrong on this side is told of by the other, which ends the stream.
            try? stream.send { source.next() }
        }
        return try listen { frame in
            let target: FileHandle = frame.kind == .error ? .standardError : .standardOutput
            try target.write(contentsOf: Data(frame.bytes))
        }
    }
}

/// Frames made of what is typed, and of the terminal's size whenever it changes.
private final class InputSource {
    private let raw: RawTerminal?
    private var isOpen: Bool
    private var hasEnded = false
    private var size: TerminalSize?
    private var sent = ContinuousClock.now
    private static let detach: UInt8 = 0x1D

    init(isRead: Bool, raw: RawTerminal?) {
        isOpen = isRead
        self.raw = raw
    }

    /// The next frame, a sign of life where there is none; nil once there is nothing more to come.
    func next() -> StreamFrame? {
        defer { sent = .now }
        while true {
            if ContinuousClock.now - sent >= .seconds(StreamLimit.heartbeatSeconds) { return StreamFrame(.idle) }
            if raw != nil, let now = TerminalSize.current, now != size {
                size = now
                return .window(columns: now.columns, rows: now.rows)
            }
            guard isOpen else {
                defer { hasEnded = true }
                return hasEnded ? nil : StreamFrame(.input)
            }
            // A terminal's size is looked at again after half a second without a key.
            var waiting = pollfd(fd: 0, events: Int16(POLLIN), revents: 0)
            guard poll(&waiting, 1, raw == nil ? 5000 : 500) > 0 else { continue }
            var buffer = [UInt8](repeating: 0, count: 16 << 10)
            let count = read(0, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                isOpen = false
                continue
            }
            if let raw, buffer[..<count].contains(Self.detach) {
                raw.restore()
                exit(0)
            }
            return StreamFrame(.input, buffer[..<count])
        }
    }
}

/// How large the terminal is.
private struct TerminalSize: Equatable {
    var columns: UInt16
    var rows: UInt16

    static var current: TerminalSize? {
        var size = winsize()
        guard ioctl(0, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return nil }
        return TerminalSize(columns: size.ws_col, rows: size.ws_row)
    }
}

/// A terminal that hands every key on, until it is restored.
final class RawTerminal: Sendable {
    private let before: Mutex<termios?>

    init() throws {
        var settings = termios()
        guard tcgetattr(0, &settings) == 0 else { throw Failure("standard input is no terminal") }
        before = Mutex(settings)
        cfmakeraw(&settings)
        guard tcsetattr(0, TCSAFLUSH, &settings) == 0 else { throw Failure("the terminal cannot be set up") }
    }

    /// Makes the terminal what it was; again does nothing.
    func restore() {
        before.withLock { settings in
            if var old = settings { tcsetattr(0, TCSADRAIN, &old) }
            settings = nil
        }
    }
}
