import Contract
import Decisions
import FoundationEssentials
import Glibc
import Linux
import TestSupport
import Testing

@testable import Partitions

/// What `sfdisk --json` prints, as far as it is compared.
private struct Sfdisk: Decodable {
    struct Table: Decodable {
        struct Partition: Decodable {
            var start: UInt64
            var size: UInt64
            var type: String
            var uuid: String
            var name: String
        }
        var label: String
        var id: String
        var sectorsize: Int?
        var partitions: [Partition]
    }
    var partitiontable: Table
}

private func expectSfdiskAgrees(_ text: String, _ plan: PartitionPlan) throws {
    let table = try JSONDecoder().decode(Sfdisk.self, from: Data(text.utf8)).partitiontable
    let sector = UInt64(plan.sectorSizeBytes)
    #expect(table.label == "gpt")
    #expect(table.id.lowercased() == plan.diskUUID?.text)
    #expect(table.partitions.map(\.name) == plan.partitions.map(\.label))
    #expect(table.partitions.map { $0.uuid.lowercased() } == plan.partitions.map(\.uuid.text))
    #expect(table.partitions.map { $0.type.lowercased() } == plan.partitions.map(\.type.text))
    #expect(table.partitions.map { $0.start * sector } == plan.partitions.map(\.startBytes))
    #expect(table.partitions.map { $0.size * sector } == plan.partitions.map(\.sizeBytes))
}

@Test func sfdiskAndSgdiskAgreeWithWhatWasPlanned() throws {
    let plan = try standardPlan(sector: 512)
    let image = try ImageFile(sizeBytes: plan.diskSizeBytes)
    try Partitions.apply(plan, to: try image.device())
    try expectSfdiskAgrees(try run("/usr/sbin/sfdisk", ["--json", image.path]), plan)
    #expect(try run("/usr/sbin/sgdisk", ["-v", image.path]).contains("No problems found"))
    #expect(DiskContent.of(try image.device()) == .apus)
}

@Test func fdiskReadsATableOf4096ByteSectors() throws {
    let plan = try standardPlan(sector: 4096)
    let image = try ImageFile(sizeBytes: plan.diskSizeBytes)
    try Partitions.apply(plan, to: try image.device(sector: 4096))
    let listing = try run(
        "/usr/sbin/fdisk", ["-b", "4096", "-l", "-o", "Start,Sectors,Name,UUID", "--bytes", image.path])
    #expect(listing.contains("Units: sectors of 1 * 4096 = 4096 bytes"))
    for partition in plan.partitions {
        let words = ["\(partition.startBytes / 4096)", "\(partition.sizeBytes / 4096)", partition.label]
        let line = listing.split(separator: "\n").first { $0.contains(partition.label) }
        #expect(line.map { $0.split(separator: " ").prefix(3).map(String.init) } == words)
        #expect(line?.lowercased().contains(partition.uuid.text) == true)
    }
}

@Test(.enabled(if: getuid() == 0 && Files.exists("/dev/loop-control"), "attaching a loop device needs root"))
func theKernelTakesOverATableOf4096ByteSectors() throws {
    let plan = try standardPlan(sector: 4096)
    let image = try ImageFile(sizeBytes: plan.diskSizeBytes)
    let loop: LoopDevice
    do {
        loop = try LoopDevice(disk: image.path, sectorSizeBytes: 4096)
    } catch {
        // Some containers show the control device and let nobody use it; the other tests do the same on plain files.
        return
    }
    let device = try FileBlockDevice(path: loop.path)
    #expect(device.sectorSizeBytes == 4096)
    try Partitions.apply(plan, to: device)
    try expectSfdiskAgrees(try run("/usr/sbin/sfdisk", ["--json", loop.path]), plan)
    #expect(try run("/usr/sbin/sgdisk", ["-v", loop.path]).contains("No problems found"))
    // Kernels of small virtual machines may not know GPT; Debian's does.
    let name = String(loop.path.dropFirst(5))
    if (try? Partitions.announce([1, 9], ofDisk: name, attempts: 3)) != nil {
        let record = try #require(BlockNodes().path(ofPartition: 4, disk: name))
        #expect(try FileBlockDevice(path: record).sizeBytes == 1 << 20)
    }
}

@Test func aKeptTableIsLeftAloneAndADamagedCopyOfItRepaired() throws {
    let plan = try standardPlan(sector: 512)
    let image = try ImageFile(sizeBytes: plan.diskSizeBytes)
    let device = try image.device()
    try Partitions.apply(plan, to: device)
    var kept = plan
    kept.keepsTable = true
    kept.diskUUID = nil
    // Content that an ordinary apply would wipe.
    let state = try #require(plan[.state])
    let mark = [UInt8](repeating: 0xa5, count: 4096)
    try mark.withUnsafeBytes { try device.write($0, at: state.startBytes) }
    try device.flush()
    #expect(try !Partitions.repair(device))
    for damaged in [UInt64(0), 512, 1024, plan.diskSizeBytes - 512, plan.diskSizeBytes - 33 * 512] {
        try [UInt8](repeating: 0xff, count: 512).withUnsafeBytes { try device.write($0, at: damaged) }
        try device.flush()
        #expect(try PartitionTable(of: device)?.isWhole == false)
        try Partitions.apply(kept, to: device)
        #expect(try PartitionTable(of: device)?.isWhole == true)
    }
    try expectSfdiskAgrees(try run("/usr/sbin/sfdisk", ["--json", image.path]), plan)
    #expect(try device.bytes(at: state.startBytes, count: 4096) == mark)
}

@Test func oldSignaturesAreGoneWherePartitionsBegin() throws {
    let plan = try standardPlan(sector: 512)
    let image = try ImageFile(sizeBytes: plan.diskSizeBytes)
    let device = try image.device()
    // An old file system in the middle, where a new partition will begin, and a RAID superblock at the end.
    let state = try #require(plan[.state])
    for place in [state.startBytes + 1024, plan.diskSizeBytes - 65536] {
        try [UInt8](repeating: 0x53, count: 512).withUnsafeBytes { try device.write($0, at: place) }
    }
    try Partitions.apply(plan, to: device)
    #expect(try device.bytes(at: state.startBytes + 1024, count: 512).allSatisfy { $0 == 0 })
    #expect(try device.bytes(at: plan.diskSizeBytes - 65536, count: 512).allSatisfy { $0 == 0 })
}

@Test func aPlanForAnotherDiskIsRefused() throws {
    let plan = try standardPlan(sector: 512)
    let image = try ImageFile(sizeBytes: plan.diskSizeBytes + 4096)
    #expect(throws: PartitionError.self) { try Partitions.apply(plan, to: try image.device()) }
    #expect(DiskContent.of(try image.device()) == .blank)
}

@Test func impossibleTablesAreRefusedBeforeAnythingIsWritten() throws {
    let image = try ImageFile(sizeBytes: 64 << 20)
    let one = try #require(GUID("11111111-1111-4111-8111-111111111111"))
    let two = try #require(GUID("22222222-2222-4222-8222-222222222222"))
    let type = PartitionRole.state.type(.amd64)
    func part(_ number: Int, _ uuid: GUID, _ start: UInt64, _ size: UInt64) -> TableLayout.Partition {
        TableLayout.Partition(
            number: number, uuid: uuid, type: type, label: "apus-x", startBytes: start, sizeBytes: size)
    }
    let mebibyte: UInt64 = 1 << 20
    let impossible: [[TableLayout.Partition]] = [
        [part(1, one, mebibyte, 2 * mebibyte), part(2, two, 2 * mebibyte, mebibyte)],
        [part(1, one, mebibyte, mebibyte), part(1, two, 4 * mebibyte, mebibyte)],
        [part(1, one, mebibyte, mebibyte), part(2, one, 4 * mebibyte, mebibyte)],
        [part(1, one, mebibyte, 64 * mebibyte)], [part(1, one, mebibyte, 0)], [part(1, one, 100, mebibyte)],
        [part(1, one, mebibyte, .max)], [part(0, one, mebibyte, mebibyte)], [part(129, one, mebibyte, mebibyte)],
        // Over the primary and over the backup copy.
        [part(1, one, 512, mebibyte)], [part(1, one, 63 * mebibyte, mebibyte)],
    ]
    for partitions in impossible {
        #expect(throws: PartitionError.self) {
            try Partitions.write(
                TableLayout(diskUUID: two, partitions: partitions), to: try image.device(), wipingOldSignatures: true)
        }
    }
    #expect(DiskContent.of(try image.device()) == .blank)
}

@Test func aTableThatWasCutShortIsCompletedBeforeItIsLookedFor() throws {
    let scratch = try Scratch()
    let root = scratch.path + "/"
    // Two disks of a made-up machine: ours, and a stick with the boot artifact alone.
    let plan = try standardPlan(sector: 512)
    for name in ["sda", "sdb"] {
        try Files.makeDirectory(root + "sys/class/block/\(name)/queue")
        try Files.makeDirectory(root + "dev")
        let file = try OwnedDescriptor(opening: root + "dev/" + name, [.write, .create])
        try file.truncate(to: plan.diskSizeBytes)
    }
    let ours = try FileBlockDevice(path: root + "dev/sda")
    try Partitions.apply(plan, to: ours)
    let stick = try FileBlockDevice(path: root + "dev/sdb")
    let recovery = try #require(plan[.recovery])
    try Partitions.write(
        TableLayout(
            diskUUID: try #require(plan.diskUUID),
            partitions: [
                TableLayout.Partition(
                    number: 1, uuid: recovery.uuid, type: recovery.type, label: recovery.label,
                    startBytes: recovery.startBytes, sizeBytes: recovery.sizeBytes)
            ]), to: stick, wipingOldSignatures: false)
    for device in [ours, stick] {
        try [UInt8](repeating: 0, count: 512).withUnsafeBytes { try device.write($0, at: 0) }
        try device.flush()
    }
    let done = Partitions.repairInstalled(nodes: BlockNodes(root: root))
    // The table is whole again; that a plain file has no kernel's view of it is said and ignored.
    #expect(done.count == 1)
    #expect(done.first?.contains("sda") == true)
    #expect(try PartitionTable(of: ours)?.isWhole == true)
    #expect(try PartitionTable(of: stick)?.hasProtectiveRecord == false)
}
