public import Contract
public import Decisions
internal import Fetch
internal import Release
public import Sequences
internal import Slots

/// The slots and the recovery partition of the disk in use, for real.
public final class NodeSlots: SlotEffect {
    private let use: DiskInUse
    private let releases: NodeReleases
    private let recoveryFiles: () -> [(path: String, bytes: [UInt8])]
    private let alive: () -> Void

    /// Makes it over the disk in use.
    /// - Parameters:
    ///   - releases: where manifests, frame tables and packs come from.
    ///   - recoveryFiles: small files that go beside the boot artifact on the recovery partition.
    ///   - alive: called while something is written or read, at least once a MiB.
    public init(
        _ use: DiskInUse, releases: NodeReleases, recoveryFiles: @escaping () -> [(path: String, bytes: [UInt8])],
        alive: @escaping () -> Void
    ) {
        self.use = use
        self.releases = releases
        self.recoveryFiles = recoveryFiles
        self.alive = alive
    }

    /// Zeroes the boot sector and its copy, and flushes.
    public func invalidate(_ target: StartTarget) throws {
        try FATWriter.invalidate(try use.get().open(PartitionRole.boot(target), writable: true))
    }

    /// Streams root and tree into the slots; blocks that they, or other verified slots, hold are not fetched.
    public func write(_ release: ReleaseFacts, into slots: [SlotName], progress: StepProgress) throws {
        let disk = try use.get()
        let writer = try releases.writer(for: release.release)
        let targets = try slots.map { try disk.slot($0, writable: true) }
        try refusingWhatStaysWrong {
            _ = try writer.write(into: targets, reusing: donors(besides: slots)) { state in
                alive()
                progress(state.doneBytes, state.totalBytes)
            }
        }
    }

    /// Reads root and tree back past the page cache.
    public func readBack(_ release: ReleaseFacts, in slot: SlotName, progress: StepProgress) throws {
        let image = BootArguments.SlotImage(
            rootHash: release.rootHash, salt: release.salt, blocks: release.blocks, version: release.version)
        try SlotVerifier.verify(try use.get().slot(slot, writable: false), holds: image) { state in
            alive()
            progress(state.doneBytes, state.totalBytes)
        }
    }

    /// Writes a slot's UKI, or the boot artifact for recovery.
    public func activate(_ target: StartTarget, from release: ReleaseFacts) throws {
        let disk = try use.get()
        let kind = NodeSlots.isRecovery(target)
        let destination = BootTarget(
            device: try disk.open(PartitionRole.boot(target), writable: true), path: InstalledDisk.path(of: target),
            others: kind ? recoveryFiles() : [])
        var donors: [BootDonor] = []
        for other in StartTarget.allCases where other != target {
            guard let device = try? disk.open(PartitionRole.boot(other), writable: false) else { continue }
            donors.append(
                BootDonor(
                    device: device, path: InstalledDisk.path(of: other),
                    kind: NodeSlots.isRecovery(other) ? .boot : .uki))
        }
        let writer = try releases.writer(for: release.release)
        try refusingWhatStaysWrong {
            try writer.writeFile(kind ? .boot : .uki, to: [destination], reusing: donors) { _ in alive() }
        }
    }

    /// What is damaged at the server, or does not fit, is not tried twenty times: frames were fetched again already.
    private func refusingWhatStaysWrong(_ body: () throws -> Void) throws {
        do {
            try body()
        } catch let error as SlotError {
            throw Refusal("\(error)")
        } catch let error as FATError {
            throw Refusal("\(error)")
        } catch FetchError.rangeNotServed(let detail) {
            throw Refusal("\(FetchError.rangeNotServed(detail))")
        } catch FetchError.status(416, let reply) {
            throw Refusal("the release's pack is shorter than its manifest says: \(FetchError.status(416, reply))")
        }
    }

    /// Whether a target's file has this SHA-256.
    public func holds(_ digest: Digest256, at target: StartTarget) -> Bool {
        guard let device = try? use.get().open(PartitionRole.boot(target), writable: false),
            let found = try? SlotVerifier.digest(of: InstalledDisk.path(of: target), on: device)
        else { return false }
        return found.sha256 == digest
    }

    private static func isRecovery(_ target: StartTarget) -> Bool { target == .recovery }

    /// Verified slots that are not being written.
    private func donors(besides targets: [SlotName]) -> [SlotDonor] {
        guard let disk = use.disk, let record = NodeBootRecord(use).load().record else { return [] }
        return SlotName.allCases.compactMap { slot in
            guard !targets.contains(slot), let installed = record[slot].installed,
                let partitions = try? disk.slot(slot, writable: false)
            else { return nil }
            // A donor that cannot be read costs a download, nothing else: ignoring.
            return try? SlotDonor(partitions, image: BootArguments.SlotImage(installed))
        }
    }
}
