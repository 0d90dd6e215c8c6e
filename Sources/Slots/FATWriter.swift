public import Linux

/// Writes a FAT32 volume so that it exists only when all of it does.
///
/// Order: `invalidate` zeroes the boot sector, contents are written, then tables and directories, everything is
/// flushed and read back, and the boot sector comes last: until then firmware finds no file system there.
public final class FATWriter {
    private let device: any BlockDevice
    /// What is being written.
    public let layout: FATLayout

    /// Makes the partition unreadable as FAT before anything else in it changes. Durable on return.
    public static func invalidate(_ device: any BlockDevice) throws {
        let sector = UInt64(device.sectorSizeBytes)
        // First the sector that counts, by itself: a cut in between leaves nothing that a driver accepts.
        try device.writeZeros(at: 0, count: min(sector, device.sizeBytes))
        try device.flush()
        let reserved = min(sector * UInt64(FATLayout.reservedSectors), device.sizeBytes)
        guard reserved > sector else { return }
        try device.writeZeros(at: sector, count: reserved - sector)
        try device.flush()
    }

    /// Invalidates the partition and starts a volume with these files; throws `FATError` or what the device throws.
    public init(_ device: any BlockDevice, files: [FATLayout.File], label: String = "APUS") throws {
        self.device = device
        layout = try FATLayout(
            files: files, volumeBytes: device.sizeBytes, sectorBytes: device.sectorSizeBytes, label: label)
        try Self.invalidate(device)
    }

    /// Writes a piece of a file; `offset` is a multiple of the sector size, and only the last piece may end within one.
    public func write(_ bytes: UnsafeRawBufferPointer, to path: String, at offset: UInt64) throws {
        let run = try layout.file(path)
        let sector = layout.sectorBytes
        let end = offset + UInt64(bytes.count)
        guard end <= run.sizeBytes, offset.isMultiple(of: UInt64(sector)),
            bytes.count.isMultiple(of: sector) || end == run.sizeBytes
        else { throw DeviceRangeError(offset: offset, count: bytes.count, sizeBytes: run.sizeBytes) }
        let start = layout.offset(ofCluster: run.cluster) + offset
        let whole = bytes.count / sector * sector
        if whole > 0 { try device.write(UnsafeRawBufferPointer(rebasing: bytes[..<whole]), at: start) }
        guard whole < bytes.count else { return }
        let tail = AlignedBuffer(count: sector)
        tail.bytes.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[whole...]))
        try device.write(UnsafeRawBufferPointer(tail.bytes), at: start + UInt64(whole))
    }

    /// Writes the structures, reads everything back, and commits by the boot sector. Durable on return.
    ///
    /// `verify` gets the volume as it reads from the device, before it is committed, and throws to refuse it.
    public func finish(verify: (FATVolume) throws -> Void) throws {
        for run in layout.runs {
            guard let entries = run.directory else { continue }
            let padding = [UInt8](repeating: 0, count: run.clusters * layout.clusterBytes - entries.count)
            try device.writeSectors(entries + padding, at: layout.offset(ofCluster: run.cluster))
        }
        try forEachTablePiece { bytes, offset in try device.writeSectors(bytes, at: offset) }
        let info = layout.infoSector()
        try device.writeSectors(info, at: UInt64(layout.sectorBytes))
        try device.writeSectors(info, at: UInt64((FATLayout.backupSector + 1) * layout.sectorBytes))
        try device.flush()

        try forEachTablePiece { bytes, offset in
            guard try device.holds(bytes, at: offset) else {
                throw FATError.readBack("the allocation table at \(offset) differs")
            }
        }
        try verify(FATVolume(device, bootSector: layout.bootSector()))

        try device.writeSectors(layout.bootSector(), at: UInt64(FATLayout.backupSector * layout.sectorBytes))
        try device.flush()
        try device.writeSectors(layout.bootSector(), at: 0)
        try device.flush()
        guard try device.holds(layout.bootSector(), at: 0) else {
            throw FATError.readBack("the boot sector differs")
        }
    }

    /// Writes a whole small volume from memory: invalidates, writes, reads back, commits.
    public static func write(
        _ files: [(path: String, bytes: [UInt8])], to device: any BlockDevice, label: String = "APUS"
    ) throws {
        let writer = try FATWriter(
            device, files: files.map { FATLayout.File(path: $0.path, sizeBytes: UInt64($0.bytes.count)) }, label: label)
        for file in files where !file.bytes.isEmpty {
            let buffer = AlignedBuffer(count: file.bytes.count)
            buffer.bytes.copyBytes(from: file.bytes)
            try writer.write(UnsafeRawBufferPointer(buffer.bytes), to: file.path, at: 0)
        }
        try writer.finish { volume in
            for file in files {
                guard try volume.readFile(file.path, limitBytes: file.bytes.count) == file.bytes else {
                    throw FATError.readBack("'\(file.path)' differs")
                }
            }
        }
    }

    /// Gives both tables in pieces of at most 64 KiB with their places.
    private func forEachTablePiece(_ body: ([UInt8], UInt64) throws -> Void) throws {
        let tableBytes = layout.sectorsPerFAT * layout.sectorBytes
        for copy in 0..<2 {
            let start = UInt64(FATLayout.reservedSectors * layout.sectorBytes + copy * tableBytes)
            for offset in stride(from: 0, to: tableBytes, by: 64 << 10) {
                let count = min(64 << 10, tableBytes - offset)
                try body(layout.table(from: offset / 4, count: count / 4), start + UInt64(offset))
            }
        }
    }
}
