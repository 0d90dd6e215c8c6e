import Contract
import Cryptography
import Decisions
import Foundation
import Linux
import Packing
import Partitions
import Release
import Sequences
import Slots

@testable import Simulation

/// A tiny release of real artifacts, packed by the real packer.
struct RealRelease {
    let manifest: Manifest
    let table: FrameTable
    let pack: [UInt8]
    let facts: ReleaseFacts

    static let salt = [UInt8](repeating: 7, count: 32)

    static func make(_ number: UInt8) async throws -> RealRelease {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("apus-simulation-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        func path(_ name: String) -> String { folder.appendingPathComponent(name).path }

        // Half of the blocks are the same in every release, so that blocks of the other slot are used as well.
        let root = noise(8 * 4096, seed: 1) + noise(8 * 4096, seed: UInt64(number) + 10)
        var builder = try VerityBuilder(dataBlocks: 16, salt: salt)
        try root.withUnsafeBytes { try builder.append($0) }
        let tree = try builder.finish()
        let line =
            "apus.mode=slot apus.root=\(tree.rootHash) apus.salt=\(salt.lowercaseHex) apus.blocks=16 "
            + "apus.version=\(number)"
        let kernel = noise(70_000, seed: 3)
        try Data(root).write(to: URL(fileURLWithPath: path("root")))
        try Data(image([(".linux", kernel), (".cmdline", Array(line.utf8))])).write(
            to: URL(fileURLWithPath: path("uki")))
        let provision = "apus.mode=provision apus.version=\(number)"
        try Data(image([(".linux", kernel), (".cmdline", Array(provision.utf8))])).write(
            to: URL(fileURLWithPath: path("boot")))
        var packer = ReleasePacker(
            identity: ReleaseIdentity(
                product: "simulation", releaseVersion: "\(number)", architecture: .current,
                expiresSeconds: 4_000_000_000), signingKeys: [.ed25519(try Ed25519PrivateKey())], level: 3,
            cacheDirectory: nil)
        packer.rootFrameBytes = 16 << 10
        packer.otherFrameBytes = 32 << 10
        let packed = try await packer.pack(
            root: path("root"), tree: tree, uki: path("uki"), boot: path("boot"), into: folder.path)
        let manifest = packed.manifest
        return RealRelease(
            manifest: manifest, table: packed.frames,
            pack: Array(try Data(contentsOf: URL(fileURLWithPath: path("pack")))),
            facts: ReleaseFacts(
                release: manifest.name, version: manifest.releaseVersion, epoch: Int(manifest.epoch),
                architecture: manifest.architecture, rootHash: manifest.root.rootHash, salt: manifest.root.salt,
                blocks: manifest.root.blocks, treeBytes: manifest.root.treeBytes, ukiDigest: manifest.uki.sha256,
                ukiBytes: manifest.uki.bytes,
                recovery: BootRecord.RecoveryArtifact(digest: manifest.boot.sha256, sizeBytes: manifest.boot.bytes),
                expiresSeconds: manifest.expiresSeconds))
    }

    /// Bytes that do not compress, and are the same in every run.
    private static func noise(_ count: Int, seed: UInt64) -> [UInt8] {
        var state = seed &* 0x9e37_79b9_7f4a_7c15 | 1
        return (0..<count).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return UInt8(truncatingIfNeeded: state >> 40)
        }
    }

    /// A PE file with sections.
    private static func image(_ sections: [(String, [UInt8])]) -> [UInt8] {
        func little(_ value: some FixedWidthInteger) -> [UInt8] {
            withUnsafeBytes(of: value.littleEndian) { Array($0) }
        }
        func zeros(_ count: Int) -> [UInt8] { [UInt8](repeating: 0, count: count) }
        let machine: UInt16 = Architecture.current == .amd64 ? 0x8664 : 0xaa64
        var bytes = Array("MZ".utf8) + zeros(58) + little(UInt32(64))
        bytes += Array("PE\0\0".utf8) + little(machine) + little(UInt16(sections.count)) + zeros(12)
        bytes += little(UInt16(0)) + little(UInt16(0x22e))
        var data: [UInt8] = []
        let start = (bytes.count + sections.count * 40 + 511) / 512 * 512
        for (name, content) in sections {
            let raw = (content.count + 511) / 512 * 512
            bytes += Array(name.utf8) + zeros(8 - name.utf8.count) + little(UInt32(content.count))
            bytes += little(UInt32(0x1000)) + little(UInt32(raw)) + little(UInt32(start + data.count)) + zeros(16)
            data += content + zeros(raw - content.count)
        }
        return bytes + zeros(start - bytes.count) + data
    }
}

/// The real adapters over a simulated disk: partition table, boot record, FAT volumes, slots.
final class RealStorage: SimulatedStorage {
    private let disk: FaultyDisk
    private let releases: [RealRelease]
    private var table: [PartitionRole: ExistingPartition] = [:]
    private var lastRead: [[UInt8]] = []
    private var isWhole = false
    private let state: PlainStorage
    var keyToSave: UInt8 {
        get { state.keyToSave }
        set { state.keyToSave = newValue }
    }

    init(_ disk: FaultyDisk, releases: [RealRelease]) {
        self.disk = disk
        self.releases = releases
        state = PlainStorage(disk)
        read()
    }

    /// Reads the table, unless both copies still have the bytes that were read last: parsing takes a third of a run.
    private func read() {
        let size = 34 * disk.sectorSizeBytes
        let bytes = [UInt64(0), disk.sizeBytes - UInt64(size)].map { (try? disk.bytes(at: $0, count: size)) ?? [] }
        let isSame = zip(bytes, lastRead).allSatisfy { one, two in
            one.withUnsafeBytes { one in two.withUnsafeBytes { one.isSame(as: $0) } }
        }
        if isSame, !lastRead.isEmpty { return }
        lastRead = bytes
        isWhole = false
        let found = (try? Partitions.existing(on: disk)) ?? []
        table = [:]
        for part in found {
            if let role = PartitionRole(label: part.label) { table[role] = part }
        }
        state.take(
            table.map { role, part in
                PlannedPartition(
                    role: role, number: part.number, uuid: part.uuid, type: part.type, startBytes: part.startBytes,
                    sizeBytes: part.sizeBytes)
            })
    }

    private func window(_ role: PartitionRole) throws -> SimulatedPartition {
        guard let part = table[role] else { throw SimulationError("there is no partition \(role.label)") }
        return SimulatedPartition(disk, offset: part.startBytes, sizeBytes: part.sizeBytes)
    }

    private func slot(_ slot: SlotName) throws -> SlotPartitions {
        SlotPartitions(name: "slot \(slot.letter)", root: try window(.root(slot)), tree: try window(.tree(slot)))
    }

    private func path(_ target: StartTarget) -> String {
        target == .recovery ? BootNames.recoveryPath(.current) : BootNames.slotPath
    }

    private func writer(_ release: ReleaseFacts) throws -> SlotWriter {
        guard let found = releases.first(where: { $0.facts.release == release.release }) else {
            throw SimulationError("no such release")
        }
        return try SlotWriter(manifest: found.manifest, table: found.table, source: MemoryPackSource(found.pack))
    }

    // MARK: Disk

    func findInstalled() -> DiskFacts? {
        read()
        if !table.isEmpty, !isWhole {
            // As the node does: a table of which a cut left only one copy is completed.
            _ = try? Partitions.repair(disk)
            read()
            isWhole = true
        }
        guard !table.isEmpty else { return nil }
        return DiskFacts(
            name: "sda", partitions: table.mapValues(\.uuid),
            startable: Set(StartTarget.allCases.filter { program(at: $0) != nil }))
    }

    func partitions(of disk: String) throws -> [ExistingPartition] {
        read()
        return table.values.sorted { $0.number < $1.number }
    }

    func apply(_ plan: PartitionPlan, to disk: String) throws {
        try Partitions.apply(plan, to: self.disk)
        read()
    }

    func content() -> Inventory.Disk.Content { DiskContent.of(disk) }

    func partition(of target: StartTarget) -> GUID? { table[PartitionRole.boot(target)]?.uuid }

    // MARK: Record

    func load() -> RecordReading { RealRecord.load { try window(.record) } }
    func store(_ record: BootRecord) throws { try RealRecord.store(record) { try window(.record) } }

    // MARK: Slots

    func invalidate(_ target: StartTarget) throws { try FATWriter.invalidate(window(.boot(target))) }

    func write(_ release: ReleaseFacts, into slots: [SlotName], progress: StepProgress) throws {
        let donors: [SlotDonor] = SlotName.allCases.compactMap { name in
            guard !slots.contains(name), let installed = load().record?[name].installed else { return nil }
            return try? SlotDonor(slot(name), image: BootArguments.SlotImage(installed))
        }
        _ = try writer(release).write(into: slots.map { try slot($0) }, reusing: donors) {
            progress($0.doneBytes, $0.totalBytes)
        }
    }

    func readBack(_ release: ReleaseFacts, in name: SlotName, progress: StepProgress) throws {
        try SlotVerifier.verify(slot(name), holds: BootArguments.SlotImage(release.installed))
    }

    func activate(_ target: StartTarget, from release: ReleaseFacts) throws {
        try writer(release).writeFile(
            target == .recovery ? .boot : .uki, to: [BootTarget(device: window(.boot(target)), path: path(target))])
    }

    func holds(_ digest: Digest256, at target: StartTarget) -> Bool { self.digest(target) == digest }

    private func digest(_ target: StartTarget) -> Digest256? {
        (try? SlotVerifier.digest(of: path(target), on: window(.boot(target))))?.sha256
    }

    func program(at target: StartTarget) -> SimulatedProgram? {
        guard target != .recovery else { return digest(.recovery) == nil ? nil : .artifact }
        return (try? SlotVerifier.describe(window(.boot(target)))).map { .slot($0.image) }
    }

    func isIntact(_ name: SlotName, _ image: BootArguments.SlotImage) -> Bool {
        guard let uki = digest(.slot(name)), releases.contains(where: { $0.facts.ukiDigest == uki }),
            let slot = try? slot(name)
        else { return false }
        return (try? SlotVerifier.verify(slot, holds: image)) != nil
    }

    // MARK: State, of which only the key matters here

    func prepare(keeps: Bool) throws { try state.prepare(keeps: keeps) }
    func key() -> UInt8? { state.key() }
    func loadIdentity() -> Bool { state.loadIdentity() }
    func saveIdentity(plan: ProvisioningPlan) throws { try state.saveIdentity(plan: plan) }
}
