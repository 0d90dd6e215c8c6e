import Contract
import Testing

@testable import Decisions

@Suite struct Probations {
    private let good = [CheckResult(name: "units", passed: true, detail: "")]
    private let bad = [CheckResult(name: "units", passed: false, detail: "app.service failed")]
    private let rule = ProbationRule(holdSeconds: 60, deadlineSeconds: 600, attempts: 2)

    @Test func healthThatHoldsWithoutABreakCommits() {
        var probation = Probation(rule: rule, startSeconds: 10)
        #expect(probation.checked(good, server: .reachable, nowSeconds: 20) == .wait(deadlineSeconds: 610))
        #expect(probation.checked(good, server: .reachable, nowSeconds: 79) == .wait(deadlineSeconds: 610))
        #expect(probation.checked(good, server: .reachable, nowSeconds: 80) == .commit)
    }

    @Test func aBreakBeginsTheHoldAnew() {
        var probation = Probation(rule: rule, startSeconds: 0)
        _ = probation.checked(good, server: .reachable, nowSeconds: 10)
        _ = probation.checked(bad, server: .reachable, nowSeconds: 60)
        #expect(probation.checked(good, server: .reachable, nowSeconds: 75) == .wait(deadlineSeconds: 600))
        #expect(probation.checked(good, server: .reachable, nowSeconds: 134) == .wait(deadlineSeconds: 600))
        #expect(probation.checked(good, server: .reachable, nowSeconds: 135) == .commit)
    }

    @Test func theDeadlineCondemnsWithTheReason() {
        var probation = Probation(rule: rule, startSeconds: 0)
        for now in stride(from: Int64(0), to: 600, by: 30) {
            #expect(probation.checked(bad, server: .reachable, nowSeconds: now) == .wait(deadlineSeconds: 600))
        }
        guard case .rollBack(let reason) = probation.checked(bad, server: .reachable, nowSeconds: 600) else {
            Issue.record("not rolled back")
            return
        }
        #expect(reason.contains("app.service failed"))
    }

    @Test func noChecksAreNoHealth() {
        var probation = Probation(rule: rule, startSeconds: 0)
        _ = probation.checked([], server: .reachable, nowSeconds: 0)
        guard case .rollBack = probation.checked([], server: .reachable, nowSeconds: 700) else {
            Issue.record("not rolled back")
            return
        }
    }

    @Test func aServersOutageMovesTheDeadlineAndNeverCondemns() {
        var probation = Probation(rule: rule, startSeconds: 0)
        var now: Int64 = 0
        var last = Probation.Action.wait(deadlineSeconds: 0)
        while now < 5000 {
            last = probation.checked(good, server: .gatewayOnly, nowSeconds: now)
            now += 10
        }
        #expect(last == .wait(deadlineSeconds: 600 + 4990))
        _ = probation.checked(good, server: .reachable, nowSeconds: now)
        #expect(probation.checked(good, server: .reachable, nowSeconds: now + 60) == .commit)
    }

    @Test func anOutageBeyondTheBoundPostpones() {
        var probation = Probation(rule: rule, startSeconds: 0)
        var now: Int64 = 0
        while true {
            let action = probation.checked(good, server: .gatewayOnly, nowSeconds: now)
            if case .wait(let deadline) = action {
                #expect(deadline <= 600 + Probation.longestExtensionSeconds)
                now += 60
                continue
            }
            guard case .postpone = action else { Issue.record("\(action)"); return }
            break
        }
        #expect(now <= 700 + Probation.longestExtensionSeconds)
    }

    @Test func anUnhealthyVersionGetsNoExtensionFromAnOutage() {
        var probation = Probation(rule: rule, startSeconds: 0)
        _ = probation.checked(bad, server: .gatewayOnly, nowSeconds: 0)
        guard case .rollBack = probation.checked(bad, server: .gatewayOnly, nowSeconds: 600) else {
            Issue.record("not rolled back")
            return
        }
    }

    @Test func aVersionThatCutsTheNetworkIsCondemned() {
        var probation = Probation(rule: rule, startSeconds: 0)
        _ = probation.checked(good, server: .nothing, nowSeconds: 0)
        guard case .rollBack(let reason) = probation.checked(good, server: .nothing, nowSeconds: 600) else {
            Issue.record("not rolled back")
            return
        }
        #expect(reason.contains("gateway"))
    }

    @Test func aRestartedAgentKeepsTheMovedDeadlineWithinItsBound() {
        #expect(Probation(rule: rule, startSeconds: 0, movedDeadlineSeconds: 900).deadlineSeconds == 900)
        #expect(Probation(rule: rule, startSeconds: 0, movedDeadlineSeconds: 5).deadlineSeconds == 600)
        #expect(
            Probation(rule: rule, startSeconds: 0, movedDeadlineSeconds: .max).deadlineSeconds
                == 600 + Probation.longestExtensionSeconds)
    }

    @Test func theCommittedVersionIsWatchedToo() {
        var watch = CommittedWatch(rule: rule)
        #expect(watch.checked(good, nowSeconds: 0, canGoBack: true) == .nothing)
        #expect(watch.checked(good, nowSeconds: 60, canGoBack: true) == .confirmHealth)
        #expect(watch.checked(good, nowSeconds: 120, canGoBack: true) == .nothing)
        #expect(watch.checked(bad, nowSeconds: 200, canGoBack: true) == .nothing)
        #expect(watch.checked(bad, nowSeconds: 799, canGoBack: true) == .nothing)
        #expect(watch.checked(bad, nowSeconds: 800, canGoBack: false) == .nothing)
        guard case .goBack = watch.checked(bad, nowSeconds: 800, canGoBack: true) else {
            Issue.record("not gone back")
            return
        }
    }
}

@Suite struct Upgrades {
    private func next(
        _ record: BootRecord, running: SlotName = .a, desired: UInt8? = 2, failedInstalls: Int = 0
    ) -> UpgradeAction {
        UpgradeMachine.next(
            UpgradeSnapshot(
                record: record, running: running, desired: desired.map(Fixture.digest), rule: ProbationRule(),
                failedInstalls: failedInstalls))
    }

    @Test func fromWishToTrial() throws {
        var record = try Fixture.provisioned()
        #expect(next(record, desired: nil) == .nothing)
        #expect(next(record, desired: 1) == .nothing)
        #expect(next(record) == .install(Fixture.digest(2), into: .b))
        try record.beginWriting(.b, release: Fixture.digest(2), running: .a)
        #expect(next(record) == .install(Fixture.digest(2), into: .b), "an interrupted write goes on")
        try record.markVerified(.b, Fixture.release(2))
        #expect(next(record) == .startTrial(.b))
        try record.startTrial(.b, rule: ProbationRule())
        #expect(next(record) == .restart(into: .b))
    }

    @Test func onTrialItProvesItselfAndTheOldOneRetriesThenGivesUp() throws {
        var record = try Fixture.waitingForTrial()
        try record.countBoot(.b, byKexec: false)
        guard case .prove = next(record, running: .b) else { Issue.record("not proving"); return }
        #expect(next(record) == .retryTrial)
        try record.retryTrial()
        try record.countBoot(.b, byKexec: false)
        guard case .abandonTrial = next(record) else { Issue.record("goes on for ever"); return }
        #expect(next(record, desired: nil) == next(record))
    }

    @Test func anotherWishCancelsATrialWithoutBlame() throws {
        var record = try Fixture.waitingForTrial()
        try record.countBoot(.b, byKexec: false)
        guard case .cancelTrial = next(record, desired: 3) else { Issue.record("not cancelled"); return }
    }

    @Test func whatFailedIsNotTriedAgain() throws {
        var record = try Fixture.waitingForTrial()
        try record.abandonTrial(reason: "bad", isBlamed: true)
        guard case .hold(let reason) = next(record) else { Issue.record("tried again"); return }
        #expect(reason.contains("bad"))
        record.clearQuarantine()
        #expect(next(record) == .startTrial(.b))
    }

    @Test func blamelessFailuresAndInstallsAreBounded() throws {
        var record = try Fixture.waitingForTrial()
        for round in 1...UpgradeMachine.blamelessLimit {
            try record.abandonTrial(reason: "outage", isBlamed: false)
            if round < UpgradeMachine.blamelessLimit { try record.startTrial(.b, rule: ProbationRule()) }
        }
        guard case .hold = next(record) else { Issue.record("tried again"); return }
        guard case .hold = next(try Fixture.provisioned(), failedInstalls: UpgradeMachine.installLimit) else {
            Issue.record("installs for ever")
            return
        }
    }

    @Test func aCommitWithoutItsRestartLeadsToTheCommittedSlot() throws {
        var record = try Fixture.waitingForTrial()
        try record.abandonTrial(reason: "bad", isBlamed: true)
        #expect(next(record, running: .b) == .restart(into: .a))
    }
}
