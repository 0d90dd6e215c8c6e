internal import CLinux
internal import Glibc

/// A file shown as a disk with partitions, until it goes out of scope (loop(4)).
public struct LoopDevice: ~Copyable {
    /// The node, such as `/dev/loop3`.
    public let path: String
    private let number: Int32

    /// Attaches a file; needs the privilege to administer devices.
    public init(file: String, sectorSizeBytes: Int = 512, readOnly: Bool = false) throws(SystemError) {
        let descriptor = try OwnedDescriptor(opening: file, readOnly ? .read : [.read, .write])
        number = try check(
            apus_loop_attach(descriptor.rawValue, Int32(clamping: sectorSizeBytes), readOnly ? 1 : 0), "attach", file)
        path = "/dev/loop\(number)"
    }

    deinit { _ = apus_loop_detach(number) }
}
