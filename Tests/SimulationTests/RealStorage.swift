import Contract
import Cryptography
import Decisions
import Linux
import Partitions
import Release
import Sequences
import Slots

@testable import Simulation

/// The real adapters over a simulated disk: partition table, boot record, FAT volumes, slots.
///
/// What only the simulation asks (what would start, and whether all of it is right) is looked up where the same bytes
/// were judged before; what the node itself does always runs.
final class RealStorage: SimulatedStorage {
    /// What was found out about bytes, by their digest: shared by all disks of a test.
    final class Knowledge {
        let releases: [RealRelease]
        fileprivate var tables: [Int: (roles: [PartitionRole: ExistingPartition], isWhole: Bool)] = [:]
        fileprivate var files: [Int: FoundFile] = [:]
        fileprivate var intact: [Int: Bool] = [:]

        init(_ releases: [RealRelease]) { self.releases = releases }
    }

    /// The file on a boot partition.
    struct FoundFile {
        var digest: Digest256?
        var program: SimulatedProgram?
    }

    private let disk: FaultyDisk
    private let knowledge: Knowledge
    private var table: [PartitionRole: ExistingPartition] = [:]
    private var isWhole = false
    private var lastRead: Int?
    private let state: PlainStorage
    private let mistake: MissingFlush?
    /// How often each device was to be flushed.
    private var flushes: [PartitionRole?: Int] = [:]
    var keyToSave: UInt8 {
        get { state.keyToSave }
        set { state.keyToSave = newValue }
    }

    init(_ disk: FaultyDisk, _ knowledge: Knowledge, mistake: MissingFlush? = nil) {
        self.disk = disk
        self.knowledge = knowledge
        self.mistake = mistake
        state = PlainStorage(disk)
        read()
    }

    /// Reads the table.
    private func read() {
        let mebibyte: UInt64 = 1 << 20
        let ends = [
            disk.seen.digest(of: 0..<mebibyte), disk.seen.digest(of: disk.sizeBytes - mebibyte..<disk.sizeBytes),
        ]
        let key = ends.hashValue
        guard key != lastRead else { return }
        lastRead = key
        if knowledge.tables[key] == nil {
            let found = (try? Partitions.existing(on: disk)) ?? []
            let roles = found.compactMap { part in PartitionRole(label: part.label).map { ($0, part) } }
            knowledge.tables[key] = (
                Dictionary(uniqueKeysWithValues: roles), (try? PartitionTable(of: disk))?.isWhole ?? false
            )
        }
        (table, isWhole) = knowledge.tables[key] ?? ([:], false)
        state.take(
            table.map { role, part in
                PlannedPartition(
                    role: role, number: part.number, uuid: part.uuid, type: part.type, startBytes: part.startBytes,
                    sizeBytes: part.sizeBytes)
            })
    }

    private func digest(_ roles: [PartitionRole]) -> Int {
        roles.map { role in
            table[role].map { disk.seen.digest(of: $0.startBytes..<$0.startBytes + $0.sizeBytes) } ?? 0
        }.hashValue
    }

    private func window(_ role: PartitionRole) throws -> any BlockDevice {
        guard let part = table[role] else { throw SimulationError("there is no partition \(role.label)") }
        return mistaken(try disk.partition(at: part.startBytes, sizeBytes: part.sizeBytes), role)
    }

    /// The device, or one that leaves flushes out.
    private func mistaken(_ device: any BlockDevice, _ role: PartitionRole?) -> any BlockDevice {
        guard let mistake, mistake.device == role else { return device }
        return ForgetfulDevice(device) { [unowned self] in
            flushes[role, default: 0] += 1
            return mistake.numbers.map { !$0.contains(flushes[role, default: 0]) } ?? false
        }
    }

    private func slot(_ slot: SlotName) throws -> SlotPartitions {
        SlotPartitions(name: "slot \(slot.letter)", root: try window(.root(slot)), tree: try window(.tree(slot)))
    }

    private func path(_ target: StartTarget) -> String {
        target == .recovery ? BootNames.recoveryPath(.current) : BootNames.slotPath
    }

    private func writer(_ release: ReleaseFacts) throws -> SlotWriter {
        guard let found = knowledge.releases.first(where: { $0.facts.release == release.release }) else {
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
        try Partitions.apply(plan, to: mistaken(self.disk, nil))
        read()
    }

    func role(at offset: UInt64) -> PartitionRole? {
        table.first { $0.value.startBytes <= offset && offset - $0.value.startBytes < $0.value.sizeBytes }?.key
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

    func holds(_ digest: Digest256, at target: StartTarget) -> Bool {
        (try? SlotVerifier.digest(of: path(target), on: window(.boot(target))))?.sha256 == digest
    }

    // MARK: What the simulation asks

    private func file(_ target: StartTarget) -> FoundFile {
        let key = digest([.boot(target)]) ^ (target == .recovery ? 1 : 0)
        if let known = knowledge.files[key] { return known }
        var found = FoundFile()
        if let device = try? window(.boot(target)) {
            found.digest = (try? SlotVerifier.digest(of: path(target), on: device))?.sha256
            if target == .recovery {
                found.program = found.digest == nil ? nil : .artifact
            } else {
                found.program = (try? SlotVerifier.describe(device)).map { .slot($0.image) }
            }
        }
        knowledge.files[key] = found
        return found
    }

    func program(at target: StartTarget) -> SimulatedProgram? { file(target).program }
    func isBootable(_ target: StartTarget) -> Bool { file(target).digest != nil }

    func isGenuine(_ target: StartTarget) -> Bool {
        let digest = file(target).digest
        return knowledge.releases.contains {
            digest == (target == .recovery ? $0.manifest.boot.sha256 : $0.manifest.uki.sha256)
        }
    }

    func isIntact(_ name: SlotName, _ image: BootArguments.SlotImage) -> Bool {
        var hasher = Hasher()
        hasher.combine(digest([.root(name), .tree(name)]))
        hasher.combine(image.rootHash)
        let key = hasher.finalize()
        if let known = knowledge.intact[key] { return known }
        let isIntact = (try? slot(name)).map { (try? SlotVerifier.verify($0, holds: image)) != nil } ?? false
        knowledge.intact[key] = isIntact
        return isIntact
    }

    // MARK: State, of which only the key matters here

    func prepare(keeps: Bool) throws { try state.prepare(keeps: keeps) }
    func key() -> UInt8? { state.key() }
    func loadIdentity() -> Bool { state.loadIdentity() }
    func saveIdentity(plan: ProvisioningPlan) throws { try state.saveIdentity(plan: plan) }
}
