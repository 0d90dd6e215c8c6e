public import Contract
public import Decisions

/// Writes a release into the slot that does not run, while the node works on. It becomes bootable with its last write.
public func installSequence(_ name: Digest256, into slot: SlotName) -> StepSequence<AgentWork> {
    StepSequence(
        "upgrade",
        [
            Step("fetch-metadata", retry: .times(5)) { try $0.fetchMetadata(of: name) },
            Step("check-release") { try $0.checkRelease() },
            Step("mark-slot-unbootable") { try $0.markUnbootable(slot) },
            Step("stream-image", retry: .times(20)) { work, progress in
                try work.effects.slots.write(work.needRelease(), into: [slot], progress: progress)
            },
            Step("read-back") { work, progress in
                try work.effects.slots.readBack(work.needRelease(), in: slot, progress: progress)
            },
            Step("write-kernel", retry: .times(5)) { work in
                try work.effects.slots.activate(.slot(slot), from: work.needRelease())
            },
            Step("record-verified") { work in
                try work.change { try $0.markVerified(slot, work.needRelease().installed) }
            },
            Step("write-boot-entries") { $0.repairEntries() },
        ])
}

/// Records the trial, tells the firmware, and restarts into the new version.
public func startTrialSequence(_ slot: SlotName, rule: ProbationRule) -> StepSequence<AgentWork> {
    StepSequence(
        "upgrade", endsWhen: { $0.isRestarting },
        [
            Step("record-trial") { work in
                try work.change { record in
                    try record.startTrial(slot, rule: rule)
                    record.countRequest(.slot(slot), byKexec: false)
                }
            },
            Step("set-boot-next") { $0.repairEntries(next: .slot(slot)) },
            Step("restart") { try $0.restart() },
        ])
}

/// Restarts once more into a version on trial that was started and did not prove itself.
public func retryTrialSequence() -> StepSequence<AgentWork> {
    StepSequence(
        "upgrade", endsWhen: { $0.isRestarting },
        [
            Step("record-retry") { work in
                try work.change { record in
                    try record.retryTrial()
                    if let slot = record.trial?.slot { record.countRequest(.slot(slot), byKexec: false) }
                }
            },
            Step("set-boot-next") { work in
                work.repairEntries(next: work.record.trial.map { .slot($0.slot) })
            },
            Step("restart") { try $0.restart() },
        ])
}

/// Makes the version on trial, which runs and proved itself, the committed one.
public func commitSequence() -> StepSequence<AgentWork> {
    StepSequence(
        "commit",
        [
            Step("commit-record") { work in try work.change { try $0.commit(work.running) } },
            Step("set-boot-order") { $0.repairEntries() },
        ])
}

/// Brings the recovery partition up to the committed release's boot artifact. It may fail and be tried again later.
///
/// While it is replaced there is no fallback path, so it is left alone on a firmware that starts this node through it.
public func refreshRecoverySequence() -> StepSequence<AgentWork> {
    StepSequence(
        "refresh-recovery",
        [
            Step("fetch-metadata", skip: { $0.keepsRecovery }, retry: .times(3)) { work in
                if let name = work.record.committedRelease?.release { try work.fetchMetadata(of: name) }
            },
            Step("write-recovery", skip: { $0.keepsRecovery }, retry: .times(3)) { try $0.writeRecovery() },
        ])
}

/// Ends a trial and goes back to the committed version, by a restart where the version on trial runs.
///
/// - Parameters:
///   - reason: Why, as a sentence for the operator.
///   - isBlamed: Whether the version is to blame and is not tried again.
public func rollBackSequence(reason: String, isBlamed: Bool) -> StepSequence<AgentWork> {
    StepSequence(
        "roll-back", endsWhen: { $0.isRestarting },
        [
            Step("abandon-trial") { work in
                try work.change { try $0.abandonTrial(reason: reason, isBlamed: isBlamed) }
            },
            Step("set-boot-order") { work in
                let committed = work.record.committed
                work.repairEntries(next: committed == work.running ? nil : committed.map { .slot($0) })
            },
            Step("restart", skip: { $0.runsCommitted }) { try $0.restart() },
        ])
}

/// Goes back to the release before, which the other slot still holds, after the committed one turned out unhealthy.
public func goBackSequence(reason: String) -> StepSequence<AgentWork> {
    StepSequence(
        "go-back", endsWhen: { $0.isRestarting },
        [
            Step("record-failure") { work in try work.change { try $0.goBack(reason: reason) } },
            Step("set-boot-order") { work in
                work.repairEntries(next: work.record.committed.map { .slot($0) })
            },
            Step("restart") { try $0.restart() },
        ])
}

/// Restarts into a slot that the record already names, or into recovery to provision again.
public func restartSequence(into target: StartTarget) -> StepSequence<AgentWork> {
    StepSequence(
        "restart", endsWhen: { $0.isRestarting },
        [
            Step("record-request") { work in
                try work.change { record in
                    if target == .recovery { record.requestReprovision() }
                    record.countRequest(target, byKexec: false)
                }
            },
            Step("set-boot-next") { $0.repairEntries(next: target) },
            Step("restart") { try $0.restart() },
        ])
}

/// Recreates lost boot entries of ours and removes duplicates.
public func repairSequence() -> StepSequence<AgentWork> {
    StepSequence(
        "repair-boot-entries",
        [
            Step("write-boot-entries", skip: { $0.entriesAreRight }) { $0.repairEntries() }
        ])
}

/// The bodies of the steps above.
extension AgentWork {
    func fetchMetadata(of name: Digest256) throws {
        release = try effects.releases.metadata(of: name)
    }

    func checkRelease() throws {
        let release = try needRelease()
        try PlanValidation.check(
            release, expected: release.release, architecture: .current, epochFloor: record.epochFloor,
            clockSeconds: effects.clock.nowSeconds)
        try PlanValidation.checkFit(
            release, rootBytes: sizes.rootBytes, treeBytes: sizes.treeBytes, bootBytes: sizes.bootBytes,
            recoveryBytes: sizes.recoveryBytes)
        if let reason = record.quarantineReason(of: release.release) { throw RecordTransitionError.quarantined(reason) }
    }

    func markUnbootable(_ slot: SlotName) throws {
        let name = try needRelease().release
        try change { try $0.beginWriting(slot, release: name, running: running) }
        try effects.slots.invalidate(.slot(slot))
    }

    var keepsRecovery: String? {
        guard let committed = record.committedRelease, committed.release != nil, record.committed == running else {
            return "no known release is committed"
        }
        if record.recovery != nil, record.recovery == committed.recovery {
            return "the recovery partition is up to date"
        }
        let firmware = effects.firmware.snapshot()
        let entry = firmware.entries.first { $0.number == firmware.current }
        let isOurs = entry?.file.flatMap { named in disk.file(of: .slot(running)).map(named.isSame) } ?? false
        return isOurs ? nil : "the firmware did not start this slot by its entry, so the fallback path may be needed"
    }

    func writeRecovery() throws {
        let release = try needRelease()
        try change { $0.setRecovery(nil) }
        try effects.slots.invalidate(.recovery)
        try effects.slots.activate(.recovery, from: release)
        try change { $0.setRecovery(release.recovery) }
    }

    var runsCommitted: String? { record.committed == running ? "the committed version runs" : nil }

    var entriesAreRight: String? { entryChanges().isEmpty ? "the boot entries are right" : nil }
}
