import Contract
import Decisions
import Glibc
import Linux
import Testing

@testable import Partitions

/// A sparse file that stands for a disk, removed at the end.
final class ImageFile {
    let path: String

    init(sizeBytes: UInt64) throws {
        path = "/tmp/apus-disk-\(try Randomness.uuid()).img"
        let file = try OwnedDescriptor(opening: path, [.write, .create, .exclusive])
        try file.truncate(to: sizeBytes)
        try file.close()
    }

    deinit { try? Files.remove(path) }

    func device(sector: Int = 512) throws -> FileBlockDevice {
        try FileBlockDevice(path: path, sectorSizeBytes: sector)
    }
}

/// Runs a program that must succeed and returns what it printed.
func output(of program: String, _ arguments: [String]) throws -> String {
    let outcome = try Processes.run(program, arguments, timeoutSeconds: 30)
    try #require(outcome.succeeded, "\(program) \(outcome.summary)")
    return String(decoding: outcome.output, as: UTF8.self)
}

/// A plan of the standard layout for a disk of 8 GB.
func standardPlan(sector: Int, sizeBytes: UInt64 = 8_000_000_000 / 4096 * 4096) throws -> PartitionPlan {
    var generator = SystemRandomNumberGenerator()
    return try PartitionPlanner.plan(
        PartitioningRequest(
            disk: "test", diskSizeBytes: sizeBytes, sectorSizeBytes: sector, layout: .standard, architecture: .amd64,
            release: nil, existing: [], keepsState: false), using: &generator)
}
