import TestSupport

/// The `openssl` program as a second opinion, in a folder of its own.
struct OpenSSLTool {
    private let scratch: Scratch

    init() throws { scratch = try Scratch() }

    func write(_ name: String, _ text: String) throws { try scratch.file(name, text) }
    func write(_ name: String, _ bytes: [UInt8]) throws { try scratch.file(name, bytes) }
    func read(_ name: String) throws -> [UInt8] { try scratch.read(name) }
    func text(_ name: String) throws -> String { try scratch.text(name) }

    /// Runs `openssl` in the folder.
    @discardableResult
    func run(_ arguments: String...) -> Outcome { run(arguments) }

    func run(_ arguments: [String]) -> Outcome {
        outcome(of: ["/usr/bin/openssl"] + arguments, directory: scratch.path)
    }
}
