internal import CLinux
internal import Glibc

/// A file shown as a block device until it goes out of scope (loop(4)).
public struct LoopDevice: ~Copyable {
    /// The node, such as `/dev/loop3`.
    public let path: String
    private let number: Int32

    /// Attaches a file as a disk with partitions; needs the privilege to administer devices.
    public init(disk file: String, sectorSizeBytes: Int = 512) throws(SystemError) {
        try self.init(file, sectorSizeBytes, isImage: false)
    }

    /// Attaches a file that is not trusted, read-only and with sectors of 4096 bytes.
    ///
    /// The kernel looks for no partitions in it, and reads past the page cache where the file's file system can, so that
    /// two devices over one file share no cached page.
    public init(image file: String) throws(SystemError) { try self.init(file, 4096, isImage: true) }

    private init(_ file: String, _ sectorSizeBytes: Int, isImage: Bool) throws(SystemError) {
        let descriptor = try OwnedDescriptor(opening: file, isImage ? .read : [.read, .write])
        number = try check(
            apus_loop_attach(descriptor.rawValue, Int32(clamping: sectorSizeBytes), isImage ? 1 : 0), "attach", file)
        path = "/dev/loop\(number)"
    }

    deinit { _ = apus_loop_detach(number) }
}
