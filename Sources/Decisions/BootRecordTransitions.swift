public import Contract

/// Why a transition of the boot record was refused.
public enum RecordTransitionError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The slot is running or committed, and what runs is never touched.
    case slotInUse(SlotName)
    /// A trial is under way and must end first.
    case trialUnderWay(SlotName)
    /// The slot is not being written with this release.
    case notWriting(SlotName)
    /// The slot holds no verified release.
    case notVerified(SlotName)
    /// No slot is committed.
    case nothingCommitted
    /// No trial is under way, or not in this slot.
    case noTrial
    /// The trial has not been started.
    case trialNotStarted
    /// The trial has no attempt left.
    case noAttemptsLeft
    /// The slot failed as often as it may.
    case tooManyFailedBoots(SlotName)
    /// The release failed here before.
    case quarantined(String)
    /// The other slot cannot take over.
    case noOtherSlot
    /// Going back after a commit was used up, or the other slot no longer holds the release before.
    case noPrevious
    /// Provisioning is under way.
    case provisioning
    /// Provisioning is not under way.
    case notProvisioning
    /// The rule's numbers are out of bounds.
    case invalidRule(String)

    /// A sentence that names what was refused.
    public var description: String {
        switch self {
        case .slotInUse(let slot): "slot \(slot.letter) is in use and cannot be written"
        case .trialUnderWay(let slot): "slot \(slot.letter) is on trial; commit or abandon it first"
        case .notWriting(let slot): "slot \(slot.letter) is not being written with this release"
        case .notVerified(let slot): "slot \(slot.letter) holds no verified release"
        case .nothingCommitted: "no slot is committed; the node must be provisioned first"
        case .noTrial: "no trial is under way in this slot"
        case .trialNotStarted: "the version on trial has not been started yet"
        case .noAttemptsLeft: "the version on trial has no attempt left"
        case .tooManyFailedBoots(let slot): "slot \(slot.letter) failed \(BootRecord.failedBootLimit) boots in a row"
        case .quarantined(let reason): "the release failed on this node before: \(reason)"
        case .noOtherSlot: "the other slot holds no release that could take over"
        case .noPrevious: "the release before is no longer there to go back to"
        case .provisioning: "provisioning is under way"
        case .notProvisioning: "provisioning is not under way"
        case .invalidRule(let what): "the probation rule is not usable: \(what)"
        }
    }
}

extension BootRecord {
    /// The most attempts that a trial may be given.
    public static let attemptsLimit = 10
    /// The longest hold or deadline that is accepted, in seconds: a week.
    public static let secondsLimit = 7 * 24 * 3600

    // MARK: Provisioning

    /// The record with which provisioning begins: both slots are being written and neither may be started.
    ///
    /// What the node learnt stays where the state stays: its quarantine and the epoch below which it does not go.
    public static func provisioning(
        release: Digest256, site: Digest256?, keeping old: BootRecord?, keepsState: Bool
    ) -> BootRecord {
        var record = BootRecord()
        if let old {
            record.recovery = old.recovery
            record.preserved = old.preserved
        }
        if let old, keepsState {
            record.quarantine = old.quarantine
            record.epochFloor = old.epochFloor
            record.planGeneration = old.planGeneration
            record.lastFailure = old.lastFailure
        }
        record.hasState = keepsState
        record.a = .writing(release)
        record.b = .writing(release)
        record.isProvisioning = true
        record.site = site
        return record
    }

    /// After the state partition's file system was made or found sound.
    public mutating func markStatePrepared() { hasState = true }

    /// Ends provisioning: `slot` is the one that the node runs from, by the plan of that generation.
    public mutating func commitProvisioned(_ slot: SlotName, generation: Int) throws(RecordTransitionError) {
        guard isProvisioning else { throw .notProvisioning }
        for slot in SlotName.allCases where self[slot].installed == nil { throw .notVerified(slot) }
        isProvisioning = false
        hasState = true
        committed = slot
        planGeneration = max(0, generation)
        bootsWithoutHealth = [:]
        request = nil
        raiseEpochFloor()
    }

    // MARK: Writing a slot

    /// Before the first byte of a release is written into a slot.
    public mutating func beginWriting(
        _ slot: SlotName, release: Digest256, running: SlotName?
    ) throws(RecordTransitionError) {
        guard slot != running, slot != committed else { throw .slotInUse(slot) }
        if !isProvisioning, committed == nil { throw .nothingCommitted }
        if let trial { throw .trialUnderWay(trial.slot) }
        self[slot] = .writing(release)
        if previous == slot { previous = nil }
        bootsWithoutHealth[slot] = nil
    }

    /// After the slot's last byte, its UKI included, was flushed and read back.
    public mutating func markVerified(_ slot: SlotName, _ release: InstalledRelease) throws(RecordTransitionError) {
        guard case .writing(let name) = self[slot], name == release.release else { throw .notWriting(slot) }
        self[slot] = .verified(release)
        bootsWithoutHealth[slot] = nil
    }

    // MARK: A trial

    /// Before the firmware is asked to start a new version.
    public mutating func startTrial(_ slot: SlotName, rule: ProbationRule) throws(RecordTransitionError) {
        guard !isProvisioning else { throw .provisioning }
        guard let committed else { throw .nothingCommitted }
        if let trial { throw .trialUnderWay(trial.slot) }
        guard slot != committed else { throw .slotInUse(slot) }
        guard let installed = self[slot].installed else { throw .notVerified(slot) }
        if let release = installed.release, let reason = quarantineReason(of: release) { throw .quarantined(reason) }
        guard (1...Self.attemptsLimit).contains(rule.attempts) else {
            throw .invalidRule("attempts must be 1 to \(Self.attemptsLimit)")
        }
        guard (1...Self.secondsLimit).contains(rule.deadlineSeconds),
            (0...rule.deadlineSeconds).contains(rule.holdSeconds)
        else { throw .invalidRule("the deadline must be 1 s to a week and not before the hold") }
        trial = Trial(
            slot: slot, attemptsLeft: rule.attempts, attempts: rule.attempts, holdSeconds: rule.holdSeconds,
            deadlineSeconds: rule.deadlineSeconds, isWaitingToStart: true)
        bootsWithoutHealth[slot] = nil
        request = nil
    }

    /// Asks for the next attempt of a version that was started and did not prove itself.
    public mutating func retryTrial() throws(RecordTransitionError) {
        guard var next = trial else { throw .noTrial }
        guard next.attemptsLeft > 0 else { throw .noAttemptsLeft }
        next.isWaitingToStart = true
        trial = next
        request = nil
    }

    /// The version on trial proved itself: it becomes the committed one, and the one before stays to go back to.
    public mutating func commit(_ slot: SlotName) throws(RecordTransitionError) {
        guard let trial, trial.slot == slot else { throw .noTrial }
        guard !trial.isWaitingToStart else { throw .trialNotStarted }
        guard let committed else { throw .nothingCommitted }
        guard self[slot].installed != nil else { throw .notVerified(slot) }
        previous = self[committed].installed == nil ? nil : committed
        self.committed = slot
        self.trial = nil
        bootsWithoutHealth[slot] = nil
        request = nil
        lastFailure = nil
        raiseEpochFloor()
    }

    /// Ends a trial without a commit. A blamed version is quarantined; one that the firmware or an outage kept from
    /// proving itself is not.
    public mutating func abandonTrial(reason: String, isBlamed: Bool) throws(RecordTransitionError) {
        guard let trial else { throw .noTrial }
        noteFailure(of: trial.slot, reason: reason, isBlamed: isBlamed)
        self.trial = nil
        request = nil
    }

    // MARK: Starting

    /// Before the firmware or kexec is asked to start something.
    public mutating func countRequest(_ target: StartTarget, byKexec: Bool) {
        var next = request ?? StartRequest(target: target, firmware: 0, kexec: 0)
        if next.target != target { next = StartRequest(target: target, firmware: 0, kexec: 0) }
        if byKexec {
            next.kexec = min(next.kexec + 1, Self.startRequestLimit)
        } else {
            next.firmware = min(next.firmware + 1, Self.startRequestLimit)
        }
        request = next
    }

    /// Before a slot's system is started: takes one attempt of a trial, or one of the boots that a committed slot may
    /// fail.
    public mutating func countBoot(_ slot: SlotName, byKexec: Bool) throws(RecordTransitionError) {
        guard self[slot].installed != nil else { throw .notVerified(slot) }
        if var trial, trial.slot == slot {
            guard trial.attemptsLeft > 0 else { throw .noAttemptsLeft }
            trial.attemptsLeft -= 1
            trial.isWaitingToStart = false
            self.trial = trial
        } else {
            guard slot == committed else { throw .nothingCommitted }
            guard failedBoots(of: slot) < Self.failedBootLimit else { throw .tooManyFailedBoots(slot) }
        }
        bootsWithoutHealth[slot] = min(failedBoots(of: slot) + 1, Self.failedBootLimit)
        guard var asked = request, asked.target == .slot(slot) else { return }
        // A firmware that ignores requests is remembered across kexec starts, so that the next start does not ask it
        // twice again.
        asked.kexec = 0
        request = byKexec && asked.firmware > 0 ? asked : nil
    }

    /// The committed system that runs is healthy.
    public mutating func healthConfirmed(_ slot: SlotName) throws(RecordTransitionError) {
        guard slot == committed else { throw .nothingCommitted }
        bootsWithoutHealth[slot] = nil
        if request?.target != .slot(slot) { request = nil }
    }

    // MARK: Giving way

    /// Whether the other slot may take over from the committed one.
    public var canGiveWay: Bool {
        guard let committed, self[committed.other].installed != nil else { return false }
        return failedBoots(of: committed.other) < Self.failedBootLimit
    }

    /// The committed slot cannot be started or keeps failing: the other verified slot takes over.
    ///
    /// The failed slot counts as exhausted, so that the two never take turns.
    public mutating func giveWay(reason: String, isBlamed: Bool) throws(RecordTransitionError) {
        guard let failed = committed else { throw .nothingCommitted }
        guard canGiveWay else { throw .noOtherSlot }
        let isSameRelease = self[failed].installed?.release == self[failed.other].installed?.release
        noteFailure(of: failed, reason: reason, isBlamed: isBlamed && !isSameRelease)
        committed = failed.other
        previous = nil
        trial = nil
        request = nil
        bootsWithoutHealth[failed] = Self.failedBootLimit
    }

    /// The committed version turned out unhealthy after its commit: back to the one before, once.
    public mutating func goBack(reason: String) throws(RecordTransitionError) {
        guard let failed = committed else { throw .nothingCommitted }
        if let trial { throw .trialUnderWay(trial.slot) }
        guard let previous, self[previous].installed != nil else { throw .noPrevious }
        noteFailure(of: failed, reason: reason, isBlamed: true)
        committed = previous
        self.previous = nil
        request = nil
        bootsWithoutHealth[previous] = nil
        bootsWithoutHealth[failed] = Self.failedBootLimit
    }

    // MARK: Rebuilding, and what operators ask for

    /// Takes a slot that runs, though the record does not know it, as the committed one: after the record was lost, or
    /// where nothing else can be started. Its kernel and root hash were verified before its UKI became bootable.
    public mutating func adopt(_ slot: SlotName, _ release: InstalledRelease) {
        self[slot] = .verified(release)
        committed = slot
        previous = nil
        trial = nil
        request = nil
        isProvisioning = false
        hasState = true
        bootsWithoutHealth[slot] = nil
        for other in SlotName.allCases where other != slot {
            if case .writing = self[other] { self[other] = .empty }
        }
        raiseEpochFloor()
    }

    /// An operator asked for provisioning again.
    public mutating func requestReprovision() {
        reprovisionRequested = true
        request = nil
    }

    /// The request cannot be carried out, or was.
    public mutating func clearReprovisionRequest() { reprovisionRequested = false }

    /// An operator wants failed versions tried again.
    public mutating func clearQuarantine() {
        quarantine = []
        lastFailure = nil
    }

    /// Before the recovery artifact is replaced (nil) and after it was read back.
    public mutating func setRecovery(_ artifact: RecoveryArtifact?) { recovery = artifact }

    // MARK: Helpers

    private mutating func raiseEpochFloor() {
        if let release = committedRelease { epochFloor = max(epochFloor, release.epoch) }
    }

    private mutating func noteFailure(of slot: SlotName, reason: String, isBlamed: Bool) {
        guard let installed = self[slot].installed else { return }
        let sentence = String(reason.prefix(Self.reasonLimit))
        var times = 1
        if let last = lastFailure, last.release == installed.release, !last.isBlamed {
            times = min(last.times + 1, 1000)
        }
        lastFailure = Failure(
            slot: slot, release: installed.release, version: installed.version, reason: sentence, isBlamed: isBlamed,
            times: times)
        guard isBlamed, let release = installed.release else { return }
        quarantine.removeAll { $0.release == release }
        quarantine.append(QuarantinedRelease(release: release, reason: sentence))
        if quarantine.count > Self.quarantineLimit { quarantine.removeFirst() }
    }
}
