internal import CArchive
internal import Glibc
internal import Linux

/// Reads a zip's entries in the order in which they lie in the file, as its central directory names them
/// (PKWARE's APPNOTE 6.3.10, section 4.3), without putting anything onto a file system.
///
/// Directory, inflating and checksums are libarchive's; names, kinds and sizes are `ZipRules`' to judge.
enum ZipReader {
    /// The bytes of the entry that is at hand.
    struct Bytes: ~Copyable {
        fileprivate let archive: OpaquePointer
        fileprivate let source: Source

        /// Gives the bytes piece by piece, of which there must be exactly so many.
        borrowing func read(_ sizeBytes: UInt64, of path: [UInt8], _ body: (UnsafeRawBufferPointer) throws -> Void)
            throws
        {
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 128 << 10, alignment: 16)
            defer { buffer.deallocate() }
            var left = sizeBytes
            while true {
                let count = archive_read_data(archive, buffer.baseAddress, buffer.count)
                if let thrown = source.thrown { throw thrown }
                try LibArchive.check(count, archive)
                guard count > 0 else { break }
                guard UInt64(count) <= left else {
                    throw LayerRefusal(.malformed, path: path, detail: "it has more than \(sizeBytes) bytes")
                }
                left -= UInt64(count)
                try body(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            }
            guard left == 0 else {
                throw LayerRefusal(.malformed, path: path, detail: "it has \(sizeBytes - left) of \(sizeBytes) bytes")
            }
        }
    }

    /// Where libarchive gets the file's bytes.
    fileprivate final class Source {
        let file: OwnedDescriptor
        let sizeBytes: UInt64
        var offset: UInt64 = 0
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)
        /// What was thrown while libarchive's C stood in between.
        var thrown: (any Error)?
        /// What may still be read for the header, or the directory, that is being read; nil while an entry's bytes are.
        var headerAllowanceBytes: Int?
        /// What may still be read at all. Entries that overlap can make a small file endless (D. Fifield, "A better zip
        /// bomb", 2019), even one that unpacks to nothing.
        var allowanceBytes: UInt64

        init(_ path: String, limits: ImageLimits) throws {
            file = try OwnedDescriptor(opening: path, [.read, .noFollow, .nonBlocking])
            let status = try file.status()
            guard status.kind == .regular else { throw LayerRefusal(.malformed, detail: "it is no ordinary file") }
            sizeBytes = status.sizeBytes
            guard sizeBytes <= limits.packedBytes else {
                throw LayerRefusal(.tooLarge, detail: "it has more than \(limits.packedBytes) bytes")
            }
            // Its end is looked at, then the directory is read, then every entry.
            allowanceBytes = 3 * sizeBytes + (1 << 20)
        }

        deinit { buffer.deallocate() }
    }

    /// Gives each entry's number, header and bytes; what `body` does not read is passed over.
    static func read(
        _ path: String, limits: ImageLimits, _ body: (Int, LayerEntry, borrowing Bytes) throws -> Void
    ) throws {
        let source = try Source(path, limits: limits)
        let archive = try LibArchive.make()
        defer { archive_read_free(archive) }
        // Not the reader of streams, which believes each entry's own header instead of the directory.
        _ = archive_read_support_format_zip_seekable(archive)
        _ = archive_read_set_callback_data(archive, Unmanaged.passUnretained(source).toOpaque())
        _ = archive_read_set_read_callback(archive) { ZipReader.pull($0, $1, $2) }
        _ = archive_read_set_seek_callback(archive) { ZipReader.seek($0, $1, $2, $3) }
        try withExtendedLifetime(source) {
            try LibArchive.withUTF8Names {
                let opened = archive_read_open1(archive)
                if let thrown = source.thrown { throw thrown }
                try LibArchive.check(opened, archive)
                try readEntries(archive, source, limits, body)
            }
        }
    }

    private static func readEntries(
        _ archive: OpaquePointer, _ source: Source, _ limits: ImageLimits,
        _ body: (Int, LayerEntry, borrowing Bytes) throws -> Void
    ) throws {
        var index = 0
        while true {
            var entry: OpaquePointer?
            // The first one brings the directory.
            source.headerAllowanceBytes = index == 0 ? limits.directoryBytes : LibArchive.headerBytes
            let result = archive_read_next_header(archive, &entry)
            source.headerAllowanceBytes = nil
            if let thrown = source.thrown { throw thrown }
            if result == ARCHIVE_EOF { return }
            try LibArchive.check(result, archive)
            guard let entry else { throw LayerRefusal(.malformed) }
            let header = try LayerReader.header(entry)
            try checkPacking(archive, entry, header)
            try body(index, header, Bytes(archive: archive, source: source))
            index += 1
            let skipped = archive_read_data_skip(archive)
            if let thrown = source.thrown { throw thrown }
            try LibArchive.check(skipped, archive)
            // What was read ahead of a small entry is read again after a seek.
            source.allowanceBytes += 2 * UInt64(source.buffer.count)
        }
    }

    /// Stored or deflated, as Lambda takes them: further unpackers would be there only for those who attack them.
    private static func checkPacking(
        _ archive: OpaquePointer, _ entry: OpaquePointer, _ header: LayerEntry
    ) throws(LayerRefusal) {
        guard archive_entry_is_encrypted(entry) == 0 else { throw LayerRefusal(.encrypted, path: header.path) }
        guard case .file = header.kind else { return }
        let method = archive_format_name(archive).map { String(cString: $0) } ?? ""
        guard method.hasSuffix("(deflation)") || method.hasSuffix("(uncompressed)") else {
            throw LayerRefusal(
                .malformed, path: header.path, detail: "it is compressed in another way than by deflate: '\(method)'")
        }
        guard archive_entry_size_is_set(entry) != 0 else {
            throw LayerRefusal(.malformed, path: header.path, detail: "nothing says how large it is")
        }
    }

    // MARK: - The file

    private static func pull(
        _ archive: OpaquePointer?, _ context: UnsafeMutableRawPointer?,
        _ result: UnsafeMutablePointer<UnsafeRawPointer?>?
    ) -> Int {
        guard let archive, let context, let result else { return -1 }
        let source = Unmanaged<Source>.fromOpaque(context).takeUnretainedValue()
        let count = Int(min(UInt64(source.buffer.count), source.sizeBytes - min(source.offset, source.sizeBytes)))
        guard count > 0 else { return 0 }
        do {
            if let left = source.headerAllowanceBytes {
                guard count <= left else {
                    throw LayerRefusal(.tooManyEntries, detail: "its directory, or a header, is too large")
                }
                source.headerAllowanceBytes = left - count
            }
            guard UInt64(count) <= source.allowanceBytes else {
                throw LayerRefusal(.compressionBomb, detail: "its entries overlap")
            }
            source.allowanceBytes -= UInt64(count)
            try source.file.read(
                at: source.offset, into: UnsafeMutableRawBufferPointer(rebasing: source.buffer[..<count]))
            source.offset += UInt64(count)
            result.pointee = UnsafeRawPointer(source.buffer.baseAddress)
            return count
        } catch {
            source.thrown = error
            apus_archive_set_error(archive, "the zip cannot be read")
            return -1
        }
    }

    private static func seek(
        _ archive: OpaquePointer?, _ context: UnsafeMutableRawPointer?, _ distance: Int64, _ whence: Int32
    ) -> Int64 {
        guard let context else { return Int64(ARCHIVE_FATAL) }
        let source = Unmanaged<Source>.fromOpaque(context).takeUnretainedValue()
        let start =
            switch whence {
            case SEEK_SET: Int64(0)
            case SEEK_CUR: Int64(source.offset)
            default: Int64(source.sizeBytes)
            }
        let (target, overflow) = start.addingReportingOverflow(distance)
        guard !overflow, target >= 0, target <= Int64(source.sizeBytes) else { return Int64(ARCHIVE_FATAL) }
        source.offset = UInt64(target)
        return target
    }
}
