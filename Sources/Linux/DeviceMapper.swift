internal import CLinux
internal import Glibc

/// dm-verity devices by the kernel's own requests, without libdevmapper
/// (Documentation/admin-guide/device-mapper/verity.rst).
public enum DeviceMapper {
    /// A dm-verity device to be made.
    public struct Verity: Sendable, Equatable {
        /// The device's name below `/dev/mapper`.
        public var name: String
        /// The device that holds the data.
        public var dataDevice: String
        /// The device that holds the hash tree.
        public var treeDevice: String
        /// How many data blocks of 4096 bytes there are.
        public var blocks: UInt64
        /// The root hash: 64 lower-case hexadecimal digits.
        public var rootHash: String
        /// The salt in lower-case hexadecimal digits; may be empty.
        public var salt: String
        /// At which block of the tree device the tree starts: 1 after veritysetup's superblock.
        public var treeStartBlock: UInt64
        /// Whether the kernel panics on a corrupted block; otherwise reading it fails.
        public var panicsOnCorruption: Bool

        /// Describes a device; the tree starts after veritysetup's superblock, and corruption panics.
        public init(
            name: String, dataDevice: String, treeDevice: String, blocks: UInt64, rootHash: String, salt: String,
            treeStartBlock: UInt64 = 1, panicsOnCorruption: Bool = true
        ) {
            self.name = name
            self.dataDevice = dataDevice
            self.treeDevice = treeDevice
            self.blocks = blocks
            self.rootHash = rootHash
            self.salt = salt
            self.treeStartBlock = treeStartBlock
            self.panicsOnCorruption = panicsOnCorruption
        }

        /// The target's parameters: version 1, 4096-byte blocks, SHA-256.
        public var parameters: String {
            var words = [
                "1", dataDevice, treeDevice, "4096", "4096", "\(blocks)", "\(treeStartBlock)", "sha256", rootHash,
                salt.isEmpty ? "-" : salt,
            ]
            if panicsOnCorruption { words += ["1", "panic_on_corruption"] }
            return words.joined(separator: " ")
        }
    }

    private static let control = "/dev/mapper/control"

    /// Makes a read-only verity device and returns the path of its node, `/dev/mapper/NAME`.
    ///
    /// Throws `EEXIST` or `EBUSY` where the name is taken. That the root hash fits is shown only by reading.
    public static func create(_ verity: Verity) throws(SystemError) -> String {
        try validate(verity)
        let control = try openControl()
        var major: UInt32 = 0
        var minor: UInt32 = 0
        // The form of UUID by which veritysetup and systemd recognise such a device.
        let uuid = "CRYPT-VERITY-\(verity.rootHash.prefix(32))-\(verity.name)"
        let result = apus_dm_create(
            control.rawValue, verity.name, uuid, verity.blocks * 8, "verity", verity.parameters, &major, &minor)
        try check(
            result, "make the verity device", verity.name,
            detail: result == -EINVAL ? "the kernel refuses '\(verity.parameters)'; is dm-verity loaded?" : "")
        return try makeNode(name: verity.name, major: major, minor: minor)
    }

    /// Removes a device and its node; one that is not there is fine.
    public static func remove(_ name: String) throws(SystemError) {
        let control = try openControl()
        let result = apus_dm_remove(control.rawValue, name)
        if result != -ENXIO { try check(result, "remove the device", name) }
        try Files.remove("/dev/mapper/" + name)
    }

    /// Whether the blocks read so far were as the tree says: `V` of the target's status.
    public static func isVerified(_ name: String) throws(SystemError) -> Bool {
        let control = try openControl()
        var text = [CChar](repeating: 0, count: 256)
        var major: UInt32 = 0
        var minor: UInt32 = 0
        try check(
            apus_dm_status(control.rawValue, name, &text, text.count, &major, &minor), "ask the state of", name)
        return text.first == CChar(UInt8(ascii: "V"))
    }

    private static func openControl() throws(SystemError) -> OwnedDescriptor {
        // The control device is a misc device; without udev its node may have to be made from what /proc/misc says.
        if !Files.exists(control) {
            throw SystemError("open", control, code: ENODEV, detail: "load the modules dm-mod and dm-verity")
        }
        return try OwnedDescriptor(opening: control, [.read, .write])
    }

    private static func makeNode(name: String, major: UInt32, minor: UInt32) throws(SystemError) -> String {
        let path = "/dev/mapper/" + name
        if case .blockDevice(major, minor)? = Files.status(path)?.kind { return path }
        let automatic = "/dev/dm-\(minor)"
        if case .blockDevice(major, minor)? = Files.status(automatic)?.kind {
            try Files.link(path, to: "../dm-\(minor)")
        } else {
            _ = apus_unlink(path)
            try check(apus_mknod_block(path, 0o600, major, minor), "make the node", path)
        }
        return path
    }

    private static func validate(_ verity: Verity) throws(SystemError) {
        func isPlain(_ text: String) -> Bool {
            !text.isEmpty && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f }
        }
        func isHex(_ text: String) -> Bool {
            text.utf8.allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
        }
        let problem: String? =
            if !isPlain(verity.name) || verity.name.contains("/") || verity.name.utf8.count > 64 {
                "the name is not plain"
            } else if !isPlain(verity.dataDevice) || !isPlain(verity.treeDevice) {
                "a device's path is not plain"
            } else if verity.rootHash.utf8.count != 64 || !isHex(verity.rootHash) {
                "the root hash is not 64 lower-case hexadecimal digits"
            } else if verity.salt.utf8.count > 512 || !verity.salt.utf8.count.isMultiple(of: 2) || !isHex(verity.salt) {
                "the salt is not at most 512 lower-case hexadecimal digits"
            } else if verity.blocks == 0 || verity.blocks > 1 << 40 {
                "\(verity.blocks) blocks are not possible"
            } else {
                nil
            }
        if let problem { throw SystemError("make the verity device", verity.name, code: EINVAL, detail: problem) }
    }
}
