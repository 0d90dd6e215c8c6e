public import Contract
public import Release

/// Why a slot cannot be written or is not what it should be.
public enum SlotError: Error, Sendable, Equatable, CustomStringConvertible {
    /// A partition is too small for what belongs on it, in bytes.
    case tooSmall(partition: String, sizeBytes: UInt64, neededBytes: UInt64)
    /// A compressed frame does not have its digest, however often it was fetched.
    case frameDigest(FrameTable.Kind, frame: Int, expected: Digest256, found: Digest256)
    /// A frame has its digest but cannot be decompressed to its size.
    case frameContents(FrameTable.Kind, frame: Int, String)
    /// A decompressed block is not the one that the hash tree names.
    case blockDiffers(frame: Int, block: UInt64)
    /// The hash tree is not that of the root hash.
    case tree(String)
    /// A file is not the one that the manifest names.
    case fileDiffers(FrameTable.Kind, expected: Digest256, found: Digest256)
    /// A slot's unified kernel image starts something else than its root file system.
    case foreignImage(String)
    /// The medium does not return what was written, or has lost it since.
    case readBack(String, block: UInt64)
    /// The source of the pack gave other than what was asked for.
    case source(String)

    /// What is wrong, as a sentence.
    public var description: String {
        switch self {
        case .tooSmall(let partition, let size, let needed):
            "the \(partition) partition has \(size) bytes and \(needed) are needed; choose larger partitions in the plan"
        case .frameDigest(let kind, let frame, let expected, let found):
            "frame \(frame) of \(kind): digest differs (expected \(expected), found \(found)); "
                + "the server's copy of the pack is damaged, publish the release again"
        case .frameContents(let kind, let frame, let detail):
            "frame \(frame) of \(kind) cannot be decompressed: \(detail); the release was not built correctly"
        case .blockDiffers(let frame, let block):
            "frame \(frame) of root: block \(block) is not the one in the hash tree; the release was not built correctly"
        case .tree(let detail): "the hash tree is refused: \(detail)"
        case .fileDiffers(let kind, let expected, let found):
            "\(kind) is not the file that the manifest names (expected \(expected), found \(found))"
        case .foreignImage(let detail): "the slot's unified kernel image does not belong to it: \(detail)"
        case .readBack(let what, let block):
            "\(what): block \(block) does not read back as it should; the disk may be failing"
        case .source(let detail): "the pack cannot be read: \(detail)"
        }
    }
}
