internal import Cryptography
internal import Glibc
public import Release

/// Where a release's root file system comes from.
public enum RootSource: Sendable, Equatable {
    /// A directory; files are owned by root where the builder is not root and cannot have made others.
    case directory(String)
    /// A tar archive, not compressed.
    case tar(String)
    /// A finished read-only file system.
    case image(String)
}

/// Makes the root file system's image and its hash tree.
public enum RootImage {
    /// The verity salt of a product line: constant, so that leaf hashes of two versions compare.
    public static func salt(product: String) -> [UInt8] {
        SHA256.digest(Array("apus-verity-salt-v1\0\(product)".utf8))
    }

    /// Every file's time stamp: 1 January 2025. The same for all releases, so that unchanged metadata stays equal.
    static let timestampSeconds = 1_735_689_600

    /// Builds the image at `output`: read-only, every file's data in blocks of its own, nothing compressed, padded to
    /// 4096 bytes. Equal inputs give equal images.
    static func build(
        from source: RootSource, product: String, mkfsErofs: String, output: String, scratch: String
    ) throws(PackingError) {
        switch source {
        case .image(let path):
            guard !Files.isDirectory(path) else { throw PackingError("'\(path)' is a directory, not an image") }
            var file = try OutputFile(output)
            try file.append(contentsOf: path)
            try file.pad(to: VerityLayout.blockBytes)
            guard file.sizeBytes > 0 else { throw PackingError("the root image '\(path)' is empty") }
        case .directory(let path):
            guard Files.isDirectory(path) else { throw PackingError("'\(path)' is not a directory") }
            try erofs(
                (geteuid() == 0 ? [] : ["--all-root"]) + [output, path], product: product, mkfsErofs: mkfsErofs,
                scratch: scratch)
        case .tar(let path):
            guard Files.exists(path), !Files.isDirectory(path) else { throw PackingError("'\(path)' is not a file") }
            guard try isTar(path) else {
                throw PackingError("'\(path)' is no tar archive: unpack it where it is compressed, or give a folder")
            }
            try erofs(["--tar=f", output, path], product: product, mkfsErofs: mkfsErofs, scratch: scratch)
        }
    }

    /// Whether a file begins as a tar archive does (POSIX.1-2017, pax, "ustar").
    private static func isTar(_ path: String) throws(PackingError) -> Bool {
        let file = try InputFile(path)
        guard file.sizeBytes >= 512 else { return false }
        return try file.read(at: 257, count: 5).elementsEqual("ustar".utf8)
    }

    private static func erofs(
        _ arguments: [String], product: String, mkfsErofs: String, scratch: String
    ) throws(PackingError) {
        // A tail that is packed into an inode's block would change that block whenever a neighbour's inode does.
        let options = [
            "--quiet", "-b4096", "-T\(timestampSeconds)", "-U\(uuid(product: product))", "-Enoinline_data",
        ]
        try ExternalProgram.run(mkfsErofs, options + arguments, scratch: scratch)
    }

    /// The file system's UUID, of the product line (RFC 9562, version 8).
    private static func uuid(product: String) -> String {
        var bytes = Array(SHA256.digest(Array("apus-erofs-uuid-v1\0\(product)".utf8)).prefix(16))
        bytes[6] = bytes[6] & 0x0F | 0x80
        bytes[8] = bytes[8] & 0x3F | 0x80
        let digits = bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
        return [digits[0..<4], digits[4..<6], digits[6..<8], digits[8..<10], digits[10..<16]]
            .map { $0.joined() }.joined(separator: "-")
    }

    /// Builds the hash tree of an image whose size is a multiple of 4096 bytes.
    ///
    /// - Parameter report: is told the bytes hashed and the bytes in all.
    public static func tree(
        ofImage path: String, salt: [UInt8], report: (UInt64, UInt64) -> Void = { _, _ in }
    ) throws(PackingError) -> VerityTree {
        let file = try InputFile(path)
        let block = UInt64(VerityLayout.blockBytes)
        guard file.sizeBytes > 0, file.sizeBytes.isMultiple(of: block) else {
            throw PackingError("the root image '\(path)' is not made of whole blocks of \(block) bytes")
        }
        do {
            var builder = try VerityBuilder(dataBlocks: file.sizeBytes / block, salt: salt)
            var offset: UInt64 = 0
            while offset < file.sizeBytes {
                let bytes = try file.read(at: offset, count: Int(min(1 << 20, file.sizeBytes - offset)))
                try append(bytes, to: &builder)
                offset += UInt64(bytes.count)
                report(offset, file.sizeBytes)
            }
            return try builder.finish()
        } catch {
            throw PackingError("cannot build the hash tree of '\(path)': \(error)")
        }
    }

    private static func append(_ bytes: [UInt8], to builder: inout VerityBuilder) throws(ReleaseError) {
        var failure: ReleaseError?
        bytes.withUnsafeBytes { buffer in
            do throws(ReleaseError) { try builder.append(buffer) } catch { failure = error }
        }
        if let failure { throw failure }
    }
}
