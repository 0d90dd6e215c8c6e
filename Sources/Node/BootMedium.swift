internal import Contract
internal import Decisions
internal import Linux
internal import Slots

/// The site's facts that stand beside the boot artifact: `apus.json` in the root of the FAT that it was started from.
enum BootMedium {
    static let fileName = "apus.json"
    /// How long a slow medium may take to appear, in milliseconds: USB sticks are looked at one second after plugging.
    static let appearanceMilliseconds: Int64 = 15_000

    /// The facts on the partition that the firmware loaded this program from.
    /// - Returns: nil where that partition has no such file, or is not known.
    /// - Throws: `NodeError` where there is one that cannot be used.
    static func trust(onPartition uuid: Decisions.GUID?) throws -> SiteTrust? {
        guard let uuid else { return try trustOnRemovableMedia() }
        for partition in BlockNodes().partitions(withUUID: uuid.text) {
            if let trust = try read(partition.path, sectorSizeBytes: partition.sectorSizeBytes) { return trust }
        }
        return nil
    }

    /// Without a partition's name (a boot from the network, or from a stick without partitions) only removable media
    /// are looked at: what somebody plugged in on purpose.
    private static func trustOnRemovableMedia() throws -> SiteTrust? {
        let nodes = BlockNodes()
        for disk in InventoryReader().disks() where disk.isRemovable || disk.transport == "usb" {
            var paths = [nodes.path(of: disk.name)]
            paths += nodes.allPartitions().filter { $0.disk == disk.name }.map(\.path)
            for path in paths {
                if let trust = try read(path, sectorSizeBytes: disk.sectorSizeBytes) { return trust }
            }
        }
        return nil
    }

    private static func read(_ path: String, sectorSizeBytes: Int) throws -> SiteTrust? {
        guard let device = try? FileBlockDevice(path: path, sectorSizeBytes: sectorSizeBytes, writable: false),
            let volume = try? FATVolume(device),
            let bytes = try? volume.readFile(fileName, limitBytes: 256 << 10)
        else { return nil }
        return try SiteTrustFile.decode(bytes, source: "\(fileName) on \(path)")
    }
}

/// Reads files that hold `SiteTrust`.
enum SiteTrustFile {
    static func decode(_ bytes: [UInt8], source: String) throws(NodeError) -> SiteTrust {
        var trust: SiteTrust
        do {
            trust = try Wire.decode(SiteTrust.self, from: bytes)
        } catch {
            throw NodeError("\(source) cannot be used: \(error)")
        }
        if let network = trust.network { trust.network = try NetworkRules.checked(network, source: source) }
        return trust
    }

    static func read(_ path: String) throws -> SiteTrust? {
        guard Files.exists(path) else { return nil }
        return try decode(try Files.read(path), source: "'\(path)'")
    }
}
