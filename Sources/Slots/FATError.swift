/// Why a FAT volume cannot be planned, written or read.
public enum FATError: Error, Sendable, Equatable, CustomStringConvertible {
    /// A path has a name that FAT cannot hold, or two paths differ only in case.
    case badPath(String)
    /// The partition is too small for these files, or for FAT32 at all; `neededBytes` would do.
    case tooSmall(sizeBytes: UInt64, neededBytes: UInt64)
    /// The partition or a file is larger than FAT32 can describe.
    case tooLarge(String)
    /// The volume's structure is wrong.
    case malformed(String)
    /// There is no such file.
    case notFound(String)
    /// What was read back is not what was written.
    case readBack(String)

    /// What is wrong, as a sentence.
    public var description: String {
        switch self {
        case .badPath(let path): "'\(path)' cannot be a path on a FAT volume"
        case .tooSmall(let size, let needed):
            "a partition of \(size) bytes is too small for its FAT32 file system; \(needed) bytes would do"
        case .tooLarge(let what): "\(what) is too large for FAT32"
        case .malformed(let detail): "not a sound FAT32 volume: \(detail)"
        case .notFound(let path): "'\(path)' is not on the volume"
        case .readBack(let detail): "the FAT volume does not read back as written: \(detail)"
        }
    }
}
