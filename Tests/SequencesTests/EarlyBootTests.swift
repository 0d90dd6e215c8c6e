import Contract
import Decisions
import Testing

@testable import Sequences

@Suite struct EarlyBootSequence {
    private func run(_ recorder: Recorder) throws -> EarlyBoot {
        let boot = EarlyBoot(effects: recorder.earlyBoot)
        try recorder.runner.run(earlyBootSequence(), on: boot)
        return boot
    }

    @Test func aBlankMachineIsProvisionedInThisOrder() throws {
        let recorder = Recorder()
        let boot = try run(recorder)
        #expect(boot.isHandedOver)
        #expect(
            recorder.log == [
                "mount", "watchdog", "drivers", "network", "endpoint", "clock", "inventory", "register", "admission",
                "plan", "metadata", "write table", "invalidate slot A", "invalidate slot B", "invalidate recovery",
                "record", "make state", "record", "save identity", "stream into A and B", "read back A", "read back B",
                "invalidate recovery", "activate recovery", "record", "activate slot A", "activate slot B", "variable",
                "variable", "variable", "variable", "record", "flush reports", "reboot",
            ])
        let record = try #require(recorder.stored)
        #expect(record.committed == .a)
        #expect(record.recovery == recorder.release.recovery)
        #expect(record.planGeneration == 1 && record.hasState && record.site == Recorder.digest(200))
        #expect(recorder.firmware.order == [0, 1, 2])
    }

    @Test func anInstalledMachineIsStartedWithoutNetworkOrServer() throws {
        let recorder = Recorder()
        try recorder.becomeInstalled()
        let image = BootArguments.SlotImage(
            rootHash: recorder.release.rootHash, salt: recorder.release.salt, blocks: recorder.release.blocks,
            version: recorder.release.version)
        recorder.arguments = BootArguments(mode: .slot(image))
        recorder.firmware.stubPartition = recorder.installed?.partitions[.bootA]
        let boot = try run(recorder)
        #expect(recorder.log == ["mount", "watchdog", "drivers", "record", "start A"])
        #expect(boot.plan?.record?.failedBoots(of: .a) == 1)
    }

    @Test func aSlotWhoseDiskIsNotThereWaitsAndRestartsInsteadOfProvisioning() {
        let recorder = Recorder()
        recorder.arguments = BootArguments(
            mode: .slot(
                BootArguments.SlotImage(rootHash: Recorder.digest(1), salt: [], blocks: 16, version: "1")))
        #expect(throws: StepError.self) { try run(recorder) }
        #expect(recorder.log == ["mount", "watchdog", "drivers"])
        #expect(recorder.waits.count == 2)
        #expect(recorder.lines.last?.contains("the machine restarts") == true)
    }

    @Test func wipedVariablesAreRepairedAndTheFirmwareIsAsked() throws {
        let recorder = Recorder()
        try recorder.becomeInstalled()
        recorder.firmware = FirmwareSnapshot()
        _ = try run(recorder)
        #expect(
            recorder.log == [
                "mount", "watchdog", "drivers", "record", "variable", "variable", "variable", "variable", "variable",
                "reboot",
            ])
        #expect(recorder.firmware.next == recorder.firmware.order.first)
    }

    @Test func variablesThatCannotBeWrittenLeadToKexecInTheSameBoot() throws {
        let recorder = Recorder()
        try recorder.becomeInstalled()
        recorder.firmware = FirmwareSnapshot()
        recorder.fails["variable"] = 100
        _ = try run(recorder)
        #expect(recorder.log.suffix(3) == ["record", "record", "kexec slot A"])
    }

    @Test func whenKexecIsRefusedTheOtherSlotIsTried() throws {
        let recorder = Recorder()
        try recorder.becomeInstalled()
        recorder.firmware = FirmwareSnapshot(isWritable: false)
        recorder.fails["kexec slot A"] = 1
        _ = try run(recorder)
        #expect(recorder.log.last == "kexec slot B")
        #expect(recorder.stored?.committed == .b)
    }

    @Test func provisioningAgainKeepsTableStateAndIdentityAndInvalidatesFirst() throws {
        let recorder = Recorder()
        try recorder.becomeInstalled()
        recorder.installed?.startable = [.recovery]
        recorder.release = Recorder.release(2)
        recorder.generation = 2
        _ = try run(recorder)
        #expect(
            recorder.log == [
                "mount", "watchdog", "drivers", "network", "endpoint", "clock", "inventory", "load identity",
                "register",
                "admission", "plan", "metadata", "record", "invalidate slot A", "invalidate slot B", "keep table",
                "keep state", "save identity", "stream into A and B", "read back A", "read back B", "activate slot A",
                "activate slot B", "record", "flush reports", "reboot",
            ])
        // The recovery partition worked and was not touched.
        #expect(recorder.stored?.recovery == Recorder.release(1).recovery)
    }

    @Test func aWipeMakesNewStateAndForgetsWhatTheNodeLearnt() throws {
        let recorder = Recorder()
        try recorder.becomeInstalled()
        recorder.installed?.startable = [.recovery]
        recorder.wipes = true
        recorder.generation = 2
        _ = try run(recorder)
        #expect(recorder.log.contains("make state"))
        #expect(!recorder.log.contains("keep state"))
    }

    @Test func aStalePlanChangesNothing() throws {
        let recorder = Recorder()
        try recorder.becomeInstalled()
        recorder.installed?.startable = [.recovery]
        #expect(throws: StepError.self) { try run(recorder) }
        #expect(recorder.log.last == "plan")
        #expect(recorder.stored?.committed == .a)
    }

    @Test func aRequestThatFailsBeforeItTouchedAnythingFallsBackToTheSlot() throws {
        let recorder = Recorder()
        try recorder.becomeInstalled()
        var record = try #require(recorder.stored)
        record.requestReprovision()
        recorder.reading = .valid(record)
        recorder.fails["metadata"] = 1
        recorder.permanent = ["metadata"]
        recorder.generation = 2
        let boot = EarlyBoot(effects: recorder.earlyBoot)
        #expect(throws: StepError.self) { try recorder.runner.run(earlyBootSequence(), on: boot) }
        #expect(boot.canFallBack)
        try recorder.runner.run(fallBackSequence(), on: boot)
        #expect(recorder.log.last == "reboot")
        #expect(recorder.stored?.reprovisionRequested == false)
        #expect(recorder.stored?.request?.target == .slot(.a))
    }

    @Test func theHandOverIsThePlans() throws {
        for (handOver, last) in [(HandOver.powerOff, "power off"), (.kexec, "kexec slot A")] {
            let recorder = Recorder()
            recorder.handOver = handOver
            _ = try run(recorder)
            #expect(recorder.log.last == last)
        }
        let recorder = Recorder()
        recorder.handOver = .kexec
        recorder.fails["kexec slot A"] = 1
        _ = try run(recorder)
        #expect(recorder.log.last == "reboot")
    }

    @Test func fullVariablesDoNotStopProvisioning() throws {
        let recorder = Recorder()
        recorder.fails["variable"] = 100
        _ = try run(recorder)
        #expect(recorder.stored?.committed == .a)
        #expect(recorder.lines.contains { $0.contains("ignoring: the fallback path") })
    }
}
