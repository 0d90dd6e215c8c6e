import Foundation
import Testing

/// The `openssl` program as a second opinion.
struct OpenSSLTool {
    let directory: URL

    init() throws {
        directory = FileManager.default.temporaryDirectory.appendingPathComponent("apus-crypto-\(UUID())")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    }

    func write(_ name: String, _ text: String) throws { try Data(text.utf8).write(to: file(name)) }
    func write(_ name: String, _ bytes: [UInt8]) throws { try Data(bytes).write(to: file(name)) }
    func read(_ name: String) throws -> [UInt8] { Array(try Data(contentsOf: file(name))) }
    func text(_ name: String) throws -> String { String(decoding: try read(name), as: UTF8.self) }
    func file(_ name: String) -> URL { directory.appendingPathComponent(name) }
    func remove() { try? FileManager.default.removeItem(at: directory) }

    /// Runs `openssl` in the directory; returns whether it succeeded, and what it printed.
    @discardableResult
    func run(_ arguments: String...) throws -> (ok: Bool, output: String) {
        let process = Process()
        let pipe = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
        process.arguments = arguments
        process.currentDirectoryURL = directory
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (process.terminationStatus == 0, String(decoding: output, as: UTF8.self))
    }
}
