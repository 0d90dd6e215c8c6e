import Cryptography
import Decisions
public import Fetch
import Linux
public import Release

/// Writes a release's root file system and hash tree into one or several slots at once.
///
/// The tree comes first and is verified against the signed root hash; from then on it decides about every block:
/// whether the target holds it already, whether another slot has it, and whether what arrives may be written. A frame
/// is authenticated before it is decompressed, and nothing is staged. The caller has made the targets unbootable, and
/// believes in them only after `SlotVerifier.verify`.
public final class SlotWriter {
    let manifest: Manifest
    let table: FrameTable
    let source: any PackSource
    let cancellation: Cancellation?
    var progress = SlotProgress(phase: .tree)

    /// Takes a release whose manifest and frame table were verified, and the pack that need not be.
    public init(
        manifest: Manifest, table: FrameTable, source: any PackSource, cancellation: Cancellation? = nil
    ) throws(SlotError) {
        do { try table.check(against: manifest) } catch { throw .source(error.description) }
        self.manifest = manifest
        self.table = table
        self.source = source
        self.cancellation = cancellation
    }

    /// One slot while it is written.
    private struct Target {
        let partitions: SlotPartitions
        var held: BlockSet
        /// Whether the tree's partition holds the new tree already.
        var hasTree: Bool
    }

    /// Brings all targets to the release, and flushes them. Returns what it took.
    ///
    /// Called again after an interruption, it goes on: blocks that a target holds are found and left. Throws
    /// `SlotError`, `FetchError`, or what a device throws.
    public func write(
        into slots: [SlotPartitions], reusing donors: [SlotDonor] = [],
        onProgress: (SlotProgress) throws -> Void = { _ in }
    ) throws -> SlotProgress {
        progress = SlotProgress(phase: .tree, totalBytes: manifest.root.bytes)
        for slot in slots { try slot.checkSizes(manifest) }
        try onProgress(progress)
        let found = try findTree(slots, donors, onProgress)
        var targets: [Target] = []
        for (index, slot) in slots.enumerated() {
            var target = Target(
                partitions: slot, held: BlockSet(bound: manifest.root.blocks), hasTree: found.holders.contains(index))
            if try mayHoldBlocks(target) { try compare(&target, found.tree, onProgress) }
            targets.append(target)
        }
        // The tree is durable before the first block: a resumed write knows by it what the blocks should be. One that is
        // there already may be in this partition's page cache only, where a program that was ended has left it.
        for target in targets {
            if !target.hasTree { try write(found.tree.image, to: target.partitions) }
            try target.partitions.tree.flush()
        }
        try fill(&targets, found.tree, donors.filter { $0.tree.salt == manifest.root.salt }, onProgress)
        for target in targets { try target.partitions.root.flush() }
        return progress
    }

    var fetcher: FrameFetcher { FrameFetcher(source: source, cancellation: cancellation) }

    // MARK: - The tree

    private func findTree(
        _ slots: [SlotPartitions], _ donors: [SlotDonor], _ onProgress: (SlotProgress) throws -> Void
    ) throws -> (tree: VerityTree, holders: Set<Int>) {
        let image = BootArguments.SlotImage(manifest)
        var found: VerityTree?
        var holders: Set<Int> = []
        for (index, slot) in slots.enumerated() {
            if let tree = try? slot.readTree(of: image) {
                found = found ?? tree
                holders.insert(index)
            }
        }
        if let donor = donors.first(where: { $0.tree.rootHash == manifest.root.rootHash && $0.tree.salt == image.salt })
        {
            found = found ?? donor.tree
        }
        return (try found ?? fetchTree(onProgress), holders)
    }

    private func fetchTree(_ onProgress: (SlotProgress) throws -> Void) throws -> VerityTree {
        guard let artifact = table[.tree] else { throw SlotError.source("the frame table has no hash tree") }
        var image = [UInt8](repeating: 0, count: Int(artifact.plainBytes))
        let plan = try FramePlan(table, uses: artifact.frames.indices.map { FramePlan.Use(kind: .tree, index: $0) })
        let fetched = try fetcher.run(plan) {
            try onProgress(progress)
        } onFrame: { piece, bytes in
            try onProgress(progress)
            for use in piece.uses {
                let start = Int(artifact.plainOffset(use.index))
                image.withUnsafeMutableBytes { image in
                    UnsafeMutableRawBufferPointer(rebasing: image[start..<start + bytes.count]).copyMemory(from: bytes)
                }
            }
        }
        progress.fetchedBytes += fetched
        do {
            return try VerityTree(
                verifying: image, dataBlocks: manifest.root.blocks, salt: manifest.root.salt,
                rootHash: manifest.root.rootHash)
        } catch {
            throw SlotError.tree(error.description)
        }
    }

    private func write(_ image: [UInt8], to slot: SlotPartitions) throws {
        for start in stride(from: 0, to: image.count, by: 1 << 20) {
            try slot.tree.writeSectors(Array(image[start..<min(start + 1 << 20, image.count)]), at: UInt64(start))
        }
    }

    // MARK: - What is there already

    /// A disk that never held a release of this product needs no comparison: its tree's superblock tells.
    private func mayHoldBlocks(_ target: Target) throws -> Bool {
        if target.hasTree { return true }
        let start = try target.partitions.tree.readBytes(at: 0, count: VeritySuperblock.bytes)
        return (try? VeritySuperblock(parsing: start))?.salt == manifest.root.salt
    }

    private func compare(
        _ target: inout Target, _ tree: VerityTree, _ onProgress: (SlotProgress) throws -> Void
    ) throws {
        progress.phase = .compare
        progress.doneBytes = 0
        var hasher = tree.hasher()
        let buffer = AlignedBuffer(count: 1 << 20)
        let perPiece = UInt64(buffer.bytes.count / VerityLayout.blockBytes)
        for first in stride(from: 0, to: manifest.root.blocks, by: Int(perPiece)) {
            if cancellation?.isCancelled == true { throw FetchError.aborted }
            let count = min(perPiece, manifest.root.blocks - first)
            let bytes = buffer.prefix(Int(count) * VerityLayout.blockBytes)
            try target.partitions.root.read(at: first * UInt64(VerityLayout.blockBytes), into: bytes)
            for block in 0..<count where tree.matches(bytes, index: Int(block), block: first + block, hasher: &hasher) {
                target.held.insert(first + block)
            }
            progress.doneBytes += UInt64(bytes.count)
            try onProgress(progress)
        }
    }

    // MARK: - Blocks

    private func fill(
        _ targets: inout [Target], _ tree: VerityTree, _ donors: [SlotDonor],
        _ onProgress: (SlotProgress) throws -> Void
    ) throws {
        guard let artifact = table[.root] else { throw SlotError.source("the frame table has no root") }
        let blockBytes = UInt64(VerityLayout.blockBytes)
        progress.phase = .reuse
        progress.doneBytes = 0
        progress.keptBytes =
            targets.reduce(0) { $0 + UInt64($1.held.count) } * blockBytes / UInt64(max(1, targets.count))
        var toFetch: [FramePlan.Use] = []
        let copier = BlockCopier(donors: donors, tree: tree)
        let plain = AlignedBuffer(count: artifact.framePlainBytes)
        for index in artifact.frames.indices {
            let first = artifact.plainOffset(index) / blockBytes
            let range = first..<min(first + UInt64(artifact.framePlainBytes) / blockBytes, manifest.root.blocks)
            let missing = Self.missing(in: range, of: targets)
            if !missing.isEmpty {
                guard try copier.copy(missing, frameStart: first, into: plain.bytes) else {
                    toFetch.append(FramePlan.Use(kind: .root, index: index))
                    continue
                }
                try Self.store(UnsafeRawBufferPointer(plain.bytes), first: first, range: range, in: &targets)
                progress.reusedBytes += missing.reduce(0) { $0 + UInt64($1.count) } * blockBytes
            }
            progress.doneBytes += UInt64(range.count) * blockBytes
            try onProgress(progress)
        }
        try fetch(toFetch, artifact, &targets, tree, onProgress)
    }

    private func fetch(
        _ uses: [FramePlan.Use], _ artifact: FrameTable.Artifact, _ targets: inout [Target], _ tree: VerityTree,
        _ onProgress: (SlotProgress) throws -> Void
    ) throws {
        progress.phase = .fetch
        let before = progress.fetchedBytes
        let plan = try FramePlan(table, uses: uses)
        var hasher = tree.hasher()
        let total = try fetcher.run(plan) {
            try onProgress(progress)
        } onFrame: { piece, bytes in
            for use in piece.uses {
                let first = artifact.plainOffset(use.index) / UInt64(VerityLayout.blockBytes)
                if let block = tree.firstMismatch(in: bytes, firstBlock: first, hasher: &hasher) {
                    throw SlotError.blockDiffers(frame: use.index, block: block)
                }
                let range = first..<first + UInt64(bytes.count / VerityLayout.blockBytes)
                try Self.store(bytes, first: first, range: range, in: &targets)
                progress.doneBytes += UInt64(bytes.count)
            }
            progress.fetchedBytes += UInt64(piece.range.count)
            try onProgress(progress)
        }
        // What was fetched twice, or between needed frames, counts too.
        progress.fetchedBytes = before + total
    }

    /// Runs of blocks that at least one target is missing.
    private static func missing(in range: Range<UInt64>, of targets: [Target]) -> [Range<UInt64>] {
        guard let first = targets.first else { return [] }
        if targets.count == 1 { return first.held.missingRuns(in: range) }
        var everywhere = BlockSet(bound: range.upperBound)
        for block in range where targets.allSatisfy({ $0.held.contains(block) }) { everywhere.insert(block) }
        return everywhere.missingRuns(in: range)
    }

    /// Writes to each target what it is missing of `range`; `bytes` starts at block `first` and was verified.
    private static func store(
        _ bytes: UnsafeRawBufferPointer, first: UInt64, range: Range<UInt64>, in targets: inout [Target]
    ) throws {
        let size = VerityLayout.blockBytes
        for index in targets.indices {
            for run in targets[index].held.missingRuns(in: range) {
                let start = Int(run.lowerBound - first) * size
                let piece = UnsafeRawBufferPointer(rebasing: bytes[start..<start + run.count * size])
                try targets[index].partitions.root.write(piece, at: run.lowerBound * UInt64(size))
                for block in run { targets[index].held.insert(block) }
            }
        }
    }
}

extension VerityTree {
    /// Whether the block at place `index` of `bytes` is data block `block`.
    func matches(
        _ bytes: UnsafeMutableRawBufferPointer, index: Int, block: UInt64, hasher: inout SaltedBlockHasher
    ) -> Bool {
        let start = index * VerityLayout.blockBytes
        let piece = UnsafeRawBufferPointer(rebasing: bytes[start..<start + VerityLayout.blockBytes])
        return firstMismatch(in: piece, firstBlock: block, hasher: &hasher) == nil
    }
}
