public import Decisions
public import Linux
public import Release

/// The two partitions of a slot that hold its root file system and its hash tree.
public struct SlotPartitions {
    /// For messages, such as `slot A`.
    public var name: String
    /// The root partition.
    public var root: any BlockDevice
    /// The tree's partition.
    public var tree: any BlockDevice

    /// Makes a slot from its partitions.
    public init(name: String, root: any BlockDevice, tree: any BlockDevice) {
        self.name = name
        self.root = root
        self.tree = tree
    }

    /// Reads the hash tree from its partition and verifies it against the root hash.
    ///
    /// Throws `SlotError.tree` where it is another or damaged, or what the device throws.
    public func readTree(of image: BootArguments.SlotImage) throws -> VerityTree {
        guard image.blocks >= 1, image.blocks <= UInt64(UInt32.max) else {
            throw SlotError.tree("a root file system of \(image.blocks) blocks")
        }
        let size = VerityLayout(dataBlocks: image.blocks).imageBytes
        guard size <= tree.sizeBytes else {
            throw SlotError.tooSmall(partition: "\(name) tree", sizeBytes: tree.sizeBytes, neededBytes: size)
        }
        let bytes = try tree.readWhole(at: 0, count: Int(size))
        do {
            return try VerityTree(
                verifying: bytes, dataBlocks: image.blocks, salt: image.salt, rootHash: image.rootHash)
        } catch {
            throw SlotError.tree("\(name): \(error.description)")
        }
    }

    func checkSizes(_ manifest: Manifest) throws(SlotError) {
        guard root.sizeBytes >= manifest.root.bytes else {
            throw .tooSmall(partition: "\(name) root", sizeBytes: root.sizeBytes, neededBytes: manifest.root.bytes)
        }
        guard tree.sizeBytes >= manifest.root.treeBytes else {
            throw .tooSmall(partition: "\(name) tree", sizeBytes: tree.sizeBytes, neededBytes: manifest.root.treeBytes)
        }
    }
}

extension BootArguments.SlotImage {
    /// What a manifest says of its root file system.
    public init(_ manifest: Manifest) {
        self.init(
            rootHash: manifest.root.rootHash, salt: manifest.root.salt, blocks: manifest.root.blocks,
            version: manifest.releaseVersion)
    }

    /// What the boot record says of a slot.
    public init(_ installed: InstalledRelease) {
        self.init(
            rootHash: installed.rootHash, salt: installed.salt, blocks: installed.blocks, version: installed.version)
    }
}

extension BlockDevice {
    /// Reads many bytes, whole sectors, without a second copy in memory.
    func readWhole(at offset: UInt64, count: Int) throws -> [UInt8] {
        try [UInt8](unsafeUninitializedCapacity: count) { buffer, used in
            let bytes = UnsafeMutableRawBufferPointer(buffer)
            while used < count {
                let piece = min(1 << 20, count - used)
                try read(
                    at: offset + UInt64(used), into: UnsafeMutableRawBufferPointer(rebasing: bytes[used..<used + piece])
                )
                used += piece
            }
        }
    }
}
