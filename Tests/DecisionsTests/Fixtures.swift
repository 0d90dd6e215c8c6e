import Contract

@testable import Decisions

/// Small values that the tests share.
enum Fixture {
    static func digest(_ number: UInt8) -> Digest256 {
        guard let digest = Digest256(bytes: [number] + [UInt8](repeating: 7, count: 31)) else { preconditionFailure() }
        return digest
    }

    static func release(_ number: UInt8, epoch: Int = 1) -> InstalledRelease {
        InstalledRelease(
            release: digest(number), version: "\(number).0", epoch: epoch, architecture: .current,
            rootHash: digest(number + 100), salt: [1, 2], blocks: 4096, ukiDigest: digest(number + 50),
            ukiBytes: 20 << 20)
    }

    static func facts(_ number: UInt8, epoch: Int = 1, blocks: UInt64 = 4096) -> ReleaseFacts {
        ReleaseFacts(
            release: digest(number), version: "\(number).0", epoch: epoch, architecture: .current,
            rootHash: digest(number + 100), salt: [1, 2], blocks: blocks, treeBytes: 1 << 20,
            ukiDigest: digest(number + 50), ukiBytes: 20 << 20,
            recovery: BootRecord.RecoveryArtifact(digest: digest(number + 150), sizeBytes: 24 << 20),
            expiresSeconds: 2_000_000_000)
    }

    /// Provisioned with release 1 in both slots, A committed.
    static func provisioned() throws -> BootRecord {
        var record = BootRecord.provisioning(release: digest(1), site: digest(200), keeping: nil, keepsState: false)
        record.markStatePrepared()
        for slot in SlotName.allCases { try record.markVerified(slot, release(1)) }
        try record.commitProvisioned(.a, generation: 1)
        return record
    }

    /// Release 2 waits in slot B to be tried.
    static func waitingForTrial(attempts: Int = 2) throws -> BootRecord {
        var record = try provisioned()
        try record.beginWriting(.b, release: digest(2), running: .a)
        try record.markVerified(.b, release(2))
        try record.startTrial(.b, rule: ProbationRule(attempts: attempts))
        return record
    }

    static func guid(_ number: Int) -> GUID {
        let tail = String(number + 1000)
        return GUID(constant: "00000000-0000-4000-8000-00000000" + tail)
    }

    static let disk = DiskFacts(
        name: "vda",
        partitions: Dictionary(
            uniqueKeysWithValues: PartitionRole.allCases.enumerated().map { ($1, guid($0)) }),
        startable: Set(StartTarget.allCases))

    static func image(_ number: UInt8) -> BootArguments.SlotImage {
        let release = release(number)
        return BootArguments.SlotImage(
            rootHash: release.rootHash, salt: release.salt, blocks: release.blocks, version: release.version)
    }

    /// A firmware that knows our three entries in order.
    static func firmware(_ first: SlotName = .a, running: StartTarget? = nil) -> FirmwareSnapshot {
        let targets: [StartTarget] = [.slot(first), .slot(first.other), .recovery]
        let entries = targets.enumerated().map { index, target in
            BootEntry(
                number: UInt16(index), description: BootNames.description(of: target), file: disk.file(of: target))
        }
        return FirmwareSnapshot(
            entries: entries, order: [0, 1, 2],
            stubPartition: running.flatMap { disk.partitions[PartitionRole.boot($0)] })
    }
}
