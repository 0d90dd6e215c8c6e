internal import CArchive
internal import Contract
internal import Cryptography
internal import Linux

/// The bytes of a packed layer, unpacked piece by piece, counted and hashed on the way (libarchive, archive_read(3)).
final class Unpacker {
    private let archive: OpaquePointer
    private let file: OwnedDescriptor
    private let bounds: Bounds
    private var hasher = SHA256Hasher()
    private(set) var unpackedBytes: UInt64 = 0
    private var ended = false

    /// How much may come out.
    struct Bounds {
        var packedBytes: UInt64
        var limits: ImageLimits
        /// What earlier layers leave of the limit.
        var leftBytes: UInt64
    }

    /// Opens a packed layer whose digest was verified before.
    init(path: String, packing: LayerPacking, bounds: Bounds) throws {
        file = try OwnedDescriptor(opening: path, [.read, .noFollow])
        self.bounds = bounds
        archive = try LibArchive.make()
        _ = archive_read_support_format_raw(archive)
        _ = archive_read_support_format_empty(archive)
        switch packing {
        case .plain: break
        // The names of Docker's types were used for both.
        case .gzip, .zstd:
            _ = archive_read_support_filter_gzip(archive)
            _ = archive_read_support_filter_zstd(archive)
        }
        // What is thrown from here on runs `deinit`, which frees the archive.
        try LibArchive.check(archive_read_open_fd(archive, file.rawValue, 128 << 10), archive)
        var entry: OpaquePointer?
        let result = archive_read_next_header(archive, &entry)
        if result == ARCHIVE_EOF { ended = true } else { try LibArchive.check(result, archive) }
        // The library would unpack what is packed again and again; only what comes out at the end is counted.
        guard archive_filter_count(archive) <= 2 else { throw LayerRefusal(.nestedCompression) }
    }

    deinit { archive_read_free(archive) }

    /// The next bytes, valid until the next call; nil at the end.
    func next() throws -> UnsafeRawBufferPointer? {
        while !ended {
            var start: UnsafeRawPointer?
            var count = 0
            var offset: Int64 = 0
            let result = archive_read_data_block(archive, &start, &count, &offset)
            if result == ARCHIVE_EOF {
                ended = true
                break
            }
            try LibArchive.check(result, archive)
            guard let start, count > 0 else { continue }
            unpackedBytes += UInt64(count)
            try checkSize()
            let bytes = UnsafeRawBufferPointer(start: start, count: count)
            hasher.update(bytes)
            return bytes
        }
        return nil
    }

    private func checkSize() throws(LayerRefusal) {
        guard unpackedBytes <= bounds.leftBytes else {
            throw LayerRefusal(.tooLarge, detail: "the layers unpack to more than \(bounds.limits.unpackedBytes) bytes")
        }
        let usual = max(bounds.limits.bombFloorBytes, bounds.packedBytes * bounds.limits.expansion)
        guard unpackedBytes <= usual else {
            throw LayerRefusal(
                .compressionBomb, detail: "\(bounds.packedBytes) bytes unpack to more than \(unpackedBytes) bytes")
        }
    }

    /// The SHA-256 of all that came out, once the end was reached.
    func digest() throws -> Digest256 {
        while try next() != nil {}
        guard let digest = Digest256(bytes: hasher.finish()) else { throw LayerRefusal(.malformed) }
        return digest
    }
}

/// What is common to uses of libarchive.
enum LibArchive {
    /// What one entry's headers may have, read-ahead included. A sparse file's map may go on for ever, and is kept in
    /// memory, long before anybody is asked whether such a file is wanted.
    static let headerBytes = 4 << 20

    static func make() throws -> OpaquePointer {
        guard let archive = archive_read_new() else { throw ImageError.tool("libarchive has no memory") }
        return archive
    }

    /// A warning is a refusal too: it means that something was read otherwise than it stands there.
    static func check(_ result: some BinaryInteger, _ archive: OpaquePointer) throws(LayerRefusal) {
        guard result < 0 else { return }
        let words = archive_error_string(archive).map { String(cString: $0) } ?? "damaged"
        throw LayerRefusal(.malformed, detail: ImagePath.printable(words.utf8))
    }

    /// Runs with a locale in which names are UTF-8, on this thread only.
    static func withUTF8Names<Result>(_ body: () throws -> Result) throws -> Result {
        var before: locale_t?
        guard let utf8 = apus_archive_enter_utf8(&before) else {
            throw ImageError.tool("the C library has no locale C.UTF-8")
        }
        defer { apus_archive_leave_utf8(utf8, before) }
        return try body()
    }
}
