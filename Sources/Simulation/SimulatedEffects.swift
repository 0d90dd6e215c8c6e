import Contract
import Decisions
import Sequences

/// The simulated effects of one boot. Each change outside the disk is an instant at which power may be lost.
final class SimulatedEffects {
    let machine: SimulatedMachine
    let started: SimulatedMachine.Started
    /// Whether the sequence ended because network or server are not there.
    private(set) var isWaiting = false
    private var milliseconds: Int64 = 0
    private var random: UInt64 = 0x9e37_79b9_7f4a_7c15
    private var hasKey = false
    let registrationID: String

    var storage: any SimulatedStorage { machine.storage }

    init(_ machine: SimulatedMachine, _ started: SimulatedMachine.Started) {
        self.machine = machine
        self.started = started
        registrationID = "boot-\(machine.boots)"
    }

    var earlyBoot: EarlyBootEffects {
        EarlyBootEffects(
            machine: self, disk: storage, record: storage, firmware: self, slots: storage, state: self, network: self,
            registration: self, releases: self, power: self, report: self, clock: self)
    }

    var agent: AgentEffects {
        AgentEffects(
            record: storage, firmware: self, slots: storage, releases: self, power: self, report: self, clock: self)
    }

    /// Ends the run where a real machine would wait.
    private struct NotThere: PermanentError {}

    private func reach() throws {
        guard machine.site.isReachable else {
            isWaiting = true
            throw NotThere()
        }
    }
}

extension SimulatedEffects: MachineEffect {
    func mountFilesystems() {}
    func armWatchdog() {}
    func loadDrivers() {}
    func bootArguments() -> BootArguments { started.arguments }
    func site() -> Digest256? { started.program == .artifact ? machine.site.authority : nil }

    func inventory() -> Inventory {
        let disk = Inventory.Disk(
            name: PlainTable.diskName, sizeBytes: machine.disk.sizeBytes,
            sectorSizeBytes: machine.disk.sectorSizeBytes, transport: "sata", model: "Simulated", serial: "1", wwn: "",
            isRemovable: false, isBootMedium: false, isRotational: false, content: storage.content())
        return Inventory(
            smbios: Inventory.SMBIOS(manufacturer: "", product: "", serial: "", uuid: "", assetTag: ""),
            architecture: .current, processor: "", processorCount: 1, memoryBytes: 1 << 28, networkInterfaces: [],
            disks: [disk], usb: [], pci: [], hasTPM: false,
            firmware: Inventory.FirmwareFacts(vendor: "", version: "", secureBoot: false), clockSeconds: 0)
    }
}

extension SimulatedEffects: NetworkEffect {
    func bringUp() throws { try reach() }
    func findEndpoint() {}
    func setClockFloor() {}
}

extension SimulatedEffects: RegistrationEffect {
    func register(_ inventory: Inventory) throws {
        try reach()
        guard !hasKey else { return }
        machine.keysMade = min(machine.keysMade + 1, 2)
        storage.keyToSave = machine.keysMade
        hasKey = true
    }

    func waitForAdmission() throws -> NodeID {
        let last = Character(UnicodeScalar(UInt8(ascii: "0") + storage.keyToSave % 10))
        guard let id = NodeID(String(repeating: "0", count: 25) + String(last)) else {
            throw SimulationError("not a node id")
        }
        return id
    }

    func plan() throws -> ProvisioningPlan {
        // The least number that the node accepts: whatever it carried out last may not come again.
        let generation = (storage.load().record?.planGeneration ?? 0) + 1
        return machine.site.plan(
            nodeID: try waitForAdmission(), registration: registrationID, generation: generation)
    }
}

extension SimulatedEffects: StateEffect {
    func prepare(keeps: Bool) throws { try storage.prepare(keeps: keeps) }
    func saveIdentity(plan: ProvisioningPlan) throws { try storage.saveIdentity(plan: plan) }
    func loadIdentity() -> Bool {
        hasKey = storage.loadIdentity()
        return hasKey
    }
}

extension SimulatedEffects: ReleaseEffect {
    func metadata(of release: Digest256) throws -> ReleaseFacts {
        try reach()
        guard let found = machine.site.release(release) else { throw Refusal("the server has no such release") }
        return found.facts
    }
}

extension SimulatedEffects: BootVariableEffect {
    func snapshot() -> FirmwareSnapshot {
        let firmware = machine.firmware
        return FirmwareSnapshot(
            entries: firmware.entries, order: firmware.order, next: firmware.next, current: firmware.current,
            isWritable: true, stubPartition: started.isKexec ? nil : started.target.flatMap(storage.partition(of:)),
            stubPath: nil)
    }

    func apply(_ change: BootVariableChange) throws {
        try machine.firmware.apply(change)
        machine.instant()
    }
}

extension SimulatedEffects: PowerEffect {
    func reboot() throws { try end(.restart) }
    func powerOff() throws { try end(.off) }

    func kexec(_ target: StartTarget) throws {
        guard machine.site.kexecWorks, storage.program(at: target) != nil else {
            throw Refusal("the kernel cannot be loaded")
        }
        try end(.kexec(target))
    }

    func start(_ slot: SlotStart) throws {
        guard storage.isIntact(slot.slot, slot.image) else { throw SimulationError("verity finds a damaged block") }
        machine.note("slot \(slot.slot.letter) starts")
        machine.outcome = .started(slot)
    }

    private func end(_ outcome: SimulatedMachine.Outcome) throws {
        try machine.disk.sync()
        machine.outcome = outcome
    }
}

extension SimulatedEffects: ReportEffect {
    func step(_ report: StepReport) {}
    func log(_ line: String) { machine.note(line) }
    func flush() {}
}

extension SimulatedEffects: ClockEffect {
    var uptimeMilliseconds: Int64 { milliseconds }
    var nowSeconds: Int64 { 1000 }
    func wait(milliseconds: Int64) { self.milliseconds += milliseconds }

    /// A generator of Marsaglia's xorshift family: the same numbers in each run.
    func random(below bound: Int64) -> Int64 {
        random ^= random << 13
        random ^= random >> 7
        random ^= random << 17
        return Int64(random % UInt64(max(1, bound)))
    }
}
