/// Where everything of a FAT32 volume with a known tree of files lies: pure, and the same for the same input.
///
/// Every file and directory is one run of clusters, directories first. Implements "FAT File System on-disk layout"
/// of Microsoft's FAT specification 1.03.
public struct FATLayout: Sendable, Equatable {
    /// A file to be on the volume.
    public struct File: Sendable, Equatable {
        /// Its path, such as `EFI/apus/apus.efi`.
        public var path: String
        /// Its size in bytes.
        public var sizeBytes: UInt64

        /// Makes one.
        public init(path: String, sizeBytes: UInt64) {
            self.path = path
            self.sizeBytes = sizeBytes
        }
    }

    /// FAT32 begins at this number of clusters; below it is FAT16, whatever the volume says of itself.
    static let leastClusters = 65525
    /// Some drivers are off by a few at the border, so it is kept clear of.
    static let clusterMargin = 16
    static let reservedSectors = 32
    static let backupSector = 6
    static let firstCluster: UInt32 = 2
    static let endOfChain: UInt32 = 0x0fff_ffff

    /// The partition's size in bytes.
    public let volumeBytes: UInt64
    /// The sector's size in bytes.
    public let sectorBytes: Int
    /// The cluster's size in bytes.
    public let clusterBytes: Int
    /// The 32-bit serial number of the volume.
    public let serial: UInt32
    /// The volume's label, 11 bytes padded with spaces.
    let label: [UInt8]
    let clusterCount: Int
    let sectorsPerFAT: Int
    /// The runs of clusters in use, in order.
    let runs: [Run]

    /// A file's or directory's clusters.
    struct Run: Sendable, Equatable {
        var path: String
        var cluster: UInt32
        var clusters: Int
        var sizeBytes: UInt64
        /// A directory's entries; nil for a file.
        var directory: [UInt8]?
    }

    /// Plans a volume; throws `FATError`.
    public init(
        files: [File], volumeBytes: UInt64, sectorBytes: Int, label: String = "APUS", serial: UInt32 = 0x4150_5553
    ) throws(FATError) {
        guard [512, 1024, 2048, 4096].contains(sectorBytes) else {
            throw .malformed("sectors of \(sectorBytes) bytes")
        }
        guard volumeBytes / UInt64(sectorBytes) <= UInt64(UInt32.max) else { throw .tooLarge("the partition") }
        guard FATNames.isValid(label), label.utf8.count <= 11 else { throw .badPath(label) }
        self.volumeBytes = volumeBytes / UInt64(sectorBytes) * UInt64(sectorBytes)
        self.sectorBytes = sectorBytes
        self.serial = serial
        let upper = Array(label.uppercased().utf8)
        self.label = upper + Array(repeating: 0x20, count: 11 - upper.count)
        let shape = try Self.shape(sectors: Int(volumeBytes / UInt64(sectorBytes)), sectorBytes: sectorBytes)
        clusterBytes = shape.clusterBytes
        clusterCount = shape.clusters
        sectorsPerFAT = shape.sectorsPerFAT
        runs = try FATTree(files: files, clusterBytes: shape.clusterBytes, label: self.label).runs
        let used = runs.reduce(0) { $0 + $1.clusters }
        guard used <= clusterCount else {
            throw .tooSmall(
                sizeBytes: volumeBytes,
                neededBytes: volumeBytes + UInt64(used - clusterCount + 1) * UInt64(clusterBytes + 16))
        }
    }

    /// Picks the cluster size: 4 KiB up to 8 GiB as Windows does, smaller where there would be too few clusters.
    private static func shape(
        sectors: Int, sectorBytes: Int
    ) throws(FATError) -> (clusterBytes: Int, clusters: Int, sectorsPerFAT: Int) {
        let bytes = sectors * sectorBytes
        var clusterBytes = max(sectorBytes, bytes <= 8 << 30 ? 4096 : bytes <= 16 << 30 ? 8192 : 32768)
        while true {
            let sectorsPerCluster = clusterBytes / sectorBytes
            // Entries for all clusters that there would be without FATs are a little more than needed, never less.
            let entries = sectors / sectorsPerCluster + 2
            var sectorsPerFAT = (entries * 4 + sectorBytes - 1) / sectorBytes
            // The data area starts on 4 KiB, as flash and direct input and output like it.
            let alignment = max(1, 4096 / sectorBytes)
            while !(reservedSectors + 2 * sectorsPerFAT).isMultiple(of: alignment) { sectorsPerFAT += 1 }
            let data = sectors - reservedSectors - 2 * sectorsPerFAT
            let clusters = max(0, data) / sectorsPerCluster
            if clusters >= leastClusters + clusterMargin {
                guard clusters < 0x0fff_fff0 else { throw .tooLarge("the partition") }
                return (clusterBytes, clusters, sectorsPerFAT)
            }
            guard clusterBytes > sectorBytes else {
                let least =
                    (leastClusters + clusterMargin + 1) * (sectorBytes + 8) + (reservedSectors + 16) * sectorBytes
                throw .tooSmall(sizeBytes: UInt64(bytes), neededBytes: UInt64(((least >> 20) + 1) << 20))
            }
            clusterBytes /= 2
        }
    }

    // MARK: - Places

    var dataOffset: UInt64 { UInt64((Self.reservedSectors + 2 * sectorsPerFAT) * sectorBytes) }

    func offset(ofCluster cluster: UInt32) -> UInt64 {
        dataOffset + UInt64(cluster - Self.firstCluster) * UInt64(clusterBytes)
    }

    var usedClusters: Int { runs.reduce(0) { $0 + $1.clusters } }

    func file(_ path: String) throws(FATError) -> Run {
        let key = FATTree.normal(path)
        guard let run = runs.first(where: { $0.directory == nil && $0.path == key }) else { throw .notFound(path) }
        return run
    }

    // MARK: - Structures

    /// The boot sector, one whole sector.
    func bootSector() -> [UInt8] {
        var sector = [UInt8](repeating: 0, count: sectorBytes)
        sector.put([0xeb, 0x58, 0x90], at: 0)
        sector.put(Array("APUS    ".utf8), at: 3)
        sector.put(UInt16(sectorBytes), at: 11)
        sector[13] = UInt8(clusterBytes / sectorBytes)
        sector.put(UInt16(Self.reservedSectors), at: 14)
        sector[16] = 2
        sector[21] = 0xf8
        sector.put(UInt16(63), at: 24)
        sector.put(UInt16(255), at: 26)
        sector.put(UInt32(volumeBytes / UInt64(sectorBytes)), at: 32)
        sector.put(UInt32(sectorsPerFAT), at: 36)
        sector.put(Self.firstCluster, at: 44)
        sector.put(UInt16(1), at: 48)
        sector.put(UInt16(Self.backupSector), at: 50)
        sector[64] = 0x80
        sector[66] = 0x29
        sector.put(serial, at: 67)
        sector.put(label, at: 71)
        sector.put(Array("FAT32   ".utf8), at: 82)
        sector.put(UInt16(0xaa55), at: 510)
        return sector
    }

    /// The sector that tells the free space, one whole sector.
    func infoSector() -> [UInt8] {
        var sector = [UInt8](repeating: 0, count: sectorBytes)
        sector.put(UInt32(0x4161_5252), at: 0)
        sector.put(UInt32(0x6141_7272), at: 484)
        sector.put(UInt32(clusterCount - usedClusters), at: 488)
        sector.put(Self.firstCluster + UInt32(usedClusters), at: 492)
        sector.put(UInt32(0xaa55_0000), at: 508)
        return sector
    }

    /// `count` entries of the allocation table from entry `first`.
    func table(from first: Int, count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count * 4)
        if first == 0 {
            bytes.put(UInt32(0x0fff_fff8), at: 0)
            if count > 1 { bytes.put(Self.endOfChain, at: 4) }
        }
        for run in runs {
            let start = Int(run.cluster)
            for cluster in max(start, first)..<max(min(start + run.clusters, first + count), max(start, first)) {
                let isLast = cluster == start + run.clusters - 1
                bytes.put(isLast ? Self.endOfChain : UInt32(cluster + 1), at: (cluster - first) * 4)
            }
        }
        return bytes
    }
}
