import Contract
import Decisions
import Glibc
import Linux
import TestSupport
import Testing

@testable import Partitions

/// A sparse file that stands for a disk, removed at the end.
final class ImageFile {
    private let scratch: Scratch
    let path: String

    init(sizeBytes: UInt64) throws {
        scratch = try Scratch()
        path = try scratch.sparseFile("disk.img", sizeBytes: sizeBytes)
    }

    func device(sector: Int = 512) throws -> FileBlockDevice {
        try FileBlockDevice(path: path, sectorSizeBytes: sector)
    }
}

/// A plan of the standard layout for a disk of 8 GB.
func standardPlan(sector: Int, sizeBytes: UInt64 = 8_000_000_000 / 4096 * 4096) throws -> PartitionPlan {
    var generator = SystemRandomNumberGenerator()
    return try PartitionPlanner.plan(
        PartitioningRequest(
            disk: "test", diskSizeBytes: sizeBytes, sectorSizeBytes: sector, layout: .standard, architecture: .amd64,
            release: nil, existing: [], keepsState: false), using: &generator)
}
