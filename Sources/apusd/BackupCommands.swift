import ArgumentParser
import ControlPlane
import Foundation

struct Backup: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write everything, the CA included, to one archive; the server may run meanwhile.")

    @OptionGroup var data: DataOption

    @Argument(help: "The archive to write; it must not exist yet. It holds private keys: keep it as safe as them.")
    var file: String

    func run() async throws {
        umask(0o077)
        try await reportingProblems {
            let summary = try ControlPlane.Backup.write(dataDirectory: data.directory, to: file)
            print("wrote \(summary.files) files, \(summary.bytes) bytes, to '\(file)'")
        }
    }
}

struct Restore: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Unpack an archive of 'backup' into a data directory that is empty or not there.")

    @OptionGroup var data: DataOption

    @Argument(help: "The archive to read.")
    var file: String

    func run() async throws {
        umask(0o077)
        try await reportingProblems {
            try ControlPlane.Backup.restore(from: file, dataDirectory: data.directory)
            print("restored into '\(data.directory)'; start apusd to go on")
        }
    }
}
