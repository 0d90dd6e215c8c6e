public import Contract

/// Which changes make the firmware's boot entries agree with the boot record: a pure repair plan.
///
/// Ours are three entries, each with its own description, partition and path. An entry is ours by its description, or
/// by naming a slot's file under another description (some firmware renames entries). Others' are left alone and keep
/// their order behind ours.
public struct BootEntryPlan: Sendable, Equatable {
    /// The changes in the order in which they are carried out; empty where all is well.
    public var changes: [BootVariableChange]
    /// The number that each target's entry has afterwards.
    public var numbers: [StartTarget: UInt16]
    /// The order afterwards.
    public var order: [UInt16]

    /// Plans the repair.
    ///
    /// - Parameters:
    ///   - snapshot: The firmware's variables now.
    ///   - disk: The partitions that the entries shall name; a target whose partition is missing gets no entry.
    ///   - committed: The slot that comes first in `BootOrder`; without one, slot A does.
    ///   - otherIsVerified: Whether the other slot may be started; where not, it comes behind recovery.
    ///   - next: What `BootNext` shall name; nil removes a `BootNext` of ours and leaves one of others.
    ///   - architecture: Decides recovery's path.
    public init(
        snapshot: FirmwareSnapshot, disk: DiskFacts, committed: SlotName?, otherIsVerified: Bool, next: StartTarget?,
        architecture: Architecture = .current
    ) {
        var repair = EntryRepair(snapshot: snapshot)
        let first = committed ?? .a
        let ranking: [StartTarget] =
            otherIsVerified || committed == nil
            ? [.slot(first), .slot(first.other), .recovery] : [.slot(first), .recovery, .slot(first.other)]
        for target in StartTarget.allCases {
            repair.settle(target, file: disk.file(of: target, architecture))
        }
        let ours = ranking.compactMap { repair.numbers[$0] }
        let kept = snapshot.order.filter { !repair.deleted.contains($0) && !ours.contains($0) }
        order = ours + kept.uniqued()
        numbers = repair.numbers
        // Duplicates go first, so that a full NVRAM has room for what is missing; nothing that is deleted here is the
        // only way to start something, as the fallback path remains.
        changes = repair.deleted.sorted().map { .delete($0) } + repair.writes.map { .write($0) }
        if order != snapshot.order { changes.append(.setOrder(order)) }
        if let next, let number = repair.numbers[next] {
            if snapshot.next != number { changes.append(.setNext(number)) }
        } else if let stale = snapshot.next, repair.ourOldNumbers.contains(stale) {
            changes.append(.clearNext)
        }
    }
}

/// Works out deletions and writes for one target after the other.
private struct EntryRepair {
    let entries: [BootEntry]
    let current: UInt16?
    var deleted: Set<UInt16> = []
    var writes: [BootEntry] = []
    var numbers: [StartTarget: UInt16] = [:]
    var ourOldNumbers: Set<UInt16> = []
    private var used: Set<UInt16>

    init(snapshot: FirmwareSnapshot) {
        entries = snapshot.entries
        current = snapshot.current
        // A number that only BootOrder names is left free of ours: a firmware may treat the two as one.
        used = Set(snapshot.entries.map(\.number)).union(snapshot.order)
    }

    mutating func settle(_ target: StartTarget, file: BootFile?) {
        let description = BootNames.description(of: target)
        let ours = entries.filter { entry in
            if entry.description == description { return true }
            guard case .slot = target, let file, let named = entry.file else { return false }
            return named.isSame(as: file)
        }
        ourOldNumbers.formUnion(ours.map(\.number))
        guard let file else {
            deleted.formUnion(ours.map(\.number))
            return
        }
        func isRight(_ entry: BootEntry) -> Bool {
            entry.description == description && entry.isActive && entry.file.map { $0.isSame(as: file) } == true
        }
        // The entry that was started just now is kept over its duplicates: its number is known to work.
        let right = ours.filter(isRight)
        let kept = right.first { $0.number == current } ?? right.first ?? ours.first
        deleted.formUnion(ours.map(\.number).filter { $0 != kept?.number })
        if let kept, isRight(kept) {
            numbers[target] = kept.number
        } else if let number = kept?.number ?? lowestFreeNumber() {
            used.insert(number)
            numbers[target] = number
            writes.append(BootEntry(number: number, description: description, file: file))
        }
    }

    private func lowestFreeNumber() -> UInt16? { (0...UInt16.max).first { !used.contains($0) } }
}

extension Array where Element: Hashable {
    /// The elements without repetitions, each at its first place.
    fileprivate func uniqued() -> [Element] {
        var seen: Set<Element> = []
        return filter { seen.insert($0).inserted }
    }
}
