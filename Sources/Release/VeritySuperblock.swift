internal import Contract
internal import Cryptography

/// The superblock of a verity tree, version 1, as `veritysetup` writes and reads it (cryptsetup's
/// `lib/verity/verity.c`, `struct verity_sb`): 512 bytes at the start of the tree's image.
public struct VeritySuperblock: Sendable, Equatable {
    /// The number of data blocks.
    public var dataBlocks: UInt64
    /// The salt, at most 256 bytes.
    public var salt: [UInt8]
    /// The tree's UUID: 16 bytes.
    public var uuid: [UInt8]

    /// The superblock's size in bytes.
    public static let bytes = 512

    /// Makes a superblock whose UUID follows from the salt, so that equal inputs give equal images: the first 16 bytes
    /// of a labelled SHA-256, marked as a name-based UUID of version 8 (RFC 9562, section 5.8).
    public init(dataBlocks: UInt64, salt: [UInt8]) {
        var uuid = Array(SHA256.digest(Array("apus-verity-uuid-v1\0".utf8) + salt).prefix(16))
        uuid[6] = uuid[6] & 0x0F | 0x80
        uuid[8] = uuid[8] & 0x3F | 0x80
        self.init(dataBlocks: dataBlocks, salt: salt, uuid: uuid)
    }

    init(dataBlocks: UInt64, salt: [UInt8], uuid: [UInt8]) {
        self.dataBlocks = dataBlocks
        self.salt = salt
        self.uuid = uuid
    }

    /// The 512 bytes.
    public var encoded: [UInt8] {
        var bytes = ByteWriter()
        bytes.append(Array("verity\0\0".utf8))
        bytes.append(UInt32(1))
        bytes.append(UInt32(1))
        bytes.append(uuid)
        bytes.append(Array("sha256".utf8), paddedTo: 32)
        bytes.append(UInt32(VerityLayout.blockBytes))
        bytes.append(UInt32(VerityLayout.blockBytes))
        bytes.append(dataBlocks)
        bytes.append(UInt16(salt.count))
        bytes.append([UInt8](), paddedTo: 6)
        bytes.append(salt, paddedTo: 256)
        bytes.append([UInt8](), paddedTo: 168)
        return bytes.bytes
    }

    /// Reads a superblock: SHA-256, 4096-byte blocks and hash type 1 only, and every unused byte zero.
    public init(parsing bytes: some Collection<UInt8>) throws(ReleaseError) {
        var reader = ByteReader(Array(bytes))
        func check(_ holds: Bool, _ what: String) throws(ReleaseError) {
            guard holds else { throw ReleaseError("the hash tree's superblock \(what)") }
        }
        try check(bytes.count == Self.bytes, "has \(bytes.count) bytes, not \(Self.bytes)")
        try check(try reader.bytes(8) == Array("verity\0\0".utf8), "has no signature 'verity'")
        try check(try reader.uint32() == 1, "is not of version 1")
        try check(try reader.uint32() == 1, "is not of hash type 1")
        uuid = try reader.bytes(16)
        try check(
            try reader.bytes(32) == Array("sha256".utf8) + [UInt8](repeating: 0, count: 26), "is not for sha256")
        let blockBytes = UInt32(VerityLayout.blockBytes)
        try check(try reader.uint32() == blockBytes, "does not have data blocks of 4096 bytes")
        try check(try reader.uint32() == blockBytes, "does not have hash blocks of 4096 bytes")
        dataBlocks = try reader.uint64()
        try check(dataBlocks >= 1 && dataBlocks <= UInt64(ManifestLimit.blocks), "has an impossible number of blocks")
        let saltBytes = Int(try reader.uint16())
        try check(saltBytes <= 256, "has a salt of more than 256 bytes")
        try check(try reader.bytes(6).allSatisfy { $0 == 0 }, "has bytes where none belong")
        let field = try reader.bytes(256)
        salt = Array(field.prefix(saltBytes))
        try check(field.dropFirst(saltBytes).allSatisfy { $0 == 0 }, "has bytes behind its salt")
        try check(try reader.bytes(168).allSatisfy { $0 == 0 }, "has bytes at its end")
    }
}
