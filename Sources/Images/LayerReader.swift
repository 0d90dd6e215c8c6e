internal import CArchive
public import Contract

/// Reads a packed layer's entries one after another without putting anything onto a file system.
///
/// gzip, Zstandard and tar are libarchive's; names, kinds and sizes are `LayerRules`' to judge.
public enum LayerReader {
    /// What a layer is, known once it was read to its end.
    public struct Summary: Sendable, Equatable {
        /// The SHA-256 of the archive, unpacked.
        public var digest: Digest256
        /// The archive's size, unpacked, in bytes.
        public var unpackedBytes: UInt64
    }

    /// The bytes of the entry that is at hand.
    public struct Bytes: ~Copyable {
        fileprivate let archive: OpaquePointer
        fileprivate let source: Source

        /// Gives the bytes piece by piece, and says how many there were. Holes of sparse files are zeros.
        public borrowing func read(_ body: (UnsafeRawBufferPointer) throws -> Void) throws -> UInt64 {
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 128 << 10, alignment: 16)
            defer { buffer.deallocate() }
            var total: UInt64 = 0
            while true {
                let count = archive_read_data(archive, buffer.baseAddress, buffer.count)
                if let thrown = source.thrown { throw thrown }
                try LibArchive.check(count, archive)
                if count == 0 { return total }
                total += UInt64(count)
                try body(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            }
        }
    }

    /// Reads all entries of a layer, whose digest was verified before, in order.
    ///
    /// - Parameters:
    ///   - path: the file that holds the packed layer.
    ///   - packing: how it is packed.
    ///   - packedBytes: its size, against which bombs are measured.
    ///   - limits: how much may come out of it.
    ///   - usedBytes: what earlier layers used of the limit.
    ///   - body: is given each entry's number, header and bytes; what it does not read is passed over.
    /// - Throws: `LayerRefusal`, or what `body` throws.
    public static func read(
        _ path: String, packing: LayerPacking, packedBytes: UInt64, limits: ImageLimits = .standard,
        usedBytes: UInt64 = 0, _ body: (Int, LayerEntry, borrowing Bytes) throws -> Void
    ) throws -> Summary {
        let left = limits.unpackedBytes - min(usedBytes, limits.unpackedBytes)
        let unpacker = try Unpacker(
            path: path, packing: packing,
            bounds: Unpacker.Bounds(packedBytes: packedBytes, limits: limits, leftBytes: left))
        let source = Source(unpacker)
        try LibArchive.withUTF8Names { try readEntries(source, body) }
        return Summary(digest: try unpacker.digest(), unpackedBytes: unpacker.unpackedBytes)
    }

    /// Where the archive's reader gets its bytes; keeps what an unpacker threw while libarchive's C stood in between.
    fileprivate final class Source {
        let unpacker: Unpacker
        var thrown: (any Error)?
        /// What may still be read for the header that is being read; nil while an entry's bytes are.
        var headerAllowanceBytes: Int?

        init(_ unpacker: Unpacker) { self.unpacker = unpacker }
    }

    private static func readEntries(
        _ source: Source, _ body: (Int, LayerEntry, borrowing Bytes) throws -> Void
    ) throws {
        let archive = try LibArchive.make()
        defer { archive_read_free(archive) }
        _ = archive_read_support_format_tar(archive)
        let context = Unmanaged.passUnretained(source).toOpaque()
        try withExtendedLifetime(source) {
            let opened = archive_read_open(archive, context, nil, { LayerReader.pull($0, $1, $2) }, nil)
            if let thrown = source.thrown { throw thrown }
            try LibArchive.check(opened, archive)
            var index = 0
            while true {
                var entry: OpaquePointer?
                source.headerAllowanceBytes = LibArchive.headerBytes
                let result = archive_read_next_header(archive, &entry)
                source.headerAllowanceBytes = nil
                if let thrown = source.thrown { throw thrown }
                if result == ARCHIVE_EOF { return }
                try LibArchive.check(result, archive)
                guard let entry else { throw LayerRefusal(.malformed) }
                try body(index, try header(entry), Bytes(archive: archive, source: source))
                index += 1
                // Here and not by the next header's reading, whose bytes are bounded.
                let skipped = archive_read_data_skip(archive)
                if let thrown = source.thrown { throw thrown }
                try LibArchive.check(skipped, archive)
            }
        }
    }

    private static func pull(
        _ archive: OpaquePointer?, _ context: UnsafeMutableRawPointer?,
        _ buffer: UnsafeMutablePointer<UnsafeRawPointer?>?
    ) -> Int {
        guard let archive, let context, let buffer else { return -1 }
        let source = Unmanaged<Source>.fromOpaque(context).takeUnretainedValue()
        do {
            guard let bytes = try source.unpacker.next() else {
                buffer.pointee = nil
                return 0
            }
            if let left = source.headerAllowanceBytes {
                guard bytes.count <= left else { throw LayerRefusal(.malformed, detail: "a header is too large") }
                source.headerAllowanceBytes = left - bytes.count
            }
            buffer.pointee = bytes.baseAddress
            return bytes.count
        } catch {
            source.thrown = error
            apus_archive_set_error(archive, "the layer cannot be unpacked")
            return -1
        }
    }

    /// What libarchive read of an entry's header.
    static func header(_ entry: OpaquePointer) throws(LayerRefusal) -> LayerEntry {
        guard let name = archive_entry_pathname(entry) else {
            throw LayerRefusal(.badPath, detail: "an entry has no name, or one that is not UTF-8")
        }
        let path = bytes(name)
        return LayerEntry(
            path: path, kind: try kind(entry, path), mode: archive_entry_perm(entry), user: archive_entry_uid(entry),
            group: archive_entry_gid(entry),
            modifiedSeconds: archive_entry_mtime_is_set(entry) != 0 ? Int64(archive_entry_mtime(entry)) : 0,
            attributes: try attributes(entry, path))
    }

    private static func kind(_ entry: OpaquePointer, _ path: [UInt8]) throws(LayerRefusal) -> LayerEntry.Kind {
        if let target = archive_entry_hardlink(entry) { return .hardLink(target: bytes(target)) }
        switch archive_entry_filetype(entry) {
        case apus_archive_regular:
            let size = archive_entry_size_is_set(entry) != 0 ? archive_entry_size(entry) : 0
            guard size >= 0 else { throw LayerRefusal(.malformed, path: path, detail: "a negative size") }
            return .file(sizeBytes: UInt64(size))
        case apus_archive_directory: return .directory
        case apus_archive_symlink:
            return .symbolicLink(target: archive_entry_symlink(entry).map { bytes($0) } ?? [])
        case apus_archive_fifo: return .fifo
        case apus_archive_character, apus_archive_block: return .device
        default: return .unknown
        }
    }

    private static func attributes(
        _ entry: OpaquePointer, _ path: [UInt8]
    ) throws(LayerRefusal) -> [String: [UInt8]] {
        let count = archive_entry_xattr_reset(entry)
        guard count > 0 else { return [:] }
        guard count <= 64 else { throw LayerRefusal(.tooManyAttributes, path: path) }
        var found: [String: [UInt8]] = [:]
        for _ in 0..<count {
            var name: UnsafePointer<CChar>?
            var value: UnsafeRawPointer?
            var size = 0
            guard archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK, let name else { break }
            found[String(cString: name)] = Array(UnsafeRawBufferPointer(start: value, count: value == nil ? 0 : size))
        }
        return found
    }

    private static func bytes(_ text: UnsafePointer<CChar>) -> [UInt8] {
        var bytes: [UInt8] = []
        var next = text
        while next.pointee != 0 {
            bytes.append(UInt8(bitPattern: next.pointee))
            next += 1
        }
        return bytes
    }
}
