public import Linux

/// Reads a FAT32 volume: bounded, and safe for hostile ones.
///
/// Implements what reading needs of Microsoft's FAT specification 1.03.
public final class FATVolume {
    private let device: any BlockDevice
    private let sectorBytes: UInt64
    private let clusterBytes: UInt64
    private let tableOffset: UInt64
    private let dataOffset: UInt64
    private let clusterCount: UInt32
    private let rootCluster: UInt32
    /// A piece of the allocation table that was read last.
    private var tablePiece: (offset: UInt64, bytes: [UInt8]) = (UInt64.max, [])
    static let directoryLimitBytes: UInt64 = 2 << 20
    /// Bounds the walk along a hostile chain.
    static let extentLimit = 65_536

    /// Opens the volume on a device; throws `FATError`, or what the device throws.
    public convenience init(_ device: any BlockDevice) throws {
        guard device.sizeBytes >= 4096 else { throw FATError.malformed("the partition is too small") }
        try self.init(device, bootSector: device.readBytes(at: 0, count: 512))
    }

    /// Opens a volume whose boot sector is not on the device yet.
    init(_ device: any BlockDevice, bootSector: [UInt8]) throws {
        self.device = device
        guard bootSector.count >= 512, bootSector.little(UInt16.self, at: 510) == 0xaa55 else {
            throw FATError.malformed("there is no boot sector")
        }
        sectorBytes = UInt64(bootSector.little(UInt16.self, at: 11))
        let sectorsPerCluster = UInt64(bootSector[13])
        guard [512, 1024, 2048, 4096].contains(sectorBytes), (1...128).contains(sectorsPerCluster),
            sectorsPerCluster.nonzeroBitCount == 1
        else { throw FATError.malformed("impossible sector or cluster sizes") }
        let reserved = UInt64(bootSector.little(UInt16.self, at: 14))
        let tables = UInt64(bootSector[16])
        let sectors = UInt64(bootSector.little(UInt32.self, at: 32))
        let sectorsPerTable = UInt64(bootSector.little(UInt32.self, at: 36))
        guard reserved > 0, (1...2).contains(tables), bootSector.little(UInt16.self, at: 22) == 0,
            sectorsPerTable > 0
        else { throw FATError.malformed("it is not FAT32") }
        let dataSector = reserved + tables * sectorsPerTable
        guard sectors > dataSector, sectors * sectorBytes <= device.sizeBytes else {
            throw FATError.malformed("it is larger than its partition")
        }
        clusterBytes = sectorBytes * sectorsPerCluster
        tableOffset = reserved * sectorBytes
        dataOffset = dataSector * sectorBytes
        let clusters = min((sectors - dataSector) / sectorsPerCluster, sectorsPerTable * sectorBytes / 4 - 2)
        guard clusters < 0x0fff_fff5, clusters > 0 else { throw FATError.malformed("impossible number of clusters") }
        clusterCount = UInt32(clusters)
        rootCluster = bootSector.little(UInt32.self, at: 44)
    }

    /// Opens a file by its path, in any case; throws `FATError.notFound`.
    public func open(_ path: String) throws -> FATFile {
        var names = path.split { $0 == "/" || $0 == "\\" }.map { $0.uppercased() }
        guard let last = names.popLast(), names.count < 16 else { throw FATError.badPath(path) }
        var cluster = rootCluster
        for name in names {
            guard let entry = try entries(from: cluster).first(where: { $0.matches(name) && $0.isDirectory }) else {
                throw FATError.notFound(path)
            }
            cluster = entry.cluster
        }
        guard let entry = try entries(from: cluster).first(where: { $0.matches(last) && !$0.isDirectory }) else {
            throw FATError.notFound(path)
        }
        let extents = try chain(from: entry.cluster, sizeBytes: UInt64(entry.sizeBytes))
        return FATFile(device: device, sizeBytes: UInt64(entry.sizeBytes), extents: extents)
    }

    /// Reads a whole file of at most `limitBytes`.
    public func readFile(_ path: String, limitBytes: Int) throws -> [UInt8] {
        let file = try open(path)
        guard file.sizeBytes <= UInt64(limitBytes) else { throw FATError.tooLarge("'\(path)'") }
        return try file.read(at: 0, count: Int(file.sizeBytes))
    }

    /// The names in a directory; the empty path is the root.
    public func list(_ path: String = "") throws -> [String] {
        var cluster = rootCluster
        for name in path.split(whereSeparator: { $0 == "/" || $0 == "\\" }).map({ $0.uppercased() }) {
            guard let entry = try entries(from: cluster).first(where: { $0.matches(name) && $0.isDirectory }) else {
                throw FATError.notFound(path)
            }
            cluster = entry.cluster
        }
        return try entries(from: cluster).map(\.name).filter { $0 != "." && $0 != ".." }
    }

    // MARK: - Structures

    private func entries(from cluster: UInt32) throws -> [FATEntry] {
        // ".." of a directory in the root says 0 for the root.
        let start = cluster == 0 ? rootCluster : cluster
        let extents = try chain(from: start, sizeBytes: nil)
        let size = extents.reduce(0) { $0 + $1.count }
        return FATEntry.parse(
            try FATFile(device: device, sizeBytes: size, extents: extents).read(at: 0, count: Int(size)))
    }

    /// Follows a chain: of a file until its size is reached, of a directory until it ends or becomes too long.
    private func chain(from first: UInt32, sizeBytes: UInt64?) throws -> [FATFile.Extent] {
        var extents: [FATFile.Extent] = []
        var cluster = first
        var found: UInt64 = 0
        let wanted = sizeBytes ?? Self.directoryLimitBytes
        while found < wanted {
            if sizeBytes == nil, cluster >= 0x0fff_fff8 { break }
            guard cluster >= 2, cluster - 2 < clusterCount else {
                throw FATError.malformed("a chain of clusters leads to \(cluster)")
            }
            guard extents.count < Self.extentLimit else { throw FATError.malformed("a file is in too many pieces") }
            let offset = dataOffset + UInt64(cluster - 2) * clusterBytes
            if let last = extents.last, last.offset + last.count == offset {
                extents[extents.count - 1].count += clusterBytes
            } else {
                extents.append(FATFile.Extent(offset: offset, count: clusterBytes))
            }
            found += clusterBytes
            cluster = try tableEntry(cluster)
        }
        return extents
    }

    private func tableEntry(_ cluster: UInt32) throws -> UInt32 {
        let offset = tableOffset + UInt64(cluster) * 4
        let start = offset / 4096 * 4096
        if tablePiece.offset != start {
            let count = Int(min(4096, device.sizeBytes - start))
            tablePiece = (start, try device.readBytes(at: start, count: count))
        }
        return tablePiece.bytes.little(UInt32.self, at: Int(offset - start)) & 0x0fff_ffff
    }
}

/// A file on a FAT volume.
public final class FATFile: ReadableBytes {
    struct Extent: Equatable {
        var offset: UInt64
        var count: UInt64
    }

    private let device: any BlockDevice
    /// Its size in bytes.
    public let sizeBytes: UInt64
    private let extents: [Extent]

    init(device: any BlockDevice, sizeBytes: UInt64, extents: [Extent]) {
        self.device = device
        self.sizeBytes = sizeBytes
        self.extents = extents
    }

    /// Reads within the file; throws `DeviceRangeError` outside it, or what the device throws.
    public func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws {
        guard offset <= sizeBytes, UInt64(buffer.count) <= sizeBytes - offset else {
            throw DeviceRangeError(offset: offset, count: buffer.count, sizeBytes: sizeBytes)
        }
        var position: UInt64 = 0
        var done = 0
        for extent in extents where done < buffer.count {
            let wanted = offset + UInt64(done)
            defer { position += extent.count }
            guard wanted < position + extent.count else { continue }
            let inside = wanted - position
            let count = Int(min(extent.count - inside, UInt64(buffer.count - done)))
            try copy(
                from: extent.offset + inside, into: UnsafeMutableRawBufferPointer(rebasing: buffer[done..<done + count])
            )
            done += count
        }
    }

    /// Goes through aligned memory of at most 1 MiB, whatever the caller's buffer is.
    private func copy(from offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws {
        var done = 0
        while done < buffer.count {
            let count = min(buffer.count - done, 1 << 20)
            let bytes = try device.readBytes(at: offset + UInt64(done), count: count)
            UnsafeMutableRawBufferPointer(rebasing: buffer[done..<done + count]).copyBytes(from: bytes)
            done += count
        }
    }
}

/// One entry of a directory.
struct FATEntry {
    var name: String
    var shortName: String
    var isDirectory: Bool
    var cluster: UInt32
    var sizeBytes: UInt32

    func matches(_ upperName: String) -> Bool { name.uppercased() == upperName || shortName == upperName }

    static func parse(_ bytes: [UInt8]) -> [FATEntry] {
        var found: [FATEntry] = []
        var long: (characters: [UInt16], checksum: UInt8, next: UInt8)?
        for start in stride(from: 0, to: bytes.count - FATNames.entryBytes + 1, by: FATNames.entryBytes) {
            let entry = Array(bytes[start..<start + FATNames.entryBytes])
            if entry[0] == 0 { break }
            if entry[0] == 0xe5 { long = nil; continue }
            if entry[11] & 0x3f == FATNames.longNameAttribute {
                let units = FATNames.characterOffsets.map { entry.little(UInt16.self, at: $0) }
                let number = entry[0] & 0x3f
                if entry[0] & 0x40 != 0 {
                    long = (units, entry[13], number)
                } else if let before = long, before.next == number + 1, before.checksum == entry[13] {
                    long = (units + before.characters, entry[13], number)
                } else {
                    long = nil
                }
                continue
            }
            defer { long = nil }
            if entry[11] & 0x08 != 0 { continue }
            let short = shortName(entry)
            var name = short
            if let long, long.next == 1, long.checksum == FATNames.checksum(Array(entry[..<11])) {
                name = String(decoding: long.characters.prefix { $0 != 0 }, as: UTF16.self)
            }
            found.append(
                FATEntry(
                    name: name, shortName: short, isDirectory: entry[11] & 0x10 != 0,
                    cluster: UInt32(entry.little(UInt16.self, at: 20)) << 16
                        | UInt32(entry.little(UInt16.self, at: 26)),
                    sizeBytes: entry.little(UInt32.self, at: 28)))
        }
        return found
    }

    private static func shortName(_ entry: [UInt8]) -> String {
        func text(_ bytes: ArraySlice<UInt8>) -> String {
            var bytes = bytes
            while bytes.last == 0x20 { bytes.removeLast() }
            return String(decoding: bytes, as: UTF8.self)
        }
        let base = text(entry[0..<8])
        let suffix = text(entry[8..<11])
        return suffix.isEmpty ? base : "\(base).\(suffix)"
    }
}
