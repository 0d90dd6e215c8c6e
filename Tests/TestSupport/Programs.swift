import Dispatch
import Foundation

/// How a program ended and what it printed.
public struct Outcome: Sendable {
    /// Its exit status, or the number of the signal that ended it.
    public var status: Int32
    /// What it wrote to standard output and standard error, as one text.
    public var output: String

    /// Whether it ended with status 0.
    public var succeeded: Bool { status == 0 }
}

/// A program that had to succeed did not.
public struct ProgramFailed: Error, CustomStringConvertible {
    /// The program, how it ended and what it printed.
    public var description: String
}

/// Where a program of this machine is; nil where it is not installed.
public func location(of program: String) -> String? {
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"].map { "\($0)/\(program)" }
        .first { FileManager.default.isExecutableFile(atPath: $0) }
}

/// Runs a command, whose first word is a program's name or path, to its end; it is killed after five minutes.
///
/// Its environment is a plain one and what is given, its standard input empty unless some is given. Where it cannot be
/// started the status is -1.
public func outcome(
    of command: [String], input: String = "", directory: String? = nil, environment: [String: String] = [:]
) -> Outcome {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = command
    process.environment = [
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8",
        // mtools refuses volumes whose size is no whole number of the tracks that disks once had.
        "MTOOLS_SKIP_CHECK": "1",
    ].merging(environment) { $1 }
    if let directory { process.currentDirectoryURL = URL(fileURLWithPath: directory) }
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardError = pipe
    do {
        // A file, not a pipe: nobody has to write while the program runs.
        let scratch = input.isEmpty ? nil : try Scratch()
        process.standardInput =
            try scratch.map { try FileHandle(forReadingFrom: URL(fileURLWithPath: $0.file("input", input))) }
            ?? FileHandle.nullDevice
        try process.run()
    } catch {
        return Outcome(status: -1, output: "\(error)")
    }
    let child = process.processIdentifier
    let guardian = DispatchWorkItem { kill(child, SIGKILL) }
    DispatchQueue.global().asyncAfter(deadline: .now() + 300, execute: guardian)
    let output = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    guardian.cancel()
    return Outcome(status: process.terminationStatus, output: String(decoding: output, as: UTF8.self))
}

/// Runs a program that must succeed, and returns what it printed.
@discardableResult
public func run(
    _ program: String, _ arguments: [String], input: String = "", directory: String? = nil,
    environment: [String: String] = [:]
) throws -> String {
    let done = outcome(of: [program] + arguments, input: input, directory: directory, environment: environment)
    guard done.succeeded else {
        throw ProgramFailed(description: "\(program) ended with status \(done.status): \(done.output)")
    }
    return done.output
}

/// A program that serves on the loopback interface until nothing holds it any more.
public final class ServingProgram {
    private let process = Process()
    /// The first line that it printed, in which it says where it listens.
    public let greeting: String

    /// Starts it and waits for its first line.
    public init(_ program: String, _ arguments: [String]) throws {
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        process.standardInput = FileHandle.nullDevice
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        var bytes = Data()
        while !bytes.contains(0x0A) {
            let piece = output.fileHandleForReading.availableData
            guard !piece.isEmpty else { throw ProgramFailed(description: "\(program) ended before it served") }
            bytes += piece
        }
        greeting = String(decoding: bytes.prefix { $0 != 0x0A }, as: UTF8.self)
    }

    /// The numbers in the greeting: its ports.
    public var ports: [Int] { greeting.split(separator: " ").compactMap { Int($0) } }

    deinit {
        // Not SIGTERM: a child of a test's thread inherits that signal blocked.
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }
}
