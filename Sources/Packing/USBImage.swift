public import Contract
internal import Glibc
internal import Linux
internal import Slots

/// Makes the image of a USB stick that provisions machines: the boot artifact as `\EFI\BOOT\BOOTX64.EFI` (UEFI
/// specification 2.10, section 3.5.1.1) and the site's facts as `\apus.json`.
public enum USBImage {
    /// The stick's EFI system partition, in bytes; it grows with the artifact.
    static let smallestPartitionBytes: UInt64 = 64 << 20

    /// Writes the image at `output`, which only its owner reads: `apus.json` may hold a join token.
    ///
    /// - Parameters:
    ///   - artifact: path of the boot artifact.
    ///   - site: what the machines shall believe besides what is in the artifact; nil leaves `apus.json` out.
    ///   - architecture: the machines' architecture, which names the boot file.
    ///   - output: the image's path; `dd` takes it to a stick.
    public static func write(
        artifact: String, site: SiteTrust?, architecture: Architecture, output: String
    ) throws(PackingError) {
        do {
            let image = try Packing.Files.read(artifact, limit: 256 << 20)
            guard !image.isEmpty else { throw PackingError("the boot artifact '\(artifact)' is empty") }
            var files: [(path: String, bytes: [UInt8])] = [
                (architecture == .amd64 ? "EFI/BOOT/BOOTX64.EFI" : "EFI/BOOT/BOOTAA64.EFI", image)
            ]
            if let site { files.append(("apus.json", try Wire.encode(site))) }
            try Packing.Files.makeParentDirectory(of: output)
            let scratch = try ScratchDirectory(beside: output)
            defer { scratch.remove() }
            let partial = scratch.path + "/stick"
            try write(files, to: partial)
            guard rename(partial, output) == 0 else { throw PackingError.system("cannot rename to '\(output)'") }
        } catch {
            throw PackingError("cannot make the USB image '\(output)': \(error)")
        }
    }

    private static func write(_ files: [(path: String, bytes: [UInt8])], to path: String) throws {
        let content = files.reduce(0) { $0 + UInt64($1.bytes.count) }
        let wanted = (content + (9 << 20)) / (1 << 20) * (1 << 20)
        let table = GPTImage(
            partitionBytes: max(smallestPartitionBytes, wanted),
            seed: files.flatMap { Array($0.path.utf8) + [0] + $0.bytes })
        var file = try OutputFile(path, mode: 0o600, exclusive: true)
        try file.write(table.start)
        guard truncate(path, off_t(table.imageBytes - UInt64(table.end.count))) == 0 else {
            throw PackingError.system("cannot enlarge '\(path)'")
        }
        try file.seekToEnd()
        try file.write(table.end)
        try file.flush()
        let partition = try FileBlockDevice(
            path: path, offsetBytes: GPTImage.partitionOffset, sizeBytes: table.partitionBytes,
            sectorSizeBytes: GPTImage.sectorBytes)
        try FATWriter.write(files, to: partition, label: "APUS")
    }
}
