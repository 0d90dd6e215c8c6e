public import Contract
public import Decisions

/// The effects that the agent's sequences need.
public struct AgentEffects {
    /// The boot record.
    public var record: any BootRecordEffect
    /// The firmware's variables.
    public var firmware: any BootVariableEffect
    /// Slots and the recovery partition.
    public var slots: any SlotEffect
    /// Releases at the server.
    public var releases: any ReleaseEffect
    /// Restarts.
    public var power: any PowerEffect
    /// Where reports go.
    public var report: any ReportEffect
    /// Time.
    public var clock: any ClockEffect

    /// Gathers the effects.
    public init(
        record: any BootRecordEffect, firmware: any BootVariableEffect, slots: any SlotEffect,
        releases: any ReleaseEffect, power: any PowerEffect, report: any ReportEffect, clock: any ClockEffect
    ) {
        self.record = record
        self.firmware = firmware
        self.slots = slots
        self.releases = releases
        self.power = power
        self.report = report
        self.clock = clock
    }
}

/// The sizes of a disk's partitions, as far as a release must fit them, in bytes.
public struct SlotSizes: Sendable, Equatable {
    /// Each slot's root partition.
    public var rootBytes: UInt64
    /// Each slot's tree partition.
    public var treeBytes: UInt64
    /// Each slot's boot partition.
    public var bootBytes: UInt64
    /// The recovery partition.
    public var recoveryBytes: UInt64

    /// Gathers sizes.
    public init(rootBytes: UInt64, treeBytes: UInt64, bootBytes: UInt64, recoveryBytes: UInt64) {
        self.rootBytes = rootBytes
        self.treeBytes = treeBytes
        self.bootBytes = bootBytes
        self.recoveryBytes = recoveryBytes
    }
}

/// The agent's hold on the node's slots: the record in memory, and the slot that runs.
///
/// One thread uses it at a time. Each sequence changes the record in memory by a validated transition, stores it, and
/// only then does what it announced.
public final class AgentWork {
    /// The effects.
    public let effects: AgentEffects
    /// The slot that runs.
    public let running: SlotName
    /// The disk in use.
    public let disk: DiskFacts
    let sizes: SlotSizes
    /// The record as it is on the disk.
    public internal(set) var record: BootRecord
    /// Whether a restart has begun; in simulation, as the real call does not return.
    public internal(set) var isRestarting = false
    var release: ReleaseFacts?

    /// Reads the record. Throws a `Refusal` where there is none, as `apus-init` rebuilds a lost one at the next start.
    public init(effects: AgentEffects, running: SlotName, disk: DiskFacts, sizes: SlotSizes) throws {
        self.effects = effects
        self.running = running
        self.disk = disk
        self.sizes = sizes
        switch effects.record.load() {
        case .valid(let record): self.record = record
        case .missing: throw Refusal("the boot record is missing; restart the machine to have it rebuilt")
        case .unreadable(let why):
            throw Refusal("the boot record is not readable (\(why)); restart the machine to have it rebuilt")
        }
    }

    /// Changes the record in memory, and stores it where that changed it.
    func change(_ transition: (inout BootRecord) throws -> Void) throws {
        var changed = record
        try transition(&changed)
        guard changed != record else { return }
        try effects.record.store(changed)
        record = changed
    }

    /// The changes that bring the firmware's entries in line with the record.
    func entryChanges(next: StartTarget? = nil) -> [BootVariableChange] {
        let committed = record.committed
        return BootEntryPlan(
            snapshot: effects.firmware.snapshot(), disk: disk, committed: committed,
            otherIsVerified: committed.map { record[$0.other].installed != nil } ?? false, next: next
        ).changes
    }

    /// Brings the entries in line; a firmware that refuses is tolerated, as the fallback path and `apus-init` lead on.
    func repairEntries(next: StartTarget? = nil) {
        if let error = effects.firmware.applyAll(entryChanges(next: next)) {
            effects.report.log(
                "the firmware refuses a boot variable (\(error)); ignoring: the next start goes through kexec instead")
        }
    }

    func restart() throws {
        effects.report.flush()
        try effects.power.reboot()
        isRestarting = true
    }

    func needRelease() throws -> ReleaseFacts {
        guard let release else { throw Refusal("the release's metadata is not known yet") }
        return release
    }
}

extension AgentWork {
    /// Clears the count of boots, once the committed system was healthy for long enough.
    public func confirmHealth() throws {
        try change { try $0.healthConfirmed(running) }
    }

    /// Lets failed versions be tried again.
    public func clearQuarantine() throws {
        try change { $0.clearQuarantine() }
    }

    /// Whether a lasting failure of the committed version can still go back to the one before.
    public var canGoBack: Bool { record.committed == running && record.previous != nil && record.trial == nil }
}
