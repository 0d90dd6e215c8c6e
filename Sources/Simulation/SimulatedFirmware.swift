public import Decisions

/// A firmware's variables, and how well it keeps to the rules.
public struct SimulatedFirmware: Sendable, Hashable {
    /// Ways in which firmware misbehaves.
    public enum Habit: Sendable, Hashable, CaseIterable {
        /// None.
        case honest
        /// Leaves `BootNext` set and starts `BootOrder`'s first.
        case ignoresNext
        /// Removes `BootNext` and starts `BootOrder`'s first.
        case dropsNext
        /// Starts the network first, whatever `BootOrder` says, unless `BootNext` is set.
        case networkFirst
        /// Forgets all entries of ours at each restart.
        case forgetsEntries
        /// Refuses every change.
        case readOnly
        /// Has room for one more entry only.
        case full
    }

    /// How it behaves.
    public var habit: Habit
    /// Its entries.
    public var entries: [BootEntry] = []
    /// `BootOrder`.
    public var order: [UInt16] = []
    /// `BootNext`.
    public var next: UInt16?
    /// `BootCurrent`.
    public var current: UInt16?

    /// The entry that starts from the network.
    static let network: UInt16 = 0x0007

    /// Makes a firmware that knows the network only.
    public init(habit: Habit = .honest) {
        self.habit = habit
        entries = [BootEntry(number: Self.network, description: "UEFI PXEv4", file: nil)]
        order = [Self.network]
    }

    /// Carries one change out, whole or not at all.
    public mutating func apply(_ change: BootVariableChange) throws {
        guard habit != .readOnly else { throw SimulationError("the variable store is read-only") }
        switch change {
        case .delete(let number):
            entries.removeAll { $0.number == number }
            order.removeAll { $0 == number }
        case .write(let entry):
            let isNew = !entries.contains { $0.number == entry.number }
            if habit == .full, isNew, entries.count >= 2 { throw SimulationError("the variable store is full") }
            entries.removeAll { $0.number == entry.number }
            entries.append(entry)
            entries.sort { $0.number < $1.number }
        case .setOrder(let numbers): order = numbers
        case .setNext(let number): next = number
        case .clearNext: next = nil
        }
    }

    /// Forgets everything of ours, as a flat battery does.
    public mutating func wipe() { self = SimulatedFirmware(habit: habit) }

    /// What it tries to start, in order, at a restart: files, or nil for the network. The fallback path of the disk
    /// comes last, as firmware looks for it when nothing else starts.
    mutating func choices() -> [(number: UInt16?, file: BootFile?)] {
        if habit == .forgetsEntries { wipe() }
        var numbers: [UInt16] = []
        if let next, habit != .ignoresNext {
            self.next = nil
            if habit != .dropsNext { numbers.append(next) }
        }
        if habit == .networkFirst { numbers.append(Self.network) }
        numbers += order
        return numbers.compactMap { number in
            entries.first { $0.number == number && $0.isActive }.map { (number, $0.file) }
        }
    }
}
