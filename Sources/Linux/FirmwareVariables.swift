internal import CLinux
internal import Glibc

/// The files of efivarfs: four bytes of attributes, then the value (Documentation/filesystems/efivarfs.rst).
///
/// Every write is one system call, as the kernel wants it, and so one atomic change of the firmware's variable.
public struct FirmwareVariables: Sendable {
    /// Where efivarfs is mounted; any folder behaves alike, which tests use.
    public let directory: String

    /// No variable of interest is larger, in bytes.
    public static let limitBytes = 64 << 10

    /// Looks at a mounted efivarfs.
    public init(directory: String = "/sys/firmware/efi/efivars") { self.directory = directory }

    /// Whether the firmware is UEFI and its variables can be seen.
    public var isAvailable: Bool { !((try? Files.list(directory)) ?? []).isEmpty }

    /// Whether the file system lets variables be written; the firmware may still refuse.
    public var isWritable: Bool { access(directory, W_OK) == 0 }

    /// The file names, `Name-vendor`, sorted.
    public func names() throws(SystemError) -> [String] { try Files.list(directory, limit: 8192) }

    /// A variable's attributes and value; nil where it does not exist.
    public func read(_ name: String, vendor: String) throws(SystemError) -> (attributes: UInt32, value: [UInt8])? {
        let path = path(name, vendor)
        let bytes: [UInt8]
        do {
            bytes = try Files.read(path, limitBytes: Self.limitBytes)
        } catch {
            if error.isNotFound { return nil }
            throw error
        }
        // An empty file is a variable that is just being made, or one that the firmware has dropped.
        guard !bytes.isEmpty else { return nil }
        guard bytes.count >= 4 else {
            throw SystemError("read", path, code: EIO, detail: "shorter than its attributes")
        }
        return (bytes.little32(0), Array(bytes.dropFirst(4)))
    }

    /// Makes or replaces a variable in one write.
    public func write(_ value: [UInt8], to name: String, vendor: String, attributes: UInt32) throws(SystemError) {
        let path = path(name, vendor)
        let existed = Files.exists(path)
        if existed { try makeMutable(path) }
        let bytes = (0..<4).map { UInt8(truncatingIfNeeded: attributes >> ($0 * 8)) } + value
        do throws(SystemError) {
            let file = try OwnedDescriptor(opening: path, [.write, .create], mode: 0o644)
            let written = try check(apus_write(file.rawValue, bytes, bytes.count), "write", path)
            guard written == bytes.count else { throw SystemError("write", path, code: EIO, detail: "only in part") }
            // efivarfs takes the size from the value; an ordinary folder must be told.
            if !isEFIVariableFileSystem { try file.truncate(to: UInt64(bytes.count)) }
            try file.close()
        } catch {
            // A variable that could not be made leaves an empty file behind until the next mount.
            if !existed, Files.status(path)?.sizeBytes == 0 { _ = apus_unlink(path) }
            throw error
        }
    }

    /// Removes a variable; one that does not exist is fine.
    public func remove(_ name: String, vendor: String) throws(SystemError) {
        let path = path(name, vendor)
        guard Files.exists(path) else { return }
        try makeMutable(path)
        try Files.remove(path)
    }

    private func path(_ name: String, _ vendor: String) -> String { "\(directory)/\(name)-\(vendor)" }

    private func makeMutable(_ path: String) throws(SystemError) {
        let result = apus_set_immutable(path, 0)
        // Ordinary file systems may not know the flag.
        guard result == 0 || result == -ENOTTY || result == -EOPNOTSUPP else {
            throw SystemError("make writable", path, code: result)
        }
    }

    private var isEFIVariableFileSystem: Bool {
        var space = apus_space()
        // EFIVARFS_MAGIC of linux/magic.h.
        return apus_space(directory, &space) == 0 && space.type == 0xde5e_81e4
    }
}
