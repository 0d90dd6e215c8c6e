import Contract
import Decisions
public import Linux
public import Release

/// A FAT partition that gets a release's file.
public struct BootTarget {
    /// The partition.
    public var device: any BlockDevice
    /// The file's path on it, such as `BootNames.slotPath`.
    public var path: String
    /// Small files beside it.
    public var others: [(path: String, bytes: [UInt8])]

    /// Makes a target.
    public init(device: any BlockDevice, path: String, others: [(path: String, bytes: [UInt8])] = []) {
        self.device = device
        self.path = path
        self.others = others
    }
}

/// A FAT partition that may hold one of the release's files already, to copy from.
public struct BootDonor {
    /// The partition.
    public var device: any BlockDevice
    /// The file's path on it.
    public var path: String
    /// Which of the release's files it should be.
    public var kind: FrameTable.Kind

    /// Makes a donor.
    public init(device: any BlockDevice, path: String, kind: FrameTable.Kind) {
        self.device = device
        self.path = path
        self.kind = kind
    }
}

extension SlotWriter {
    /// Writes the release's UKI (`.uki`) or boot artifact (`.boot`) as the file of new FAT volumes, one per target.
    ///
    /// Each target is invalidated first, and its boot sector comes last, after the file was read back and has the
    /// manifest's SHA-256; a slot's UKI must also name the manifest's root hash. Frames that a donor holds are copied:
    /// UKI and boot artifact share kernel and initrd. Throws `SlotError`, `FATError`, `FetchError`, or what a device
    /// throws; the target is then not bootable.
    @discardableResult
    public func writeFile(
        _ kind: FrameTable.Kind, to targets: [BootTarget], reusing donors: [BootDonor] = [],
        onProgress: (SlotProgress) throws -> Void = { _ in }
    ) throws -> SlotProgress {
        guard kind == .uki || kind == .boot, let artifact = table[kind] else {
            throw SlotError.source("\(kind) is not a file")
        }
        progress = SlotProgress(phase: .reuse, totalBytes: artifact.plainBytes)
        var held = try BootDonors(donors, manifest: manifest, table: table)
        let writers = try targets.map { target in
            try FATWriter(
                target.device,
                files: [FATLayout.File(path: target.path, sizeBytes: artifact.plainBytes)]
                    + target.others.map { FATLayout.File(path: $0.path, sizeBytes: UInt64($0.bytes.count)) })
        }
        func store(_ bytes: UnsafeRawBufferPointer, _ index: Int) throws {
            for (writer, target) in zip(writers, targets) {
                try writer.write(bytes, to: target.path, at: artifact.plainOffset(index))
            }
            progress.doneBytes += UInt64(bytes.count)
            try onProgress(progress)
        }
        var uses: [FramePlan.Use] = []
        for index in artifact.frames.indices {
            if let bytes = try held.frame(artifact.frames[index]) {
                progress.reusedBytes += UInt64(bytes.count)
                try store(bytes, index)
            } else {
                uses.append(FramePlan.Use(kind: kind, index: index))
            }
        }
        progress.phase = .fetch
        let plan = try FramePlan(table, uses: uses)
        let total = try fetcher.run(plan) {
            try onProgress(progress)
        } onFrame: { piece, bytes in
            progress.fetchedBytes += UInt64(piece.range.count)
            for use in piece.uses { try store(bytes, use.index) }
        }
        progress.fetchedBytes = total
        progress.phase = .readBack
        for (writer, target) in zip(writers, targets) { try finish(writer, target, kind) }
        try onProgress(progress)
        return progress
    }

    private func finish(_ writer: FATWriter, _ target: BootTarget, _ kind: FrameTable.Kind) throws {
        for other in target.others where !other.bytes.isEmpty {
            try other.bytes.withUnsafeBytes { try writer.write($0, to: other.path, at: 0) }
        }
        try writer.finish { volume in
            let file = try volume.open(target.path)
            let expected = kind == .uki ? manifest.uki.sha256 : manifest.boot.sha256
            let found = try SlotVerifier.digest(of: file)
            guard found == expected else { throw SlotError.fileDiffers(kind, expected: expected, found: found) }
            if kind == .uki { try checkImage(UnifiedKernelImage(file)) }
            for other in target.others {
                guard try volume.readFile(other.path, limitBytes: other.bytes.count) == other.bytes else {
                    throw FATError.readBack("'\(other.path)' differs")
                }
            }
        }
    }

    /// A signed UKI of another release, packed by mistake, would start another root file system or none.
    private func checkImage(_ uki: UnifiedKernelImage) throws {
        let (image, architecture) = try SlotVerifier.describe(uki)
        guard image.rootHash == manifest.root.rootHash else {
            throw SlotError.foreignImage(
                "its command line names root hash \(image.rootHash), the manifest \(manifest.root.rootHash)")
        }
        guard image.salt == manifest.root.salt, image.blocks == manifest.root.blocks else {
            throw SlotError.foreignImage("its command line names another salt or size than the manifest")
        }
        guard architecture == manifest.architecture else {
            throw SlotError.foreignImage(
                "it is for \(architecture.rawValue), the manifest for \(manifest.architecture.rawValue)")
        }
    }
}

/// Files of this very release on other partitions: a file that has the manifest's SHA-256 has every frame of it.
private struct BootDonors {
    private var files: [(file: FATFile, artifact: FrameTable.Artifact)] = []
    private var places: [UInt64: (file: Int, frame: Int)] = [:]
    private let buffer: AlignedBuffer

    init(_ donors: [BootDonor], manifest: Manifest, table: FrameTable) throws {
        for donor in donors {
            guard let artifact = table[donor.kind], let file = try? FATVolume(donor.device).open(donor.path),
                file.sizeBytes == artifact.plainBytes,
                let digest = try? SlotVerifier.digest(of: file),
                digest == (donor.kind == .uki ? manifest.uki.sha256 : manifest.boot.sha256)
            else { continue }
            for index in artifact.frames.indices where places[artifact.frames[index].packOffset] == nil {
                places[artifact.frames[index].packOffset] = (files.count, index)
            }
            files.append((file, artifact))
        }
        buffer = AlignedBuffer(count: files.isEmpty ? 0 : FrameLimit.largestPlainBytes)
    }

    /// The plain bytes of a frame, valid until the next call; nil where no donor has it.
    mutating func frame(_ frame: FrameTable.Frame) throws -> UnsafeRawBufferPointer? {
        guard let place = places[frame.packOffset] else { return nil }
        let donor = files[place.file]
        guard donor.artifact.frames[place.frame] == frame else { return nil }
        let bytes = buffer.prefix(frame.plainBytes)
        do {
            try donor.file.read(at: donor.artifact.plainOffset(place.frame), into: bytes)
        } catch {
            return nil
        }
        return UnsafeRawBufferPointer(bytes)
    }
}
