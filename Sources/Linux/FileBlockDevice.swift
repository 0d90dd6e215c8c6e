internal import CLinux
internal import Glibc

/// A block device, a regular file, or a window of one, as `BlockDevice`.
///
/// Writes go through the page cache and are written back early, so that memory stays free; reads come from the medium
/// (`O_DIRECT`) wherever the file system allows it, because a hash that matches in the page cache proves nothing.
public final class FileBlockDevice: BlockDevice {
    /// The path that was opened.
    public let path: String
    /// The size of the window in bytes.
    public let sizeBytes: UInt64
    /// The logical sector size in bytes.
    public let sectorSizeBytes: Int
    /// Whether reads go past the page cache.
    public let readsDirectly: Bool

    private let windowStart: UInt64
    private let isBlockDevice: Bool
    private let isWritable: Bool
    private let file: OwnedDescriptor
    /// Holds no descriptor (-1) where the file system refuses direct reads.
    private let direct: OwnedDescriptor
    private let bounce: AlignedBuffer
    private var dirty: Range<UInt64>?

    /// Every kernel's direct I/O accepts this alignment, whatever the sector size.
    private static let alignment = 4096
    private static let bounceBytes = 1 << 20
    /// How much may be dirty before it is sent on its way to the medium.
    private static let writeBackBytes: UInt64 = 8 << 20

    /// Opens a block device or an existing file.
    ///
    /// - Parameters:
    ///   - path: the device or file.
    ///   - offsetBytes: where the window starts; a multiple of the sector size.
    ///   - sizeBytes: the window's size; by default all that follows the offset.
    ///   - sectorSizeBytes: what to assume for a regular file; a device is asked.
    ///   - writable: whether to write.
    ///   - exclusive: whether to fail where a device is mounted or otherwise in use.
    public init(
        path: String, offsetBytes: UInt64 = 0, sizeBytes: UInt64? = nil, sectorSizeBytes: Int? = nil,
        writable: Bool = true, exclusive: Bool = false
    ) throws(SystemError) {
        var options: OwnedDescriptor.Options = writable ? [.read, .write] : [.read]
        if exclusive { options.insert(.exclusive) }
        file = try OwnedDescriptor(opening: path, options)
        let measured = try Self.measure(file)
        isBlockDevice = measured.isBlockDevice
        let sector = measured.sectorSizeBytes ?? sectorSizeBytes ?? 512
        guard sector == 512 || sector == 4096 else {
            throw SystemError("use", path, code: EINVAL, detail: "sectors of \(sector) bytes are not supported")
        }
        let size = sizeBytes ?? (offsetBytes <= measured.sizeBytes ? measured.sizeBytes - offsetBytes : 0)
        let (end, overflow) = offsetBytes.addingReportingOverflow(size)
        guard !overflow, end <= measured.sizeBytes, offsetBytes.isMultiple(of: UInt64(sector)) else {
            throw SystemError(
                "use", path, code: EINVAL,
                detail: "bytes \(offsetBytes) to \(end) are not within its \(measured.sizeBytes) bytes")
        }
        self.path = path
        self.sizeBytes = size
        self.sectorSizeBytes = sector
        windowStart = offsetBytes
        isWritable = writable
        bounce = try AlignedBuffer(sizeBytes: Self.bounceBytes, alignment: Self.alignment)
        // tmpfs and some overlays refuse O_DIRECT; there the page cache is all there is.
        let fd = apus_open(path, UInt32(APUS_READ.rawValue | APUS_DIRECT.rawValue), 0)
        direct = OwnedDescriptor(adopting: fd, path: path)
        readsDirectly = fd >= 0
    }

    private static func measure(
        _ file: borrowing OwnedDescriptor
    ) throws(SystemError) -> (sizeBytes: UInt64, sectorSizeBytes: Int?, isBlockDevice: Bool) {
        let status = try file.status()
        switch status.kind {
        case .regular:
            return (status.sizeBytes, nil, false)
        case .blockDevice:
            var size: UInt64 = 0
            var sector: Int32 = 0
            try check(apus_block_size(file.rawValue, &size), "measure", file.path)
            try check(apus_block_sector_size(file.rawValue, &sector), "measure the sectors of", file.path)
            return (size, Int(sector), true)
        default:
            throw SystemError("use", file.path, code: ENOTBLK, detail: "neither a block device nor a file")
        }
    }

    /// Reads exactly `buffer.count` bytes at `offset` from the medium.
    public func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws {
        try checkRange(offset, buffer.count, "read")
        guard readsDirectly else {
            let start = windowStart + offset
            _ = apus_drop_cache(file.rawValue, start, UInt64(buffer.count))
            return try file.read(at: start, into: buffer)
        }
        var done = 0
        while done < buffer.count {
            let start = windowStart + offset + UInt64(done)
            let lead = Int(start % UInt64(Self.alignment))
            let wanted = min(buffer.count - done, Self.bounceBytes - lead)
            let span = (lead + wanted + Self.alignment - 1) / Self.alignment * Self.alignment
            let got = Int(
                try check(apus_pread(direct.rawValue, bounce.base, span, start - UInt64(lead)), "read", path))
            // The span may reach beyond the end of the file; what was asked for may not.
            guard got > lead else {
                throw SystemError("read", path, code: EIO, detail: "nothing can be read at byte \(start)")
            }
            let take = min(wanted, got - lead)
            UnsafeMutableRawBufferPointer(rebasing: buffer[done..<done + take])
                .copyMemory(from: UnsafeRawBufferPointer(start: bounce.base + lead, count: take))
            done += take
        }
    }

    /// Writes all of `bytes` at `offset`; durable only after `flush()`.
    public func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws {
        try checkRange(offset, bytes.count, "write")
        guard isWritable else { throw SystemError("write", path, code: EROFS, detail: "opened for reading only") }
        let start = windowStart + offset
        try file.write(bytes, at: start)
        let end = start + UInt64(bytes.count)
        let range = dirty.map { min($0.lowerBound, start)..<max($0.upperBound, end) } ?? start..<end
        if range.upperBound - range.lowerBound >= Self.writeBackBytes {
            _ = apus_start_writeback(file.rawValue, range.lowerBound, range.upperBound - range.lowerBound)
            dirty = nil
        } else {
            dirty = range
        }
    }

    /// Returns when everything written before is on the medium, and gives the cached pages back.
    public func flush() throws {
        guard isWritable else { return }
        try file.syncData()
        dirty = nil
        // Only the kernel knows which buffers of a device are cached; the cache of other users' files is left alone.
        _ = apus_drop_cache(file.rawValue, windowStart, sizeBytes)
    }

    /// Tells the medium that a range is not needed any more; what it reads as afterwards is not defined.
    ///
    /// A device that cannot do it is left as it is.
    public func discard(_ range: Range<UInt64>) throws(SystemError) {
        try checkRange(range.lowerBound, range.count, "discard")
        guard isWritable, !range.isEmpty else { return }
        let start = windowStart + range.lowerBound
        let length = range.upperBound - range.lowerBound
        let result =
            isBlockDevice
            ? apus_block_discard(file.rawValue, start, length) : apus_punch_hole(file.rawValue, start, length)
        if result != -EOPNOTSUPP && result != -EINVAL { try check(result, "discard a part of", path) }
    }

    private func checkRange(_ offset: UInt64, _ count: Int, _ operation: String) throws(SystemError) {
        let (end, overflow) = offset.addingReportingOverflow(UInt64(count))
        guard !overflow, end <= sizeBytes else {
            throw SystemError(
                operation, path, code: ERANGE,
                detail: "\(count) bytes at \(offset) are not within its \(sizeBytes) bytes")
        }
    }
}

/// Memory at an address that direct I/O accepts, freed with its owner.
final class AlignedBuffer {
    let base: UnsafeMutableRawPointer

    init(sizeBytes: Int, alignment: Int) throws(SystemError) {
        var pointer: UnsafeMutableRawPointer?
        let result = posix_memalign(&pointer, alignment, sizeBytes)
        guard result == 0, let pointer else { throw SystemError("allocate memory", code: ENOMEM) }
        base = pointer
    }

    deinit { free(base) }
}

extension FileBlockDevice {
    /// Makes the kernel read a disk's partition table again; `EBUSY` while one of its partitions is in use.
    public static func rereadPartitions(of path: String) throws(SystemError) {
        let disk = try OwnedDescriptor(opening: path, .read)
        try check(
            apus_block_reread_partitions(disk.rawValue), "read the partition table again of", path,
            detail: "one of its partitions may be mounted")
    }
}
