import Contract
import Foundation
import Testing

@testable import Workloads

/// Values that several suites start from.
enum Fixture {
    static let image = "registry.example/app@sha256:\(String(repeating: "ab", count: 32))"

    static func workload(_ name: String = "web", _ more: String = "") throws -> Workload {
        try Workload(parsing: Array(#"{"name": "\#(name)", "image": "\#(image)"\#(more)}"#.utf8))
    }

    static func digest(_ byte: UInt8) throws -> Digest256 {
        try #require(Digest256(bytes: [UInt8](repeating: byte, count: 32)))
    }

    static func input(
        _ more: String = "", policy: NodePolicy = NodePolicy(), wire: NetworkPlan? = nil, paths: SandboxPaths? = nil,
        command: [String] = ["/bin/app"], devices: [GrantedDevice] = []
    ) throws -> SandboxInput {
        SandboxInput(
            workload: try workload("web", more), revision: try digest(7), policy: policy,
            ids: try #require(IDRange(first: IDRangePlanner.firstRange)), wire: wire,
            image: ImageDefaults(command: command, environment: ["PATH=/bin", "A=image"]), paths: paths,
            devices: devices)
    }
}

/// Programs of this machine that tests drive.
enum Tool {
    static func path(_ name: String) -> String? {
        ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"].map { "\($0)/\(name)" }
            .first { FileManager.default.isExecutableFile(atPath: $0) }
    }

    /// Runs a program to its end; standard output and error come back as one text.
    static func run(_ words: [String], input: String = "") -> (status: Int32, output: String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = words
        let output = Pipe()
        let given = Pipe()
        process.standardOutput = output
        process.standardError = output
        process.standardInput = given
        do { try process.run() } catch { return (-1, "\(error)") }
        given.fileHandleForWriting.write(Data(input.utf8))
        try? given.fileHandleForWriting.close()
        let bytes = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: bytes, as: UTF8.self))
    }
}

/// A directory that is gone at the end.
final class Scratch {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.path + "/apus-workloads-\(UUID().uuidString)"
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
    }

    func write(_ name: String, _ text: String) throws {
        try text.write(toFile: "\(path)/\(name)", atomically: false, encoding: .utf8)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}
