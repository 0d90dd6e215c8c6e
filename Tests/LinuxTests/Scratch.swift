import Linux
import Testing

/// A folder of its own below /tmp, removed at the end.
final class Scratch {
    let path: String

    init() throws {
        path = "/tmp/apus-linux-\(try Randomness.uuid())"
        try Files.makeDirectory(path, mode: 0o700)
    }

    deinit { try? Files.removeTree(path) }

    /// Writes a file below the folder, with the folders above it.
    @discardableResult
    func file(_ name: String, _ bytes: [UInt8]) throws -> String {
        let full = path + "/" + name
        try Files.makeDirectory(Files.parent(of: full))
        try Files.writeDurably(bytes, to: full, mode: 0o644)
        return full
    }

    @discardableResult
    func file(_ name: String, _ text: String) throws -> String { try file(name, Array(text.utf8)) }

    /// A sparse file.
    func image(_ name: String, sizeBytes: UInt64) throws -> String {
        let full = path + "/" + name
        let file = try OwnedDescriptor(opening: full, [.write, .create])
        try file.truncate(to: sizeBytes)
        try file.close()
        return full
    }
}

/// Runs a program that must succeed.
@discardableResult
func run(_ program: String, _ arguments: [String]) throws -> String {
    let outcome = try Processes.run(program, arguments, timeoutSeconds: 60)
    try #require(outcome.succeeded, "\(program) \(outcome.summary)")
    return String(decoding: outcome.output, as: UTF8.self)
}
