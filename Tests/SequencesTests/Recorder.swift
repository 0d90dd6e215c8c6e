import Contract
import Decisions

@testable import Sequences

/// Every effect in memory: it writes down what was asked of it, in order, and refuses what it is told to refuse.
final class Recorder {
    struct Broken: Error, CustomStringConvertible { var description: String }

    var log: [String] = []
    var lines: [String] = []
    var reports: [StepReport] = []
    var waits: [Int64] = []
    var fails: [String: Int] = [:]
    var permanent: Set<String> = []
    var arguments = BootArguments(mode: .provision)
    var reading = RecordReading.missing
    var installed: DiskFacts?
    var existing: [ExistingPartition] = []
    var firmware = FirmwareSnapshot()
    var disk = Recorder.disk()
    var release = Recorder.release(1)
    var handOver = HandOver.reboot
    var wipes = false
    var generation = 1
    var held: [StartTarget: Digest256] = [:]
    var milliseconds: Int64 = 0
    var drawn: Int64 = 0

    var stored: BootRecord? { reading.record }

    /// Notes an effect, or fails as often as it was told to.
    func effect(_ name: String) throws {
        if let left = fails[name], left > 0 {
            fails[name] = left - 1
            if permanent.contains(name) { throw Refusal("\(name) is refused") }
            throw Broken(description: "\(name) is broken")
        }
        log.append(name)
    }

    static func digest(_ number: UInt8) -> Digest256 {
        guard let digest = Digest256(bytes: [number] + [UInt8](repeating: 3, count: 31)) else { preconditionFailure() }
        return digest
    }

    static func release(_ number: UInt8) -> ReleaseFacts {
        ReleaseFacts(
            release: digest(number), version: "\(number)", epoch: 1, architecture: .current,
            rootHash: digest(number + 50), salt: [1], blocks: 1024, treeBytes: 1 << 20, ukiDigest: digest(number + 100),
            ukiBytes: 20 << 20,
            recovery: BootRecord.RecoveryArtifact(digest: digest(number + 150), sizeBytes: 20 << 20),
            expiresSeconds: 1 << 40)
    }

    static func disk(content: Inventory.Disk.Content = .blank) -> Inventory.Disk {
        Inventory.Disk(
            name: "vda", sizeBytes: 16 << 30, sectorSizeBytes: 512, transport: "virtio", model: "", serial: "", wwn: "",
            isRemovable: false, isBootMedium: false, isRotational: false, content: content)
    }

    var earlyBoot: EarlyBootEffects {
        EarlyBootEffects(
            machine: self, disk: self, record: self, firmware: self, slots: self, state: self, network: self,
            registration: self, releases: self, power: self, report: self, clock: self)
    }

    var agent: AgentEffects {
        AgentEffects(
            record: self, firmware: self, slots: self, releases: self, power: self, report: self, clock: self)
    }

    var runner: Runner { Runner(report: self, clock: self) }

    /// The node as provisioning leaves it, on the partitions that were planned.
    func becomeInstalled(_ slot: SlotName = .a) throws {
        let boot = EarlyBoot(effects: earlyBoot)
        try runner.run(earlyBootSequence(), on: boot)
        installed = DiskFacts(
            name: "vda",
            partitions: Dictionary(
                uniqueKeysWithValues: existing.compactMap { part in
                    PartitionRole(label: part.label).map { ($0, part.uuid) }
                }), startable: Set(StartTarget.allCases))
        held = [
            .slot(.a): release.ukiDigest, .slot(.b): release.ukiDigest, .recovery: release.recovery.digest,
        ]
        disk.content = .apus
        log = []
        lines = []
        reports = []
    }
}

extension Recorder: MachineEffect {
    func mountFilesystems() throws { try effect("mount") }
    func armWatchdog() throws { try effect("watchdog") }
    func loadDrivers() throws { try effect("drivers") }
    func bootArguments() -> BootArguments { arguments }
    func site() -> Digest256? { Self.digest(200) }
    func inventory() throws -> Inventory {
        try effect("inventory")
        return Inventory(
            smbios: Inventory.SMBIOS(manufacturer: "", product: "", serial: "", uuid: "", assetTag: ""),
            architecture: .current, processor: "", processorCount: 1, memoryBytes: 0, networkInterfaces: [],
            disks: [disk], usb: [], pci: [], hasTPM: false,
            firmware: Inventory.FirmwareFacts(vendor: "", version: "", secureBoot: false), clockSeconds: 0)
    }
}

extension Recorder: DiskEffect {
    func findInstalled() -> DiskFacts? { installed }
    func partitions(of disk: String) -> [ExistingPartition] { existing }
    func apply(_ plan: PartitionPlan, to disk: String) throws {
        try effect(plan.keepsTable ? "keep table" : "write table")
        existing = plan.partitions.map {
            ExistingPartition(
                number: $0.number, uuid: $0.uuid, type: $0.type, label: $0.label, startBytes: $0.startBytes,
                sizeBytes: $0.sizeBytes)
        }
    }
}

extension Recorder: BootRecordEffect {
    func load() -> RecordReading { reading }
    func store(_ record: BootRecord) throws {
        try effect("record")
        reading = .valid(record)
    }
}

extension Recorder: BootVariableEffect {
    func snapshot() -> FirmwareSnapshot { firmware }
    func apply(_ change: BootVariableChange) throws {
        try effect("variable")
        switch change {
        case .delete(let number): firmware.entries.removeAll { $0.number == number }
        case .write(let entry):
            firmware.entries.removeAll { $0.number == entry.number }
            firmware.entries.append(entry)
        case .setOrder(let order): firmware.order = order
        case .setNext(let next): firmware.next = next
        case .clearNext: firmware.next = nil
        }
    }
}

extension Recorder: SlotEffect {
    func invalidate(_ target: StartTarget) throws { try effect("invalidate \(target)") }
    func write(_ release: ReleaseFacts, into slots: [SlotName], progress: StepProgress) throws {
        for step in 1...4 as ClosedRange<UInt64> {
            milliseconds += 600
            progress(step * 25, 100)
        }
        try effect("stream into " + slots.map(\.letter).joined(separator: " and "))
    }
    func readBack(_ release: ReleaseFacts, in slot: SlotName, progress: StepProgress) throws {
        try effect("read back \(slot.letter)")
    }
    func activate(_ target: StartTarget, from release: ReleaseFacts) throws { try effect("activate \(target)") }
    func holds(_ digest: Digest256, at target: StartTarget) -> Bool { held[target] == digest }
}

extension Recorder: StateEffect {
    func prepare(keeps: Bool) throws { try effect(keeps ? "keep state" : "make state") }
    func loadIdentity() -> Bool {
        log.append("load identity")
        return true
    }
    func saveIdentity(plan: ProvisioningPlan) throws { try effect("save identity") }
}

extension Recorder: NetworkEffect {
    func bringUp() throws { try effect("network") }
    func findEndpoint() throws { try effect("endpoint") }
    func setClockFloor() throws { try effect("clock") }
}

extension Recorder: RegistrationEffect {
    var registrationID: String { "registration" }
    func register(_ inventory: Inventory) throws { try effect("register") }
    func waitForAdmission() throws -> NodeID {
        try effect("admission")
        guard let id = NodeID(String(repeating: "0", count: 26)) else { preconditionFailure() }
        return id
    }
    func plan() throws -> ProvisioningPlan {
        try effect("plan")
        guard let id = NodeID(String(repeating: "0", count: 26)) else { preconditionFailure() }
        return ProvisioningPlan(
            generation: generation, nodeID: id, registrationID: registrationID, release: release.release,
            releaseVersion: release.version, disk: DiskRule(), layout: .standard, wipeState: wipes, handOver: handOver,
            clockSeconds: 0)
    }
}

extension Recorder: ReleaseEffect {
    func metadata(of release: Digest256) throws -> ReleaseFacts {
        try effect("metadata")
        return self.release
    }
}

extension Recorder: PowerEffect {
    func reboot() throws { try effect("reboot") }
    func powerOff() throws { try effect("power off") }
    func kexec(_ target: StartTarget) throws { try effect("kexec \(target)") }
    func start(_ slot: SlotStart) throws { try effect("start \(slot.slot.letter)") }
}

extension Recorder: ReportEffect {
    func step(_ report: StepReport) { reports.append(report) }
    func log(_ line: String) { lines.append(line) }
    func flush() { log.append("flush reports") }
}

extension Recorder: ClockEffect {
    var uptimeMilliseconds: Int64 { milliseconds }
    var nowSeconds: Int64 { 1000 }
    func wait(milliseconds: Int64) {
        waits.append(milliseconds)
        self.milliseconds += milliseconds
    }
    func random(below bound: Int64) -> Int64 {
        // Identifiers are made of 16 bits at a time and must differ; the jitter of waits shall not.
        guard bound == 1 << 16 else { return bound / 2 }
        drawn += 1
        return drawn * 7919 % bound
    }
}
