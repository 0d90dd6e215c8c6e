import Contract
import Decisions

/// The bodies of the provisioning steps, in the order in which they run.
extension EarlyBoot {
    private var keepsState: Bool {
        guard let cause, let provisioning, let chosenDisk else { return false }
        let hadState = record?.hasState ?? (cause == .interrupted)
        return cause.keepsState && hadState && !provisioning.wipeState && chosenDisk.name == facts?.disk?.name
    }

    // MARK: Registration

    func takeInventory() throws {
        inventory = try effects.machine.inventory()
    }

    var hasNoIdentity: String? {
        guard let cause, cause.keepsState, facts?.disk != nil else { return "this machine is not installed" }
        return nil
    }

    func register() throws {
        try effects.registration.register(need(inventory, "the inventory"))
    }

    func waitForAdmission() throws {
        nodeID = try effects.registration.waitForAdmission()
    }

    func receivePlan() throws {
        let plan = try effects.registration.plan()
        let isOurs = cause?.keepsState == true
        try PlanValidation.check(
            plan,
            against: PlanValidation.Expectation(
                nodeID: need(nodeID, "the node's id"), registrationID: effects.registration.registrationID,
                lastGeneration: isOurs ? record?.planGeneration ?? 0 : 0,
                epochFloor: isOurs ? record?.epochFloor ?? 0 : 0, architecture: .current,
                clockSeconds: effects.clock.nowSeconds))
        provisioning = plan
    }

    func verifyRelease() throws {
        let plan = try need(provisioning, "the plan")
        let facts = try effects.releases.metadata(of: plan.release)
        let keeps = cause?.keepsState == true && !plan.wipeState
        try PlanValidation.check(
            facts, expected: plan.release, architecture: .current, epochFloor: keeps ? record?.epochFloor ?? 0 : 0,
            clockSeconds: effects.clock.nowSeconds)
        release = facts
    }

    // MARK: The disk

    func chooseDisk() throws {
        let plan = try need(provisioning, "the plan")
        chosenDisk = try DiskChoice.choose(
            among: need(inventory, "the inventory").disks, by: plan.disk,
            requiredBytes: PartitionPlanner.requiredBytes(plan.layout), installed: facts?.disk?.name,
            isForeignSite: cause == .otherSite)
    }

    func planPartitions() throws {
        let disk = try need(chosenDisk, "the disk")
        var generator = ClockGenerator(clock: effects.clock)
        partitions = try PartitionPlanner.plan(
            PartitioningRequest(
                disk: disk.name, diskSizeBytes: disk.sizeBytes, sectorSizeBytes: disk.sectorSizeBytes,
                layout: need(provisioning, "the plan").layout, architecture: .current, release: release,
                existing: effects.disk.partitions(of: disk.name), keepsState: keepsState),
            using: &generator)
    }

    var hasNoSlots: String? {
        facts?.disk?.name == chosenDisk?.name ? nil : "the disk carries no installation"
    }

    func markUnbootable() throws {
        try store(try firstRecord(keeping: record))
        for slot in SlotName.allCases where facts?.disk?.partitions[.boot(slot)] != nil {
            try effects.slots.invalidate(.slot(slot))
        }
    }

    private func firstRecord(keeping old: BootRecord?) throws -> BootRecord {
        .provisioning(
            release: try need(release, "the release").release, site: effects.machine.site(), keeping: old,
            keepsState: keepsState)
    }

    func writeTable() throws {
        let plan = try need(partitions, "the partition plan")
        try effects.disk.apply(plan, to: need(chosenDisk, "the disk").name)
        if plan.keepsTable, record?.isProvisioning == true { return }
        // What lay at these places before must not pass for ours.
        let targets = plan.keepsTable ? SlotName.allCases.map(StartTarget.slot) : StartTarget.allCases
        for target in targets { try effects.slots.invalidate(target) }
        try store(firstRecord(keeping: nil))
    }

    func prepareState() throws {
        try effects.state.prepare(keeps: keepsState)
        var record = try need(record, "the boot record")
        guard !record.hasState else { return }
        record.markStatePrepared()
        try store(record)
    }

    func saveIdentity() throws {
        try effects.state.saveIdentity(plan: need(provisioning, "the plan"))
    }

    // MARK: The image

    func streamImage(progress: StepProgress) throws {
        try effects.slots.write(need(release, "the release"), into: SlotName.allCases, progress: progress)
    }

    func readBack(progress: StepProgress) throws {
        let release = try need(release, "the release")
        for (index, slot) in SlotName.allCases.enumerated() {
            try effects.slots.readBack(release, in: slot) { done, total in
                progress(UInt64(index) * total + done, total * 2)
            }
        }
    }

    var hasRecovery: String? {
        guard partitions?.keepsTable == true, let artifact = record?.recovery,
            effects.slots.holds(artifact.digest, at: .recovery)
        else { return nil }
        return "the recovery partition works"
    }

    func writeRecovery() throws {
        let release = try need(release, "the release")
        var record = try need(record, "the boot record")
        record.setRecovery(nil)
        if record != self.record { try store(record) }
        try effects.slots.invalidate(.recovery)
        try effects.slots.activate(.recovery, from: release)
        record.setRecovery(release.recovery)
        try store(record)
    }

    func writeKernels() throws {
        let release = try need(release, "the release")
        for slot in SlotName.allCases { try effects.slots.activate(.slot(slot), from: release) }
    }

    // MARK: Commit

    func writeBootEntries() throws {
        let partitions = try need(partitions, "the partition plan").partitions
        let disk = DiskFacts(
            name: try need(chosenDisk, "the disk").name,
            partitions: Dictionary(partitions.map { ($0.role, $0.uuid) }) { first, _ in first },
            startable: Set(StartTarget.allCases))
        let snapshot = effects.firmware.snapshot()
        let plan = BootEntryPlan(
            snapshot: snapshot, disk: disk, committed: .a, otherIsVerified: true, next: nil)
        if let error = apply(plan.changes) {
            effects.report.log(
                "the firmware refuses boot entries (\(error)); ignoring: the fallback path starts the slot instead")
        }
    }

    func commitRecord() throws {
        let release = try need(release, "the release")
        var record = try need(record, "the boot record")
        for slot in SlotName.allCases { try record.markVerified(slot, release.installed) }
        try record.commitProvisioned(.a, generation: need(provisioning, "the plan").generation)
        try store(record)
    }

    func handOver() throws {
        switch try need(provisioning, "the plan").handOver {
        case .reboot: try effects.power.reboot()
        case .powerOff: try effects.power.powerOff()
        case .kexec:
            do {
                try effects.power.kexec(.slot(.a))
            } catch {
                effects.report.log("kexec was refused (\(error)); restarting through the firmware instead")
                try effects.power.reboot()
            }
        }
        isHandedOver = true
    }

    // MARK: Falling back

    func forgetRequest() throws {
        var record = try need(record, "the boot record")
        record.clearReprovisionRequest()
        try store(record)
    }
}

/// Random numbers from the clock's effect, so that a simulation repeats itself.
struct ClockGenerator: RandomNumberGenerator {
    let clock: any ClockEffect

    mutating func next() -> UInt64 {
        (0..<4).reduce(0) { word, _ in word << 16 | UInt64(bitPattern: clock.random(below: 1 << 16)) }
    }
}
