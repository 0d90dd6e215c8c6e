/// The kernel's command line, parsed as the kernel does: words parted by blanks, a value in double quotes may hold
/// blanks (Documentation/admin-guide/kernel-parameters.rst).
public struct KernelArguments: Sendable, Equatable {
    /// The words in order, as name and value; the value of a bare word is empty.
    public let words: [Word]

    /// One word.
    public struct Word: Sendable, Equatable {
        /// What stands before the first `=`.
        public var name: String
        /// What stands after it, without quotes.
        public var value: String
    }

    /// Parses a command line; at most 4096 bytes of it are looked at, which is more than any kernel here accepts.
    public init(_ line: some StringProtocol) {
        var words: [Word] = []
        var current: [UInt8] = []
        var isQuoted = false
        func finish() {
            guard !current.isEmpty else { return }
            let parts = current.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            let value = parts.count == 2 ? String(decoding: parts[1], as: UTF8.self) : ""
            words.append(Word(name: String(decoding: parts[0], as: UTF8.self), value: value))
            current = []
        }
        for byte in line.utf8.prefix(4096) {
            switch byte {
            case UInt8(ascii: "\""): isQuoted.toggle()
            case UInt8(ascii: " ") where !isQuoted, UInt8(ascii: "\t") where !isQuoted, UInt8(ascii: "\n"): finish()
            default: current.append(byte)
            }
        }
        finish()
        self.words = words
    }

    /// The last value given for a name, as the kernel takes it; nil where the name does not occur.
    public subscript(name: String) -> String? { words.last { $0.name == name }?.value }

    /// All values given for a name, in order.
    public func all(_ name: String) -> [String] { words.filter { $0.name == name }.map(\.value) }
}
