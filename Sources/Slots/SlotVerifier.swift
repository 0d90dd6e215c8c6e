public import Contract
import Cryptography
public import Decisions
public import Linux
public import Release

/// Says whether what is on the medium is what it should be.
public enum SlotVerifier {
    /// Reads a whole slot, past the page cache, and compares it with the root hash.
    ///
    /// Throws `SlotError` naming the first block that differs, or what a device throws. Returns the verified tree.
    @discardableResult
    public static func verify(
        _ slot: SlotPartitions, holds image: BootArguments.SlotImage,
        onProgress: (SlotProgress) throws -> Void = { _ in }
    ) throws -> VerityTree {
        let tree = try slot.readTree(of: image)
        var progress = SlotProgress(phase: .readBack, totalBytes: image.blocks * UInt64(VerityLayout.blockBytes))
        try check(slot, image, tree, blocks: 0..<image.blocks) { bytes in
            progress.doneBytes += bytes
            try onProgress(progress)
        }
        return tree
    }

    /// Compares the tree and the root's first and last blocks only: what a boot can afford; verity checks the rest
    /// as it is read.
    @discardableResult
    public static func verifyQuickly(_ slot: SlotPartitions, holds image: BootArguments.SlotImage) throws -> VerityTree
    {
        let tree = try slot.readTree(of: image)
        let count = min(image.blocks, 16)
        try check(slot, image, tree, blocks: 0..<count) { _ in }
        try check(slot, image, tree, blocks: image.blocks - count..<image.blocks) { _ in }
        return tree
    }

    private static func check(
        _ slot: SlotPartitions, _ image: BootArguments.SlotImage, _ tree: VerityTree, blocks: Range<UInt64>,
        onBytes: (UInt64) throws -> Void
    ) throws {
        let size = UInt64(VerityLayout.blockBytes)
        guard slot.root.sizeBytes / size >= image.blocks else {
            throw SlotError.tooSmall(
                partition: "\(slot.name) root", sizeBytes: slot.root.sizeBytes, neededBytes: image.blocks * size)
        }
        var hasher = tree.hasher()
        let buffer = AlignedBuffer(count: 1 << 20)
        let perPiece = UInt64(buffer.bytes.count) / size
        for first in stride(from: blocks.lowerBound, to: blocks.upperBound, by: Int(perPiece)) {
            let count = min(perPiece, blocks.upperBound - first)
            let bytes = buffer.prefix(Int(count * size))
            try slot.root.read(at: first * size, into: bytes)
            if let block = tree.firstMismatch(in: UnsafeRawBufferPointer(bytes), firstBlock: first, hasher: &hasher) {
                throw SlotError.readBack("\(slot.name) root", block: block)
            }
            try onBytes(UInt64(bytes.count))
        }
    }

    // MARK: - Files on boot partitions

    /// SHA-256 and size of a file on a FAT partition; throws `FATError` or what the device throws.
    public static func digest(of path: String, on device: any BlockDevice) throws -> (sha256: Digest256, bytes: UInt64)
    {
        let file = try FATVolume(device).open(path)
        return (try digest(of: file), file.sizeBytes)
    }

    static func digest(of file: any ReadableBytes) throws -> Digest256 {
        var hasher = SHA256Hasher()
        try file.forEachPiece { hasher.update($0) }
        guard let digest = Digest256(bytes: hasher.finish()) else { preconditionFailure("a SHA-256 has 32 bytes") }
        return digest
    }

    /// The slot's image as the signed command line of the UKI on its boot partition names it, and its architecture.
    ///
    /// This is how a record that was lost is made again. Throws where there is no slot's UKI.
    public static func describe(
        _ device: any BlockDevice, path: String = BootNames.slotPath
    ) throws -> (image: BootArguments.SlotImage, architecture: Architecture) {
        try describe(UnifiedKernelImage(try FATVolume(device).open(path)))
    }

    static func describe(
        _ uki: UnifiedKernelImage
    ) throws -> (image: BootArguments.SlotImage, architecture: Architecture) {
        let arguments: BootArguments
        do {
            arguments = try BootArguments(commandLine: try uki.commandLine())
        } catch let error as BootArguments.ParseError {
            throw SlotError.foreignImage(error.description)
        }
        guard case .slot(let image) = arguments.mode else {
            throw SlotError.foreignImage("its command line is that of a boot artifact")
        }
        guard let architecture = uki.architecture else {
            throw SlotError.foreignImage("it is for machine type \(uki.machine)")
        }
        return (image, architecture)
    }
}

extension UnifiedKernelImage {
    /// The architecture, nil for one that is not supported.
    public var architecture: Architecture? {
        switch machine {
        case 0x8664: .amd64
        case 0xaa64: .arm64
        default: nil
        }
    }
}
