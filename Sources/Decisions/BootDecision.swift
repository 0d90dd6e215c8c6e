import Contract

/// Decides what a boot does, from what was found and nothing else.
///
/// The rules, in their order: an operator's request to provision again; a trial that was asked for; the committed
/// slot; the other slot when that one fails; recovery. Whatever is not running here is asked of the firmware twice,
/// then started by kexec twice, then given up: a request is counted in the record before it is made, so that no firmware
/// and no power cut can make two machines' worth of restarts out of it. A trial whose BootNext
/// was used up, and that did not come up, is not asked of the firmware again.
public enum BootDecision {
    /// Decides.
    public static func decide(_ facts: BootFacts) -> BootPlan {
        guard let disk = facts.disk, disk.isComplete || facts.arguments.mode != .provision else {
            return BootPlan(
                record: nil, changes: [], action: .provision(.notInstalled),
                reason: "no disk of this machine carries a complete installation")
        }
        if facts.arguments.mode == .provision, let ours = facts.site, let theirs = facts.record.record?.site,
            ours != theirs
        {
            return BootPlan(
                record: nil, changes: [], action: .provision(.otherSite),
                reason: "disk \(disk.name) was installed by another site")
        }
        var settling = Settling(facts: facts, disk: disk)
        return settling.settle()
    }

    /// Where the running kernel came from, as far as the disk is concerned.
    static func place(_ facts: BootFacts, _ disk: DiskFacts, _ record: BootRecord) -> SlotName? {
        guard case .slot(let image) = facts.arguments.mode else { return nil }
        if facts.arguments.isKexec, let slot = facts.arguments.kexecSlot { return slot }
        if let partition = facts.firmware.stubPartition, case .slot(let slot)? = disk.target(on: partition) {
            return slot
        }
        // Without a word from the stub, the root hash tells; where both slots hold the same, so does BootCurrent.
        if let entry = facts.firmware.entries.first(where: { $0.number == facts.firmware.current }),
            let file = entry.file, case .slot(let slot)? = disk.target(on: file.partition)
        {
            return slot
        }
        let holders = SlotName.allCases.filter { record[$0].installed?.rootHash == image.rootHash }
        if let committed = record.committed, holders.contains(committed) { return committed }
        return holders.first
    }
}

/// One decision on its way: the record changes in memory until something can be done.
private struct Settling {
    let facts: BootFacts
    let disk: DiskFacts
    let here: SlotName?
    var record: BootRecord
    let stored: BootRecord?
    var reasons: [String] = []
    var firmwareTrouble: String?

    init(facts: BootFacts, disk: DiskFacts) {
        self.facts = facts
        self.disk = disk
        stored = facts.record.record
        record = stored ?? BootRecord()
        here = BootDecision.place(facts, disk, record)
        if case .unreadable(let why) = facts.record { reasons.append("the boot record is not readable (\(why))") }
    }

    mutating func settle() -> BootPlan {
        guard disk.isComplete else {
            return recover(.notInstalled, because: "partitions of disk \(disk.name) are missing")
        }
        // Each round either ends or takes away a trial, a request or a slot, so that four are enough.
        for _ in 0..<6 {
            if let plan = step() { return plan }
        }
        return lastResort()
    }

    /// One round: a plan, or nil after the record changed.
    private mutating func step() -> BootPlan? {
        if record.reprovisionRequested { return provisionAsRequested() }
        if let plan = judgeTrial() { return plan }
        guard let committed = record.committed else { return withoutCommitted() }
        let isExhausted = record.failedBoots(of: committed) >= BootRecord.failedBootLimit
        if !isExhausted {
            if here == committed {
                // What the signed command line says of the system that runs counts more than the record.
                if !imageIsRecorded(here: committed) { _ = adoptWhatRuns(in: committed) }
                return start(committed)
            }
            if let plan = ask(.slot(committed), because: "slot \(committed.letter) is committed") { return plan }
        }
        let why =
            isExhausted
            ? "slot \(committed.letter) failed \(BootRecord.failedBootLimit) boots in a row"
            : "slot \(committed.letter) cannot be started"
        return giveWay(from: committed, why: why, isBlamed: isExhausted)
    }

    // MARK: Trial

    /// A plan for a trial that is to be started or is running here; nil to go on with the committed slot, which is so
    /// too after the trial was abandoned.
    private mutating func judgeTrial() -> BootPlan? {
        guard let trial = record.trial else { return nil }
        if here == trial.slot {
            guard imageIsRecorded(here: trial.slot) else {
                abandon("slot \(trial.slot.letter) started another system than the one recorded", isBlamed: false)
                return nil
            }
            if trial.attemptsLeft > 0 { return start(trial.slot) }
            abandon(
                "it was started \(trial.attempts) times without becoming healthy in its time", isBlamed: true)
            return nil
        }
        guard trial.isWaitingToStart else { return nil }
        let why = "slot \(trial.slot.letter) is to be tried"
        if let plan = ask(.slot(trial.slot), because: why) { return plan }
        // A kernel that kexec started, and that never came to count its attempt, failed by itself; what neither the
        // firmware nor kexec would load proves nothing about the version.
        let wasRun = record.request.map { $0.target == .slot(trial.slot) && $0.kexec > 0 } ?? false
        abandon(
            wasRun
                ? "its kernel was started and did not come up"
                : "neither the firmware nor kexec could start slot \(trial.slot.letter)", isBlamed: wasRun)
        return nil
    }

    private mutating func abandon(_ reason: String, isBlamed: Bool) {
        do { try record.abandonTrial(reason: reason, isBlamed: isBlamed) } catch { reasons.append("\(error)") }
        reasons.append("the trial is given up: \(reason)")
    }

    // MARK: Giving way and recovery

    private mutating func giveWay(from committed: SlotName, why: String, isBlamed: Bool) -> BootPlan? {
        let other = committed.other
        let isReachable = here == other || canReach(.slot(other))
        if record.canGiveWay, isReachable {
            do {
                try record.giveWay(reason: why, isBlamed: isBlamed)
                reasons.append("\(why); slot \(other.letter) takes over")
                return nil
            } catch { reasons.append("\(error)") }
        }
        return recover(.slotsFailed, because: "\(why) and slot \(other.letter) cannot take over")
    }

    private mutating func withoutCommitted() -> BootPlan? {
        if record.isProvisioning {
            return recover(
                record.hasState ? .interrupted : .notInstalled, because: "provisioning was cut short")
        }
        if let here, adoptWhatRuns(in: here) { return nil }
        // The record is lost. A UKI is in place only where its slot was verified, and its own command line rebuilds the
        // record; so let a slot be started that can be.
        for slot in slotsByBootOrder() {
            if let plan = ask(.slot(slot), because: "the boot record is lost") { return plan }
        }
        return recover(
            facts.record == .missing ? .notInstalled : .interrupted,
            because: "the boot record is lost and no slot can be started")
    }

    private mutating func provisionAsRequested() -> BootPlan? {
        if case .provision = facts.arguments.mode {
            return plan(.provision(.requested), reason: "an operator asked for provisioning")
        }
        if let plan = ask(.recovery, because: "an operator asked for provisioning") { return plan }
        record.clearReprovisionRequest()
        reasons.append("recovery cannot be started; ignoring the request to provision again")
        return nil
    }

    private mutating func recover(_ cause: ProvisioningCause, because why: String) -> BootPlan {
        if case .provision = facts.arguments.mode { return plan(.provision(cause), reason: why) }
        if let plan = ask(.recovery, because: why) { return plan }
        reasons.append(why)
        return lastResort()
    }

    /// Nothing that should be started can be, and this slot's kernel runs: its system is better than none.
    private mutating func lastResort() -> BootPlan {
        guard let here, case .slot(let image) = facts.arguments.mode else {
            return plan(.provision(.slotsFailed), reason: "nothing on the disk can be started")
        }
        if record[here].installed == nil || !imageIsRecorded(here: here) { _ = adoptWhatRuns(in: here) }
        reasons.append("nothing else can be started; staying with slot \(here.letter)")
        return plan(.start(SlotStart(slot: here, image: image, trial: nil)), reason: nil)
    }

    // MARK: Plans

    private mutating func start(_ slot: SlotName) -> BootPlan? {
        guard case .slot(let image) = facts.arguments.mode else { return nil }
        noteHowItCameHere(slot)
        do {
            try record.countBoot(slot, byKexec: facts.arguments.isKexec)
        } catch {
            reasons.append("\(error)")
            return nil
        }
        let trial = record.trial.flatMap { $0.slot == slot ? $0 : nil }
        let note = trial.map { "slot \(slot.letter) is on trial, \($0.attemptsLeft) attempts left after this one" }
        return plan(
            .start(SlotStart(slot: slot, image: image, trial: trial)),
            reason: note ?? "slot \(slot.letter) is committed")
    }

    /// What the server should hear of, and what no boot before this one could tell it.
    private mutating func noteHowItCameHere(_ slot: SlotName) {
        if let asked = record.request, asked.target == .slot(slot) {
            let ignored = facts.arguments.isKexec ? asked.firmware : asked.firmware - 1
            if facts.arguments.isKexec, wasTakenUp(asked) {
                reasons.append("slot \(slot.letter) did not come up when the firmware started it, but by kexec")
            } else if ignored > 0 {
                let times = ignored == 1 ? "once" : "\(ignored) times"
                let trouble = "the firmware ignored BootNext \(times) before slot \(slot.letter) started"
                reasons.append(trouble)
                firmwareTrouble =
                    trouble + "; update it, and see in its setup that boot entries may be changed and are kept"
            }
        }
        if slot == record.committed, let failure = record.lastFailure, failure.slot == slot.other,
            record.failedBoots(of: failure.slot) >= BootRecord.failedBootLimit
        {
            reasons.append("slot \(failure.slot.letter) with version \(failure.version) gave way: \(failure.reason)")
        }
    }

    private func canReach(_ target: StartTarget) -> Bool { route(to: target) != nil }

    private enum Route { case firmware, kexec }

    private func route(to target: StartTarget) -> Route? {
        guard disk.startable.contains(target) else { return nil }
        let asked = record.request.flatMap { $0.target == target ? $0 : nil }
        let limit = BootRecord.startRequestLimit
        if let asked, wasTakenUp(asked), !facts.kexecRefused.contains(target) {
            return asked.kexec < limit ? .kexec : nil
        }
        if facts.firmware.isWritable, (asked?.firmware ?? 0) < limit { return .firmware }
        if !facts.kexecRefused.contains(target), (asked?.kexec ?? 0) < limit { return .kexec }
        return nil
    }

    /// Whether the firmware took a request for a trial up: it deletes BootNext before it starts the entry (UEFI 2.10,
    /// section 3.1.2). One that is left speaks against the firmware; one that is gone does not clear it, since a variable
    /// store that takes no writes never had it, so that it is kexec that tells.
    private func wasTakenUp(_ request: BootRecord.StartRequest) -> Bool {
        guard let trial = record.trial, request.target == .slot(trial.slot) else { return false }
        return (1..<BootRecord.startRequestLimit).contains(request.firmware) && facts.firmware.next == nil
    }

    /// Asks the firmware to start a target, or starts it by kexec where the firmware ignored that; nil where neither is
    /// left.
    private mutating func ask(_ target: StartTarget, because why: String) -> BootPlan? {
        guard let route = route(to: target) else { return nil }
        switch route {
        case .firmware:
            let wasIgnored = record.request.map { $0.target == target && $0.firmware > 0 } ?? false
            record.countRequest(target, byKexec: false)
            let request = wasIgnored ? "the firmware ignored BootNext, asking once more" : "asking the firmware"
            return plan(.reboot(into: target), next: target, reason: "\(why); \(request) for \(target)")
        case .kexec:
            let asked = record.request.flatMap { $0.target == target && $0.firmware > 0 ? $0 : nil }
            let cause =
                switch asked {
                case .some(let request) where wasTakenUp(request): "BootNext was used up, yet it did not come up"
                case .some: "the firmware ignored BootNext"
                case nil: "the firmware's variables cannot be written"
                }
            record.countRequest(target, byKexec: true)
            return plan(.kexec(target), reason: "\(why); \(cause), starting \(target) by kexec")
        }
    }

    private func plan(_ action: BootPlan.Action, next: StartTarget? = nil, reason: String?) -> BootPlan {
        var changes: [BootVariableChange] = []
        let isRepairing = if case .kexec = action { true } else { next != nil }
        if isRepairing, facts.firmware.isWritable {
            let committed = record.committed
            changes =
                BootEntryPlan(
                    snapshot: facts.firmware, disk: disk, committed: committed,
                    otherIsVerified: committed.map { record[$0.other].installed != nil } ?? false, next: next
                ).changes
        }
        let sentences = reasons + (reason.map { [$0] } ?? [])
        return BootPlan(
            record: record == stored ? nil : record, changes: changes, action: action,
            reason: sentences.joined(separator: "; "), firmwareTrouble: firmwareTrouble)
    }

    // MARK: What runs here

    private func imageIsRecorded(here slot: SlotName) -> Bool {
        guard case .slot(let image) = facts.arguments.mode else { return false }
        return record[slot].installed?.rootHash == image.rootHash
    }

    private mutating func adoptWhatRuns(in slot: SlotName) -> Bool {
        guard case .slot(let image) = facts.arguments.mode else { return false }
        record.adopt(
            slot,
            InstalledRelease(
                release: nil, version: image.version, epoch: record.epochFloor, architecture: .current,
                rootHash: image.rootHash, salt: image.salt, blocks: image.blocks, ukiDigest: nil, ukiBytes: 0))
        reasons.append("the record is rebuilt from the command line of slot \(slot.letter)")
        return true
    }

    /// Slots in the order in which the firmware would start them, then by name.
    private func slotsByBootOrder() -> [SlotName] {
        let listed = facts.firmware.order.compactMap { number -> SlotName? in
            guard let file = facts.firmware.entries.first(where: { $0.number == number })?.file,
                case .slot(let slot)? = disk.target(on: file.partition)
            else { return nil }
            return slot
        }
        return listed.first == .b ? [.b, .a] : [.a, .b]
    }
}
