import Decisions

/// All of early boot in one list: what `apus-init` does from the first instruction to the hand-over.
///
/// An installed slot is started, or its boot entries are repaired, in the step `carry-out`, with neither network nor
/// server; only what has to be provisioned goes on from there. Every step may be the last before a power cut: the next
/// boot's `decide` leads on.
public func earlyBootSequence() -> StepSequence<EarlyBoot> {
    let restarts = "the machine restarts and tries again"
    return StepSequence(
        "provision", endsWhen: { $0.isHandedOver },
        [
            Step("mount-filesystems", otherwise: restarts) { try $0.effects.machine.mountFilesystems() },
            Step("arm-watchdog", otherwise: restarts) { try $0.effects.machine.armWatchdog() },
            Step("load-drivers", otherwise: restarts) { try $0.effects.machine.loadDrivers() },
            Step("decide", retry: .times(3), otherwise: restarts) { try $0.decide() },
            Step("carry-out", otherwise: restarts) { try $0.carryOut() },

            // From here on there is nothing on the disk that should be started.
            Step("network-up", retry: .forever) { try $0.effects.network.bringUp() },
            Step("find-endpoint", retry: .forever) { try $0.effects.network.findEndpoint() },
            Step("set-clock-floor", retry: .times(3), otherwise: restarts) { try $0.effects.network.setClockFloor() },
            Step("take-inventory", retry: .times(3), otherwise: restarts) { try $0.takeInventory() },
            Step("load-identity", skip: { $0.hasNoIdentity }) { _ = $0.effects.state.loadIdentity() },
            Step("register", retry: .forever, otherwise: restarts) { try $0.register() },
            Step("wait-for-admission", retry: .forever, otherwise: restarts) { try $0.waitForAdmission() },
            Step("receive-plan", retry: .forever, otherwise: restarts) { try $0.receivePlan() },
            Step("verify-release", retry: .forever, otherwise: restarts) { try $0.verifyRelease() },
            Step("choose-disk", otherwise: restarts) { try $0.chooseDisk() },
            Step("plan-partitions", otherwise: restarts) { try $0.planPartitions() },
            Step("mark-slots-unbootable", skip: { $0.hasNoSlots }, otherwise: restarts) { try $0.markUnbootable() },
            Step("write-table", otherwise: restarts) { try $0.writeTable() },
            Step("prepare-state", otherwise: restarts) { try $0.prepareState() },
            Step("save-identity", otherwise: restarts) { try $0.saveIdentity() },
            Step("stream-image", retry: .times(20), otherwise: restarts) { try $0.streamImage(progress: $1) },
            Step("read-back", otherwise: restarts) { try $0.readBack(progress: $1) },
            // A recovery partition that works is the way back here: the agent brings it up to date later.
            Step("write-recovery", skip: { $0.hasRecovery }, retry: .times(5), otherwise: restarts) {
                try $0.writeRecovery()
            },
            Step("write-kernels", retry: .times(5), otherwise: restarts) { try $0.writeKernels() },
            Step("write-boot-entries", otherwise: restarts) { try $0.writeBootEntries() },
            Step("commit-record", otherwise: restarts) { try $0.commitRecord() },
            Step("report") { $0.effects.report.flush() },
            Step("hand-over", otherwise: restarts) { try $0.handOver() },
        ])
}

/// After a provisioning that an operator asked for, and that failed before it touched anything: the installed system
/// is started again.
public func fallBackSequence() -> StepSequence<EarlyBoot> {
    StepSequence(
        "fall-back", endsWhen: { $0.isHandedOver },
        [
            Step("forget-request") { try $0.forgetRequest() },
            Step("decide") { try $0.decide() },
            Step("carry-out", otherwise: "the machine restarts") { try $0.carryOut() },
        ])
}
