import Foundation

/// Reads standard input to its end, of at most `limit` bytes.
func readStandardInput(limit: Int) throws -> [UInt8] {
    let data = try FileHandle.standardInput.read(upToCount: limit + 1) ?? Data()
    guard data.count <= limit else {
        throw Failure("standard input has more than the \(limit) bytes that are accepted")
    }
    return Array(data)
}

/// Asks a person for something secret: nothing of it is shown, and the line's end does not belong to it.
///
/// Nil where nobody is there to be asked, because standard input is no terminal.
func askSecretly(_ question: String) throws -> [UInt8]? {
    guard isatty(0) == 1 else { return nil }
    var before = termios()
    guard tcgetattr(0, &before) == 0 else { throw Failure("the terminal cannot be asked without showing the answer") }
    var silent = before
    silent.c_lflag &= ~tcflag_t(ECHO)
    guard tcsetattr(0, TCSAFLUSH, &silent) == 0 else {
        throw Failure("the terminal cannot be asked without showing the answer")
    }
    defer {
        tcsetattr(0, TCSAFLUSH, &before)
        FileHandle.standardError.write(Data("\n".utf8))
    }
    FileHandle.standardError.write(Data("\(question): ".utf8))
    guard let line = readLine(strippingNewline: true) else { throw Failure("no answer was given") }
    return Array(line.utf8)
}
