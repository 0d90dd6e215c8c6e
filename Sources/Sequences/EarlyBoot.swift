import Contract
public import Decisions

/// The effects that early boot needs: real ones in `Node`, simulated ones in `Simulation`.
public struct EarlyBootEffects {
    /// The machine.
    public var machine: any MachineEffect
    /// Disks.
    public var disk: any DiskEffect
    /// The boot record.
    public var record: any BootRecordEffect
    /// The firmware's variables.
    public var firmware: any BootVariableEffect
    /// Slots and the recovery partition.
    public var slots: any SlotEffect
    /// The state partition.
    public var state: any StateEffect
    /// The network.
    public var network: any NetworkEffect
    /// Registration at the server.
    public var registration: any RegistrationEffect
    /// Releases at the server.
    public var releases: any ReleaseEffect
    /// How the boot ends.
    public var power: any PowerEffect
    /// Where reports go.
    public var report: any ReportEffect
    /// Time.
    public var clock: any ClockEffect

    /// Gathers the effects.
    public init(
        machine: any MachineEffect, disk: any DiskEffect, record: any BootRecordEffect,
        firmware: any BootVariableEffect, slots: any SlotEffect, state: any StateEffect, network: any NetworkEffect,
        registration: any RegistrationEffect, releases: any ReleaseEffect, power: any PowerEffect,
        report: any ReportEffect, clock: any ClockEffect
    ) {
        self.machine = machine
        self.disk = disk
        self.record = record
        self.firmware = firmware
        self.slots = slots
        self.state = state
        self.network = network
        self.registration = registration
        self.releases = releases
        self.power = power
        self.report = report
        self.clock = clock
    }
}

/// What one early boot has found out so far; the steps of `earlyBootSequence` fill it in.
public final class EarlyBoot {
    let effects: EarlyBootEffects
    /// The facts that the boot was decided from.
    public internal(set) var facts: BootFacts?
    /// What was decided.
    public internal(set) var plan: BootPlan?
    /// Whether another program or kernel has the machine; in simulation, as the real calls do not return.
    public internal(set) var isHandedOver = false
    /// The boot record as it was stored last.
    public internal(set) var record: BootRecord?

    // What provisioning learns, step by step.
    var inventory: Inventory?
    var nodeID: NodeID?
    var provisioning: ProvisioningPlan?
    var release: ReleaseFacts?
    var chosenDisk: Inventory.Disk?
    var partitions: PartitionPlan?

    /// Begins with nothing known.
    public init(effects: EarlyBootEffects) { self.effects = effects }

    /// Why the machine is being provisioned, if it is.
    public var cause: ProvisioningCause? {
        if case .provision(let cause)? = plan?.action { cause } else { nil }
    }

    /// Whether provisioning that an operator asked for can be given up for the system that is still installed.
    public var canFallBack: Bool { cause == .requested && record?.committed != nil }

    func need<Value>(_ value: Value?, _ name: String) throws -> Value {
        guard let value else { throw Refusal("\(name) is not known yet; the steps are in the wrong order") }
        return value
    }

    func store(_ record: BootRecord) throws {
        try effects.record.store(record)
        self.record = record
    }
}

extension EarlyBoot {
    /// Reads record, disk and firmware, and decides.
    func decide() throws {
        let disk = try effects.disk.findInstalled()
        let reading = disk == nil ? .missing : effects.record.load()
        let facts = BootFacts(
            arguments: try effects.machine.bootArguments(), record: reading, disk: disk,
            firmware: effects.firmware.snapshot(), site: effects.machine.site())
        decide(from: facts)
        // A slot's UKI knows no site to provision from; its disk may only be late.
        if facts.arguments.mode != .provision, case .provision? = plan?.action { throw SlotDiskMissing() }
    }

    /// The disk that this slot's kernel was loaded from does not show its partitions.
    struct SlotDiskMissing: Error, CustomStringConvertible {
        let description =
            "the disk of this slot cannot be found or is damaged; if it stays so, start the boot artifact from the "
            + "network or a USB stick"
    }

    private func decide(from facts: BootFacts) {
        self.facts = facts
        record = facts.record.record
        let plan = BootDecision.decide(facts)
        self.plan = plan
        effects.report.log(plan.reason)
    }

    /// Carries the plan out; what firmware or kexec refuses is decided again with that fact, a bounded number of times.
    func carryOut() throws {
        for _ in 0..<8 {
            let plan = try need(self.plan, "the boot plan")
            let facts = try need(self.facts, "the facts of this boot")
            if let record = plan.record { try store(record) }
            if let refusal = apply(plan.changes) {
                effects.report.log("the firmware refuses a boot variable (\(refusal)); going on without it")
                decideAgain(facts) { $0.firmware.isWritable = false }
                continue
            }
            if let target = try act(plan.action) {
                decideAgain(facts) { $0.kexecRefused.insert(target) }
                continue
            }
            return
        }
        throw Refusal("neither firmware nor kexec starts anything on this disk")
    }

    private func decideAgain(_ facts: BootFacts, change: (inout BootFacts) -> Void) {
        var facts = facts
        let isWritable = facts.firmware.isWritable
        facts.firmware = effects.firmware.snapshot()
        facts.firmware.isWritable = facts.firmware.isWritable && isWritable
        if let record { facts.record = .valid(record) }
        change(&facts)
        decide(from: facts)
    }

    /// The error of the first change that was refused, or nil.
    func apply(_ changes: [BootVariableChange]) -> (any Error)? {
        effects.firmware.applyAll(changes)
    }

    /// Ends the boot as decided; the target whose kexec was refused, or nil.
    private func act(_ action: BootPlan.Action) throws -> StartTarget? {
        switch action {
        case .provision: return nil
        case .start(let slot): try effects.power.start(slot)
        case .reboot: try effects.power.reboot()
        case .kexec(let target):
            do {
                try effects.power.kexec(target)
            } catch {
                effects.report.log("kexec of \(target) was refused: \(error)")
                return target
            }
        }
        isHandedOver = true
        return nil
    }
}

extension BootVariableEffect {
    /// Carries changes out in order up to the first that the firmware refuses, whose error it returns.
    func applyAll(_ changes: [BootVariableChange]) -> (any Error)? {
        for change in changes {
            do {
                try apply(change)
            } catch {
                return error
            }
        }
        return nil
    }
}
