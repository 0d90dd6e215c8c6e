internal import CArchive
internal import Linux

/// Reads a tar archive in a file from any entry on: with libarchive over a descriptor that it cannot read beyond.
enum TarFile {
    private final class Source {
        let file: OwnedDescriptor
        let sizeBytes: UInt64
        var offset: UInt64
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 128 << 10, alignment: 16)
        var thrown: (any Error)?
        /// What may still be read for the header that is being read; nil while an entry's bytes are.
        var headerAllowanceBytes: Int?

        init(_ path: String, offset: UInt64) throws {
            file = try OwnedDescriptor(opening: path, [.read, .nonBlocking])
            let status = try file.status()
            guard status.kind == .regular else { throw ImageError.document("'\(path)' is no ordinary file") }
            sizeBytes = status.sizeBytes
            self.offset = offset
        }

        deinit { buffer.deallocate() }
    }

    /// Gives each entry from the one whose header is at `start` on, with its header's offset in the file, until `body`
    /// says that it has enough.
    static func read(
        _ path: String, at start: UInt64, _ body: (OpaquePointer, OpaquePointer, UInt64) throws -> Bool
    ) throws {
        let source = try Source(path, offset: start)
        let archive = try LibArchive.make()
        defer { archive_read_free(archive) }
        _ = archive_read_support_format_tar(archive)
        _ = archive_read_set_callback_data(archive, Unmanaged.passUnretained(source).toOpaque())
        _ = archive_read_set_read_callback(archive) { TarFile.pull($0, $1, $2) }
        _ = archive_read_set_skip_callback(archive) { TarFile.skip($0, $1, $2) }
        try withExtendedLifetime(source) {
            try LibArchive.withUTF8Names {
                try translated(path, source, archive) { archive_read_open1(archive) }
                while true {
                    var entry: OpaquePointer?
                    source.headerAllowanceBytes = LibArchive.headerBytes
                    let result = try translated(path, source, archive) { archive_read_next_header(archive, &entry) }
                    source.headerAllowanceBytes = nil
                    guard result != ARCHIVE_EOF, let entry else { return }
                    let offset = start + UInt64(max(0, archive_read_header_position(archive)))
                    guard try body(archive, entry, offset) else { return }
                    try translated(path, source, archive) { archive_read_data_skip(archive) }
                }
            }
        }
    }

    @discardableResult
    private static func translated(
        _ path: String, _ source: Source, _ archive: OpaquePointer, _ call: () -> Int32
    ) throws -> Int32 {
        let result = call()
        if let thrown = source.thrown { throw thrown }
        do throws(LayerRefusal) {
            try LibArchive.check(result, archive)
        } catch {
            throw ImageError.document("'\(path)' is no tar archive that is not compressed: \(error.detail)")
        }
        return result
    }

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
                guard count <= left else { throw ImageError.document("the archive has a header that is too large") }
                source.headerAllowanceBytes = left - count
            }
            try source.file.read(
                at: source.offset, into: UnsafeMutableRawBufferPointer(rebasing: source.buffer[..<count]))
            source.offset += UInt64(count)
            result.pointee = UnsafeRawPointer(source.buffer.baseAddress)
            return count
        } catch {
            source.thrown = error
            apus_archive_set_error(archive, "the archive cannot be read")
            return -1
        }
    }

    private static func skip(_ archive: OpaquePointer?, _ context: UnsafeMutableRawPointer?, _ count: Int64) -> Int64 {
        guard let context, count > 0 else { return 0 }
        let source = Unmanaged<Source>.fromOpaque(context).takeUnretainedValue()
        // To the end at most: what is cut off is then found missing by the next read.
        let skipped = min(UInt64(count), source.sizeBytes - min(source.offset, source.sizeBytes))
        source.offset += skipped
        return Int64(skipped)
    }
}
