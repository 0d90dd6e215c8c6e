public import Contract

/// An image in a store: a file system that is read through dm-verity, and what it says about itself.
public struct StoredImage: Sendable, Codable, Equatable {
    /// The version of this record.
    public var format: Int
    /// The reference that it was pulled by, with the digest that it named then.
    public var reference: String
    /// The digest of its manifest for this platform.
    public var digest: Digest256
    /// The digest of its configuration.
    public var config: Digest256
    /// The packed layers that it was made of, the lowest first.
    public var layers: [Digest256]
    /// What became of set-id bits.
    public var setID: SetIDRule
    /// Of how many files they were taken.
    public var strippedFiles: Int
    /// What was added to every owner.
    public var idOffset: UInt32
    /// How many blocks of 4096 bytes the file system has.
    public var blocks: UInt64
    /// The root hash of its tree.
    public var rootHash: Digest256
    /// The tree's salt in lower-case hexadecimal digits.
    public var salt: String
    /// What it takes on the disk, its tree included, in bytes.
    public var sizeBytes: UInt64
    /// What it is; nil for a container's image, and for any that was made before this was written down.
    public var content: Content?

    /// What an image is that is no container's.
    public enum Content: String, Sendable, Codable {
        /// The parts of a virtual machine.
        case machine
        /// A function's zip, unpacked.
        case zip
    }

    /// Its directory's name in the store: what it was made of, and how.
    var name: String { Self.name(digest, setID, idOffset) }

    static func name(_ digest: Digest256, _ setID: SetIDRule, _ idOffset: UInt32) -> String {
        "\(digest)-\(setID.rawValue)-\(idOffset)"
    }
}
