import Contract
import FoundationEssentials
import Glibc

/// A machine's disk, looked at and damaged from outside while the machine is off, by the tools that others trust.
final class DiskInspection {
    /// A partition as `sfdisk` sees it.
    struct Partition: Equatable, Sendable {
        /// Its label.
        var label: String
        /// Where it starts, in bytes.
        var startBytes: UInt64
        /// Its size in bytes.
        var sizeBytes: UInt64
        /// Its UUID in lower case.
        var uuid: String
        /// Its type in lower case.
        var type: String
    }

    /// The partitions in the order of the table.
    let partitions: [Partition]
    private let qcowPath: String
    private let rawPath: String
    private let sectorSizeBytes: Int

    /// Converts the disk to a raw image and reads its partition table.
    init(qcowPath: String, rawPath: String, sectorSizeBytes: Int) throws {
        self.qcowPath = qcowPath
        self.rawPath = rawPath
        self.sectorSizeBytes = sectorSizeBytes
        try ChildProcess.check(["qemu-img", "convert", "-O", "raw", qcowPath, rawPath])
        if sectorSizeBytes == 512 {
            let json = try ChildProcess.check(["sfdisk", "--json", rawPath])
            partitions = try DiskInspection.parse(sfdisk: json, sectorSizeBytes: 512)
        } else {
            // sfdisk takes an image's sectors for 512 bytes; fdisk can be told otherwise.
            let list = try ChildProcess.check([
                "fdisk", "--sector-size", "\(sectorSizeBytes)", "--list", "--output",
                "Start,Sectors,UUID,Type-UUID,Name", rawPath,
            ])
            partitions = DiskInspection.parse(fdisk: list, sectorSizeBytes: UInt64(sectorSizeBytes))
        }
    }

    /// A folder for the firmware's variables, beside the image.
    var efivarsPath: String { rawPath + ".efivars" }

    /// How `efibootmgr -v` shows a partition in a load option: number, scheme, UUID, first sector, sectors.
    func loadOptionPlace(_ label: String) throws -> String {
        let partition = try partition(label)
        let number = (partitions.firstIndex(of: partition) ?? 0) + 1
        let range = [partition.startBytes, partition.sizeBytes].map {
            "0x" + String($0 / UInt64(sectorSizeBytes), radix: 16)
        }
        return "HD(\(number),GPT,\(partition.uuid),\(range[0]),\(range[1]))"
    }

    /// Reads the columns that `fdisk --list` was asked for: start, sectors, UUID, type and name.
    static func parse(fdisk list: String, sectorSizeBytes: UInt64) -> [Partition] {
        list.split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ").map(String.init)
            guard words.count == 5, let start = UInt64(words[0]), let sectors = UInt64(words[1]) else { return nil }
            return Partition(
                label: words[4], startBytes: start * sectorSizeBytes, sizeBytes: sectors * sectorSizeBytes,
                uuid: words[2].lowercased(), type: words[3].lowercased())
        }
    }

    /// Reads what `sfdisk --json` says.
    static func parse(sfdisk json: String, sectorSizeBytes: UInt64) throws -> [Partition] {
        // Warnings may stand before the document.
        let document = json.drop { $0 != "{" }
        let table = try JSONDecoder().decode(AnyJSON.self, from: Data(document.utf8))["partitiontable"]
        guard case .array(let rows)? = table?["partitions"] else { throw LabError("sfdisk sees no partitions") }
        return rows.compactMap { row in
            guard case .integer(let start)? = row["start"], case .integer(let size)? = row["size"],
                start >= 0, size >= 0
            else { return nil }
            return Partition(
                label: row["name"]?.text ?? "", startBytes: UInt64(start) * sectorSizeBytes,
                sizeBytes: UInt64(size) * sectorSizeBytes, uuid: (row["uuid"]?.text ?? "").lowercased(),
                type: (row["type"]?.text ?? "").lowercased())
        }
    }

    /// The partition of that label.
    func partition(_ label: String) throws(LabError) -> Partition {
        guard let found = partitions.first(where: { $0.label == label }) else {
            throw LabError("the disk has no partition '\(label)'")
        }
        return found
    }

    /// Lets `sfdisk` or `fdisk` check the table itself.
    func verifyTable() throws {
        if sectorSizeBytes == 512 {
            try ChildProcess.check(["sfdisk", "--verify", rawPath])
        } else {
            let list = try ChildProcess.check(["fdisk", "--sector-size", "\(sectorSizeBytes)", "--list", rawPath])
            guard !list.contains("corrupt"), !list.contains("mismatch") else { throw LabError("fdisk says: \(list)") }
        }
    }

    /// Copies a partition into a file of its own, holes left out, and returns the file's path.
    func extract(_ label: String) throws -> String {
        let found = try partition(label)
        let path = rawPath + "." + label
        try ChildProcess.check([
            "dd", "if=\(rawPath)", "of=\(path)", "bs=1M", "conv=sparse", "status=none",
            "skip=\(found.startBytes >> 20)", "count=\(found.sizeBytes >> 20)",
        ])
        truncate(path, off_t(found.sizeBytes))
        return path
    }

    /// Zeroes the first MiB and the middle one of a partition in the raw image.
    func damage(_ label: String) throws {
        let found = try partition(label)
        for offset in [found.startBytes, found.startBytes + found.sizeBytes / 2] {
            try ChildProcess.check([
                "dd", "if=/dev/zero", "of=\(rawPath)", "bs=1M", "count=1", "conv=notrunc", "status=none",
                "seek=\(offset >> 20)",
            ])
        }
    }

    /// Makes the raw image the machine's disk again, and removes it.
    func close() throws {
        try ChildProcess.check(["qemu-img", "convert", "-O", "qcow2", rawPath, qcowPath])
        try discard()
    }

    /// Removes the raw image; the machine's disk stays as it is.
    func discard() throws {
        let folder = rawPath.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
        for name in try FileManager.default.contentsOfDirectory(atPath: folder)
        where (folder + "/" + name).hasPrefix(rawPath) {
            try Files.remove(folder + "/" + name)
        }
    }
}

extension Rehearsal {
    /// The machine's disk, while the machine is off.
    func openDisk() throws -> DiskInspection {
        try expect(!machine.isRunning, "the machine is off while its disk is looked at")
        return try DiskInspection(
            qcowPath: directory + "/disk.qcow2", rawPath: directory + "/disk.raw",
            sectorSizeBytes: machine.spec.sectorSizeBytes)
    }

    /// What the disk's file takes on the host, in bytes.
    func diskBytesWritten() throws -> UInt64 {
        var facts = stat()
        guard stat(directory + "/disk.qcow2", &facts) == 0 else { throw LabError("the disk's file is gone") }
        return UInt64(facts.st_blocks) * 512
    }

    /// Has others' tools look at what was written, and compares it with the boot entries.
    func expectDiskIsSound() throws {
        let disk = try openDisk()
        defer { try? disk.discard() }
        try Soundness.check(disk, nvram())
    }

    /// Runs what must be refused.
    func expectRefusal(_ what: String, _ body: () throws -> Void) throws {
        do {
            try body()
        } catch {
            return timeline.say("  refused: \(error)")
        }
        throw LabError("not so: \(what) is refused")
    }
}
