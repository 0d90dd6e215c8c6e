/// A small FAT12 volume labelled `CIDATA` with a few files in its root, all of it computed: the same files, the same
/// bytes (Microsoft, "FAT: General Overview of On-Disk Format", 1.03; long names as in section 7).
///
/// The volumes of the boot partitions are FAT32, of at least 33 MiB, and written to devices; this one is a value.
enum SeedVolume {
    static let label = "CIDATA"
    static let sectorBytes = 512
    /// What all of it takes: the longest user data fit twice.
    static let sectors = 512
    private static let tableSectors = 2
    private static let rootSectors = 4
    private static let dataSector = 1 + 2 * tableSectors + rootSectors
    /// 1 January 1980, the format's first day.
    private static let date: UInt16 = 1 << 5 | 1

    /// The volume. Files that do not fit are a mistake of the caller, whose documents are bounded: they are cut.
    static func make(_ files: [(name: String, bytes: [UInt8])]) -> [UInt8] {
        var table: [UInt16] = [0xFF8, 0xFFF]
        var root = entry(Array(label.utf8), attributes: 0x08, cluster: 0, bytes: 0)
        var data: [UInt8] = []
        for (index, file) in files.enumerated() {
            let room = (sectors - dataSector) * sectorBytes - data.count
            let bytes = file.bytes.prefix(room)
            let clusters = (bytes.count + sectorBytes - 1) / sectorBytes
            let first = table.count
            for number in 0..<clusters { table.append(number + 1 == clusters ? 0xFFF : UInt16(first + number + 1)) }
            let short = shortName(file.name, index)
            root += longName(file.name, short)
            root += entry(short, attributes: 0x20, cluster: clusters == 0 ? 0 : first, bytes: bytes.count)
            data += bytes + [UInt8](repeating: 0, count: clusters * sectorBytes - bytes.count)
        }
        let packed = padded(pack(table), to: tableSectors * sectorBytes)
        var volume = bootSector
        for part in [packed, packed, padded(root, to: rootSectors * sectorBytes), data] { volume += part }
        return padded(volume, to: sectors * sectorBytes)
    }

    private static func padded(_ bytes: [UInt8], to count: Int) -> [UInt8] {
        Array(bytes.prefix(count)) + [UInt8](repeating: 0, count: max(0, count - bytes.count))
    }

    private static func little(_ value: some FixedWidthInteger) -> [UInt8] {
        withUnsafeBytes(of: value.littleEndian) { Array($0) }
    }

    private static var bootSector: [UInt8] {
        var bytes: [UInt8] = [0xEB, 0x3C, 0x90] + Array("APUS    ".utf8)
        bytes += little(UInt16(sectorBytes)) + [1] + little(UInt16(1)) + [2]
        bytes += little(UInt16(rootSectors * sectorBytes / 32)) + little(UInt16(sectors)) + [0xF8]
        bytes += little(UInt16(tableSectors)) + little(UInt16(32)) + little(UInt16(2)) + little(UInt32(0))
        bytes += little(UInt32(0)) + [0x80, 0, 0x29] + little(UInt32(0x4150_5553))
        bytes += Array("\(label)     FAT12   ".utf8)
        return padded(bytes, to: sectorBytes - 2) + [0x55, 0xAA]
    }

    /// Two entries of twelve bits in three bytes.
    private static func pack(_ table: [UInt16]) -> [UInt8] {
        stride(from: 0, to: table.count, by: 2).flatMap { index -> [UInt8] in
            let one = table[index]
            let two = index + 1 < table.count ? table[index + 1] : 0
            return [UInt8(one & 0xFF), UInt8(one >> 8) | UInt8(two & 0xF) << 4, UInt8(two >> 4)]
        }
    }

    /// Eleven characters that no other file of the volume has; nobody reads them.
    private static func shortName(_ name: String, _ index: Int) -> [UInt8] {
        let letters = name.uppercased().utf8.filter { (0x41...0x5A).contains($0) }.prefix(6)
        let name = Array(letters) + Array("~\(index + 1)".utf8)
        return name + [UInt8](repeating: 0x20, count: 11 - name.count)
    }

    /// The entries of the name as it is, the last piece first.
    private static func longName(_ name: String, _ short: [UInt8]) -> [UInt8] {
        let sum = short.reduce(UInt8(0)) { ($0 & 1) << 7 &+ $0 >> 1 &+ $1 }
        var units = Array(name.utf16)
        if units.count % 13 != 0 { units.append(0) }
        while units.count % 13 != 0 { units.append(0xFFFF) }
        let count = units.count / 13
        return (0..<count).reversed().flatMap { index -> [UInt8] in
            let piece: [UInt8] = units[(index * 13)..<(index * 13 + 13)].flatMap { little($0) }
            var entry: [UInt8] = [UInt8(index + 1) | (index + 1 == count ? 0x40 : 0)]
            entry += piece[0..<10]
            entry += [0x0F, 0, sum]
            entry += piece[10..<22]
            entry += [0, 0]
            return entry + piece[22..<26]
        }
    }

    private static func entry(_ name: [UInt8], attributes: UInt8, cluster: Int, bytes: Int) -> [UInt8] {
        let text = name + [UInt8](repeating: 0x20, count: max(0, 11 - name.count))
        var result: [UInt8] = text + [attributes, 0, 0, 0, 0]
        // Made, read, the upper half of the cluster's number, the time of writing, written.
        for word in [date, date, 0, 0, date, UInt16(cluster)] { result += little(word) }
        return result + little(UInt32(bytes))
    }
}
