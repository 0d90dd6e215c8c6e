public import Contract
import Decisions
import Sequences

/// Everything about a machine that outlives a power cut.
public struct World: Sendable, Equatable {
    /// The disk.
    public var disk: DiskImage
    /// The firmware's variables.
    public var firmware: SimulatedFirmware
    /// How many node keys were made: a second one would be a second node.
    public var keysMade: UInt8 = 0
    /// The generation of the server's newest plan.
    public var planGeneration = 0
    /// Whether the operator's request was passed on.
    public var hasAskedToReprovision = false

    /// A machine as it comes out of its box.
    public init(habit: SimulatedFirmware.Habit = .honest) {
        disk = DiskImage(sizeBytes: SimulatedSite.diskBytes)
        firmware = SimulatedFirmware(habit: habit)
    }

    /// Equal for equal worlds, within one process.
    public var digest: Int {
        var hasher = Hasher()
        hasher.combine(disk.digest)
        hasher.combine(firmware)
        hasher.combine(keysMade)
        hasher.combine(hasAskedToReprovision)
        return hasher.finalize()
    }
}

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
}

/// A machine: firmware, disk, and the real sequences over simulated effects, from one restart to the next.
public final class SimulatedMachine {
    let site: SimulatedSite
    let disk: FaultyDisk
    let storage: any SimulatedStorage
    var firmware: SimulatedFirmware
    var keysMade: UInt8
    var planGeneration: Int
    var hasAskedToReprovision: Bool
    /// What happened, for a failure's diagnosis.
    public private(set) var history: [String] = []
    /// Broken rules.
    public private(set) var violations: [String] = []
    /// How often it restarted.
    public private(set) var boots = 0
    /// Called at each instant at which power may be lost, between any two effects.
    public var onInstant: ((SimulatedMachine) -> Void)?
    var outcome = Outcome.running
    private var attempts: [Digest256: Int] = [:]

    /// What the program that runs did last.
    enum Outcome: Equatable { case running, restart, off, kexec(StartTarget), started(SlotStart) }

    /// Switches a machine on. `makeStorage` decides about the adapters.
    public init(
        _ world: World, site: SimulatedSite, makeStorage: (FaultyDisk) -> any SimulatedStorage = { PlainStorage($0) }
    ) {
        self.site = site
        disk = FaultyDisk(world.disk)
        storage = makeStorage(disk)
        firmware = world.firmware
        keysMade = world.keysMade
        planGeneration = world.planGeneration
        hasAskedToReprovision = world.hasAskedToReprovision
        disk.onEffect = { [unowned self] in onInstant?(self) }
    }

    /// The worlds that a power cut at this instant may leave.
    public func worldsAfterCut(isBrief: Bool = false) -> [World] { disk.imagesAfterCut(isBrief: isBrief).map(world) }

    /// The world with everything written so far durable.
    public var world: World { world(disk.durable) }

    private func world(_ image: DiskImage) -> World {
        var world = World(habit: firmware.habit)
        world.disk = image
        world.firmware = firmware
        world.keysMade = keysMade
        world.planGeneration = planGeneration
        world.hasAskedToReprovision = hasAskedToReprovision
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
            let started = start(pending)
            guard let started else { return .dead }
            outcome = .running
            if let end = runEarlyBoot(started) { return end }
            if case .started(let slot) = outcome, let end = runSystem(slot, started) { return end }
            // What a panic, a reset or the firmware finds is what was flushed.
            disk.reset()
            violations += Invariants.broken(self)
            pending = outcome
        }
        return .restless
    }

    /// What the firmware or kexec starts.
    private func start(_ pending: Outcome) -> Started? {
        if case .kexec(let target) = pending, let program = storage.program(at: target) {
            note("kexec starts \(target)")
            return Started(program: program, target: target, isKexec: true)
        }
        _ = try? storage.findInstalled()
        firmware.current = nil
        for choice in firmware.choices() {
            guard let file = choice.file else {
                guard site.bootsFromNetwork else { continue }
                firmware.current = choice.number
                note("the firmware starts the network")
                return Started(program: .artifact, target: nil, isKexec: false)
            }
            guard let target = StartTarget.allCases.first(where: { storage.partition(of: $0) == file.partition }),
                let program = storage.program(at: target)
            else { continue }
            firmware.current = choice.number
            note("the firmware starts \(target)")
            return Started(program: program, target: target, isKexec: false)
        }
        guard let program = storage.program(at: .recovery) else { return nil }
        note("the firmware starts the fallback path")
        return Started(program: program, target: .recovery, isKexec: false)
    }

    struct Started {
        var program: SimulatedProgram
        var target: StartTarget?
        var isKexec: Bool

        var arguments: BootArguments {
            let slot: SlotName? = if case .slot(let slot)? = target { slot } else { nil }
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
        if outcome == .off { outcome = .restart }
        if outcome == .running { outcome = .restart }
        return nil
    }

    /// The slot's system with its agent. Returns an end, or nil with `outcome` set.
    private func runSystem(_ start: SlotStart, _ started: Started) -> SimulatedEnd? {
        checkAttempts(start)
        let behaviour = behaviour(started.program) ?? .healthy
        guard behaviour != .dies else {
            note("its system dies")
            outcome = .restart
            return nil
        }
        let agent = SimulatedAgent(self, SimulatedEffects(self, started), isHealthy: behaviour == .healthy)
        outcome = .running
        do {
            if try agent.run(start.slot) { return .steady(start.slot) }
        } catch {
            note("\(error)")
        }
        if outcome == .running { outcome = .restart }
        return nil
    }

    /// Attempts of one version only ever go down.
    private func checkAttempts(_ start: SlotStart) {
        guard let trial = start.trial else { return }
        if let before = attempts[start.image.rootHash], trial.attemptsLeft >= before {
            violations.append("a trial had \(before) attempts left and now has \(trial.attemptsLeft)")
        }
        attempts[start.image.rootHash] = trial.attemptsLeft
    }
}
