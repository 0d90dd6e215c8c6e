import Glibc

/// A text file that grows while it is read: a machine's serial console, a server's log.
final class ConsoleLog {
    /// The file's path.
    let path: String
    /// Complete lines so far, without control characters.
    private(set) var lines: [String] = []
    private var descriptor: Int32 = -1
    private var partial: [UInt8] = []
    /// Lines before this index were already looked at by `waitFor`.
    private var cursor = 0

    /// Reads the file at `path` once it exists.
    init(path: String) { self.path = path }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Takes in what was appended.
    func pump() {
        if descriptor < 0 { descriptor = open(path, O_RDONLY | O_CLOEXEC) }
        guard descriptor >= 0 else { return }
        var piece = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = read(descriptor, &piece, piece.count)
            guard count > 0 else { return }
            for byte in piece[..<count] {
                if byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\r") { endLine() } else { partial.append(byte) }
            }
        }
    }

    /// The newest lines, the unfinished one included.
    func tail(_ count: Int) -> [String] {
        pump()
        let last = ConsoleLog.plain(partial)
        return Array((lines + (last.isEmpty ? [] : [last])).suffix(count))
    }

    /// The first line past those that earlier calls returned which contains `text`; the unfinished line counts, since
    /// a prompt has no end.
    func next(containing text: String) -> String? {
        pump()
        while cursor < lines.count {
            cursor += 1
            if lines[cursor - 1].contains(text) { return lines[cursor - 1] }
        }
        let last = ConsoleLog.plain(partial)
        return last.contains(text) ? last : nil
    }

    /// Lets later calls of `next` see only what comes from now on.
    func skipToEnd() {
        pump()
        cursor = lines.count
    }

    /// How many lines contain `text`.
    func count(of text: String) -> Int {
        pump()
        return lines.count { $0.contains(text) }
    }

    private func endLine() {
        let line = ConsoleLog.plain(partial)
        partial.removeAll(keepingCapacity: true)
        if !line.isEmpty { lines.append(line) }
    }

    /// Drops terminal control sequences (ECMA-48: ESC, `[`, parameters, final byte) and other control characters.
    static func plain(_ bytes: [UInt8]) -> String {
        var kept: [UInt8] = []
        var index = 0
        while index < bytes.count {
            let byte = bytes[index]
            index += 1
            if byte == 0x1b, index < bytes.count, bytes[index] == UInt8(ascii: "[") {
                index += 1
                while index < bytes.count, !(0x40...0x7e).contains(bytes[index]) { index += 1 }
                index += 1
            } else if byte >= 0x20 || byte == 0x09 {
                kept.append(byte)
            }
        }
        return String(decoding: kept, as: UTF8.self)
    }
}
