public import Contract
import Decisions
import Sequences

/// How a run of a simulated machine ended.
public enum SimulatedEnd: Sendable, Equatable {
    /// The slot runs, committed, and its agent has nothing left to do.
    case steady(SlotName)
    /// It waits for a network or a server that is not there.
    case waiting
    /// Nothing starts: no slot, no recovery, no network.
    case dead
    /// It was still restarting after the limit.
    case restless
    /// It was not run further, as `onRestart` wanted.
    case stopped
}

/// A machine: firmware, disk, and the real sequences over simulated effects, from one restart to the next.
public final class SimulatedMachine {
    let site: SimulatedSite
    let disk: FaultyDisk
    let storage: any SimulatedStorage
    var firmware: SimulatedFirmware
    var keysMade: UInt8
    var hasAskedToReprovision: Bool
    /// What happened, for a failure's diagnosis.
    public private(set) var history: [String] = []
    /// Broken rules.
    public private(set) var violations: [String] = []
    /// How often it restarted.
    public private(set) var boots = 0
    /// Called at each instant at which power may be lost, between any two effects.
    public var onInstant: ((SimulatedMachine) -> Void)?
    /// Called at each restart through the firmware, when all that is left is `world`; false ends the run.
    public var onRestart: ((SimulatedMachine) -> Bool)?
    var outcome = Outcome.running
    private var attempts: [Digest256: Int]
    private var running: SlotName?
    /// The slots that may not be written; nil after the record changed.
    private var untouchable: Set<SlotName>?

    /// What the program that runs did last.
    enum Outcome: Equatable { case running, restart, off, kexec(StartTarget), started(SlotStart) }

    /// Switches a machine on. `makeStorage` decides about the adapters; with a `file` the disk lies in that.
    public init(
        _ world: World, site: SimulatedSite, file: DiskFile? = nil,
        makeStorage: (FaultyDisk) -> any SimulatedStorage = { PlainStorage($0) }
    ) {
        self.site = site
        disk = FaultyDisk(world.disk, sectorSizeBytes: site.sectorSizeBytes, file: file)
        storage = makeStorage(disk)
        firmware = world.firmware
        keysMade = world.keysMade
        hasAskedToReprovision = world.hasAskedToReprovision
        attempts = world.attempts
        disk.onEffect = { [unowned self] in onInstant?(self) }
        disk.onWrite = { [unowned self] offset, _ in guardSlots(offset) }
        disk.onConflict = { [unowned self] in violations.append($0) }
    }

    /// The worlds that a power cut at this instant may leave.
    public func worldsAfterCut(_ detail: FaultyDisk.Detail = .each) -> [World] {
        disk.imagesAfterCut(detail).map(world)
    }

    /// The world with everything written so far durable.
    public var world: World { world(disk.durable) }

    private func world(_ image: DiskImage) -> World {
        var world = World(habit: firmware.habit)
        world.disk = image
        world.firmware = firmware
        world.keysMade = keysMade
        world.hasAskedToReprovision = hasAskedToReprovision
        world.attempts = attempts
        return world
    }

    func note(_ line: String) { history.append(line) }

    /// An effect outside the disk happened.
    func instant() { onInstant?(self) }

    // MARK: - From restart to restart

    /// Runs until the node is steady, waits or is dead, restarting at most `limit` times.
    public func run(limit: Int = 40) -> SimulatedEnd {
        var pending = Outcome.restart
        while boots < limit {
            boots += 1
            guard let started = start(pending) else { return .dead }
            let end = boot(started)
            // What a panic, a reset or the firmware finds is what was flushed.
            if end == nil { disk.reset() }
            violations += Invariants.broken(self)
            if let end { return end }
            pending = outcome
            if pending == .restart, onRestart?(self) == false { return .stopped }
        }
        return .restless
    }

    private func boot(_ started: Started) -> SimulatedEnd? {
        outcome = .running
        running = started.slot
        untouchable = nil
        if let end = runEarlyBoot(started) { return end }
        if case .started(let slot) = outcome { return runSystem(slot, started) }
        if case .kexec = outcome { return nil }
        outcome = .restart
        return nil
    }

    /// What the firmware or kexec starts.
    private func start(_ pending: Outcome) -> Started? {
        if case .kexec(let target) = pending, let program = storage.program(at: target) {
            note("kexec starts \(target)")
            return Started(program: program, target: target, isKexec: true)
        }
        _ = try? storage.findInstalled()
        guard let choice = firstChoice() else { return nil }
        // Looking at the choices uses `BootNext` up.
        _ = firmware.choices()
        firmware.current = choice.number
        note("the firmware starts \(choice.started.target.map { "\($0)" } ?? "the network")")
        return choice.started
    }

    /// What the firmware would start now: the first of its choices that is there, or the fallback path.
    func firstChoice() -> (number: UInt16?, started: Started)? {
        var firmware = firmware
        for choice in firmware.choices() {
            guard let file = choice.file else {
                guard site.bootsFromNetwork else { continue }
                return (choice.number, Started(program: .artifact, target: nil, isKexec: false))
            }
            guard let target = StartTarget.allCases.first(where: { storage.partition(of: $0) == file.partition }),
                let program = storage.program(at: target)
            else { continue }
            return (choice.number, Started(program: program, target: target, isKexec: false))
        }
        return storage.program(at: .recovery).map {
            (nil, Started(program: $0, target: .recovery, isKexec: false))
        }
    }

    struct Started {
        var program: SimulatedProgram
        var target: StartTarget?
        var isKexec: Bool

        var slot: SlotName? { if case .slot(let slot)? = target { slot } else { nil } }

        var arguments: BootArguments {
            switch program {
            case .artifact: return BootArguments(mode: .provision, isKexec: isKexec)
            case .slot(let image):
                return BootArguments(mode: .slot(image), kexecSlot: isKexec ? slot : nil, isKexec: isKexec)
            }
        }
    }

    private func behaviour(_ program: SimulatedProgram) -> SimulatedRelease.Behaviour? {
        guard case .slot(let image) = program else { return nil }
        return site.release(root: image.rootHash)?.behaviour
    }

    /// `apus-init`. Returns an end, or nil with `outcome` set.
    private func runEarlyBoot(_ started: Started) -> SimulatedEnd? {
        if behaviour(started.program) == .diesEarly {
            note("its kernel dies")
            outcome = .restart
            return nil
        }
        let effects = SimulatedEffects(self, started)
        let boot = EarlyBoot(effects: effects.earlyBoot)
        let before = storage.load().record
        do {
            try Runner(report: effects, clock: effects).run(earlyBootSequence(), on: boot)
        } catch {
            note("\(error)")
            if effects.isWaiting { return .waiting }
            if boot.canFallBack {
                do {
                    try Runner(report: effects, clock: effects).run(fallBackSequence(), on: boot)
                } catch { note("\(error)") }
            }
        }
        if case .started(let slot) = outcome { check(slot, before: before) }
        return nil
    }

    /// The slot's system with its agent. Returns an end, or nil with `outcome` set.
    private func runSystem(_ start: SlotStart, _ started: Started) -> SimulatedEnd? {
        let behaviour = behaviour(started.program) ?? .healthy
        guard behaviour != .dies else {
            note("its system dies")
            outcome = .restart
            return nil
        }
        let agent = SimulatedAgent(self, SimulatedEffects(self, started), isHealthy: behaviour == .healthy)
        do {
            if try agent.run(start.slot) { return .steady(start.slot) }
        } catch {
            note("\(error)")
        }
        outcome = .restart
        return nil
    }

    // MARK: - Rules that only show while it runs

    /// A start is counted before it happens, and attempts of one version only ever go down, through all power cuts.
    private func check(_ start: SlotStart, before: BootRecord?) {
        if !disk.pending.isEmpty { violations.append("slot \(start.slot.letter) starts before all is durable") }
        violations += Invariants.broken(by: start, before: before, now: storage.load().record)
        guard let trial = start.trial else { return }
        if let before = attempts[start.image.rootHash], trial.attemptsLeft >= before {
            violations.append("a version had \(before) attempts left and now has \(trial.attemptsLeft)")
        }
        attempts[start.image.rootHash] = trial.attemptsLeft
    }

    /// What runs and what is committed is never written, not even with the same bytes.
    private func guardSlots(_ offset: UInt64) {
        guard let role = storage.role(at: offset) else { return }
        if role == .record { untouchable = nil }
        guard let slot = SlotName.allCases.first(where: { [.boot($0), .root($0), .tree($0)].contains(role) }) else {
            return
        }
        let kept = untouchable ?? Set([running, storage.load().record?.committed].compactMap(\.self))
        untouchable = kept
        if kept.contains(slot) { violations.append("\(role.label) of a slot in use was written") }
    }
}
