import Foundation

/// `mkfs.erofs` of version 1.7 or newer, which reads tar archives: named by `APUS_MKFS_EROFS`, of this repository's base,
/// or the system's; nil where there is none.
public let mkfsErofs: String? = {
    let repository = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
    let named = ProcessInfo.processInfo.environment["APUS_MKFS_EROFS"]
    return [named, "/\(repository)/.out/tools/mkfs.erofs", "/usr/bin/mkfs.erofs"].compactMap(\.self).first {
        outcome(of: [$0, "--help"]).output.contains("--tar=")
    }
}()
