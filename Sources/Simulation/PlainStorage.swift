public import Contract
public import Decisions
import Linux
public import Sequences
import Slots

/// A storage model that is small enough to be explored exhaustively: the same order of writes and flushes as the real
/// one, with a few sectors for each file. The boot record is the real one.
public final class PlainStorage: SimulatedStorage {
    let disk: FaultyDisk
    private let store: PlainTable
    private var table: [PlannedPartition]?
    private var patterns: [UInt16: [UInt8]] = [:]
    /// The key that `saveIdentity` writes.
    public var keyToSave: UInt8 = 0

    /// Opens a disk.
    public init(_ disk: FaultyDisk) {
        self.disk = disk
        store = PlainTable(disk)
        table = store.read()
    }

    private func window(_ role: PartitionRole) throws -> FaultyPartition {
        guard let partition = table?.first(where: { $0.role == role }) else {
            throw SimulationError("there is no partition \(role.label)")
        }
        return try disk.partition(at: partition.startBytes, sizeBytes: partition.sizeBytes)
    }

    /// Takes partitions over that another adapter found, to keep the state in.
    func take(_ table: [PlannedPartition]) { self.table = table }

    // MARK: Disk

    /// The disk, where a table of ours is on it.
    public func findInstalled() -> DiskFacts? {
        table = store.read()
        guard let table else { return nil }
        return DiskFacts(
            name: PlainTable.diskName, partitions: Dictionary(uniqueKeysWithValues: table.map { ($0.role, $0.uuid) }),
            startable: Set(StartTarget.allCases.filter { program(at: $0) != nil }))
    }

    /// The partitions of the table on the disk.
    public func partitions(of disk: String) -> [ExistingPartition] {
        (store.read() ?? []).map(ExistingPartition.init)
    }

    /// What the inventory says of the disk.
    public func content() -> Inventory.Disk.Content { store.read() == nil ? .blank : .apus }

    /// Writes the table.
    public func apply(_ plan: PartitionPlan, to disk: String) throws {
        if !plan.keepsTable { try store.write(plan.partitions) }
        table = store.read()
    }

    /// The partition at a place, by the table that was read last.
    public func role(at offset: UInt64) -> PartitionRole? {
        table?.first { $0.startBytes <= offset && offset - $0.startBytes < $0.sizeBytes }?.role
    }

    /// The partition that carries a target's file.
    public func partition(of target: StartTarget) -> GUID? {
        table?.first { $0.role == PartitionRole.boot(target) }?.uuid
    }

    // MARK: Record

    /// Reads the record through the real store.
    public func load() -> RecordReading { RealRecord.load { try window(.record) } }

    /// Writes the record through the real store.
    public func store(_ record: BootRecord) throws { try RealRecord.store(record) { try window(.record) } }

    // MARK: Slots

    private static let fileOffset: UInt64 = 4096

    /// Bytes that only this part of this release has.
    private func pattern(_ kind: UInt8, _ number: UInt8, sectors: Int, _ sectorBytes: Int) -> [UInt8] {
        let key = UInt16(kind) << 8 | UInt16(number)
        if let known = patterns[key] { return known }
        var bytes: [UInt8] = []
        for index in 0..<UInt8(sectors) {
            bytes += [kind, number, index]
            bytes += [UInt8](repeating: kind ^ number ^ index ^ 0x5a, count: sectorBytes - 3)
        }
        patterns[key] = bytes
        return bytes
    }

    private func put(_ bytes: [UInt8], at offset: UInt64, of role: PartitionRole) throws {
        let window = try window(role)
        try bytes.withUnsafeBytes { try window.write($0, at: offset) }
    }

    private func holds(_ bytes: [UInt8], at offset: UInt64, of role: PartitionRole) -> Bool {
        guard let window = try? window(role) else { return false }
        guard let found = try? window.bytes(at: offset, count: bytes.count) else { return false }
        return found.withUnsafeBytes { found in bytes.withUnsafeBytes { found.isSame(as: $0) } }
    }

    /// Zeroes a target's first sector.
    public func invalidate(_ target: StartTarget) throws {
        try put([UInt8](repeating: 0, count: disk.sectorSizeBytes), at: 0, of: .boot(target))
        try window(.boot(target)).flush()
    }

    /// Writes tree and root of several slots together, in several writes that are flushed at the end.
    public func write(_ release: ReleaseFacts, into slots: [SlotName], progress: StepProgress) throws {
        let number = release.release.bytes[1]
        for slot in slots { try put(tree(number), at: 0, of: .tree(slot)) }
        for slot in slots { try window(.tree(slot)).flush() }
        let root = root(number)
        let half = root.count / 2
        for start in [0, half] {
            for slot in slots { try put(Array(root[start..<start + half]), at: UInt64(start), of: .root(slot)) }
            progress(UInt64(start + half), UInt64(root.count))
        }
        for slot in slots { try window(.root(slot)).flush() }
    }

    private func root(_ number: UInt8) -> [UInt8] { pattern(5, number, sectors: 4, disk.sectorSizeBytes) }
    private func tree(_ number: UInt8) -> [UInt8] { pattern(6, number, sectors: 2, disk.sectorSizeBytes) }
    private func file(_ kind: UInt8, _ number: UInt8) -> [UInt8] {
        pattern(kind, number, sectors: 2, disk.sectorSizeBytes)
    }

    /// Compares a slot with the release.
    public func readBack(_ release: ReleaseFacts, in slot: SlotName, progress: StepProgress) throws {
        guard isIntact(slot, number: release.release.bytes[1]) else {
            throw SimulationError("slot \(slot.letter) does not read back")
        }
    }

    private func isIntact(_ slot: SlotName, number: UInt8) -> Bool {
        holds(root(number), at: 0, of: .root(slot)) && holds(tree(number), at: 0, of: .tree(slot))
    }

    /// Compares a slot with an image.
    public func isIntact(_ slot: SlotName, _ image: BootArguments.SlotImage) -> Bool {
        isIntact(slot, number: image.rootHash.bytes[1])
    }

    /// Writes the file, and the sector that makes it valid last.
    public func activate(_ target: StartTarget, from release: ReleaseFacts) throws {
        try invalidate(target)
        let role = PartitionRole.boot(target)
        let kind: UInt8 = target == .recovery ? 4 : 3
        let number = release.release.bytes[1]
        try put(file(kind, number), at: Self.fileOffset, of: role)
        try window(role).flush()
        try put(pattern(kind + 10, number, sectors: 1, disk.sectorSizeBytes), at: 0, of: role)
        try window(role).flush()
    }

    /// Whether a target's file has this digest.
    public func holds(_ digest: Digest256, at target: StartTarget) -> Bool {
        guard let (kind, number) = identity(of: target) else { return false }
        return digest.bytes[0] == kind && digest.bytes[1] == number
    }

    private func identity(of target: StartTarget) -> (kind: UInt8, number: UInt8)? {
        guard let (kind, number) = volume(of: target),
            holds(file(kind, number), at: Self.fileOffset, of: .boot(target))
        else { return nil }
        return (kind, number)
    }

    /// What the first sector says, where it is whole.
    private func volume(of target: StartTarget) -> (kind: UInt8, number: UInt8)? {
        let kind: UInt8 = target == .recovery ? 4 : 3
        guard let window = try? window(.boot(target)),
            let first = try? window.bytes(at: 0, count: disk.sectorSizeBytes), first[0] == kind + 10,
            holds(pattern(kind + 10, first[1], sectors: 1, disk.sectorSizeBytes), at: 0, of: .boot(target))
        else { return nil }
        return (kind, first[1])
    }

    /// Whether the sector that makes a file valid is there.
    public func isBootable(_ target: StartTarget) -> Bool { volume(of: target) != nil }

    /// Whether the file is whole.
    public func isGenuine(_ target: StartTarget) -> Bool { identity(of: target) != nil }

    /// What starts at a target.
    public func program(at target: StartTarget) -> SimulatedProgram? {
        guard let (_, number) = identity(of: target) else { return nil }
        return target == .recovery ? .artifact : .slot(SimulatedRelease(number).image)
    }

    // MARK: State

    private var emptyState: [UInt8] { pattern(7, 0, sectors: 1, disk.sectorSizeBytes) }

    /// Makes the state's file system, without a key.
    public func prepare(keeps: Bool) throws {
        if keeps, holds(emptyState, at: 0, of: .state) { return }
        try put([UInt8](repeating: 0, count: disk.sectorSizeBytes), at: 4096, of: .state)
        try window(.state).flush()
        try put(emptyState, at: 0, of: .state)
        try window(.state).flush()
    }

    /// The key on the state partition.
    public func key() -> UInt8? {
        guard holds(emptyState, at: 0, of: .state), let window = try? window(.state),
            let sector = try? window.bytes(at: 4096, count: disk.sectorSizeBytes), sector[0] == 8
        else { return nil }
        return sector[1]
    }

    /// Whether there is a key to go on with.
    public func loadIdentity() -> Bool {
        guard let key = key() else { return false }
        keyToSave = key
        return true
    }

    /// Writes the key.
    public func saveIdentity(plan: ProvisioningPlan) throws {
        try put(pattern(8, keyToSave, sectors: 1, disk.sectorSizeBytes), at: 4096, of: .state)
        try window(.state).flush()
    }
}
