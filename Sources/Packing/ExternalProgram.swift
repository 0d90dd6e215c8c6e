internal import Foundation

/// Runs programs of the build: none reads this program's input, and their output is shown only where they fail.
enum ExternalProgram {
    /// Runs a program to its end.
    ///
    /// The environment is fixed but for `PATH`, `HOME` and `TMPDIR`, so that a build does not depend on the builder's.
    ///
    /// - Throws: with the last lines of what it printed, where it cannot be started or fails.
    static func run(
        _ program: String, _ arguments: [String], environment extra: [String: String] = [:], scratch: String
    ) throws(PackingError) {
        let log = scratch + "/" + (program.split(separator: "/").last.map(String.init) ?? "program") + ".log"
        do {
            try Files.write([], to: log)
            let process = Process()
            process.executableURL = URL(fileURLWithPath: program)
            process.arguments = arguments
            process.environment = environment(adding: extra)
            let output = try FileHandle(forWritingTo: URL(fileURLWithPath: log))
            process.standardInput = FileHandle.nullDevice
            process.standardOutput = output
            process.standardError = output
            try process.run()
            process.waitUntilExit()
            try output.close()
            guard process.terminationReason == .exit, process.terminationStatus == 0 else {
                throw PackingError("'\(program)' failed with \(process.terminationStatus): \(lastLines(log))")
            }
        } catch let error as PackingError {
            throw error
        } catch {
            throw PackingError("cannot run '\(program)': \(error.localizedDescription)")
        }
    }

    private static func environment(adding extra: [String: String]) -> [String: String] {
        let own = ProcessInfo.processInfo.environment
        var environment = ["LC_ALL": "C", "TZ": "UTC", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"]
        for name in ["PATH", "HOME", "TMPDIR"] { if let value = own[name] { environment[name] = value } }
        return environment.merging(extra) { $1 }
    }

    private static func lastLines(_ log: String) -> String {
        guard let text = try? String(contentsOfFile: log, encoding: .utf8) else { return "it printed nothing" }
        let lines = text.split(separator: "\n").suffix(12).joined(separator: "\n")
        return lines.isEmpty ? "it printed nothing" : "it printed:\n" + String(lines.suffix(4096))
    }
}
