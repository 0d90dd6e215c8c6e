import Testing

@testable import Node

@Suite struct GuardianTests {
    @Test func resetsAtTheDeadlineUnlessCommitted() {
        #expect(Guardian.verdict(now: 10, latest: 100, isCommitted: false) == .wait(seconds: 5))
        #expect(Guardian.verdict(now: 98, latest: 100, isCommitted: false) == .wait(seconds: 2))
        #expect(Guardian.verdict(now: 100, latest: 100, isCommitted: false) == .reset)
        #expect(Guardian.verdict(now: 1000, latest: 100, isCommitted: true) == .leave)
    }

    @Test func aDeadlineBeyondReasonIsNotTaken() {
        #expect(Guardian.bounded(500, now: 100) == 500)
        #expect(Guardian.bounded(.max, now: 100) == nil)
        #expect(Guardian.bounded(-1, now: 100) == nil)
    }
}

@Suite struct ClockFloorTests {
    @Test func theClockOnlyEverRises() {
        #expect(ClockFloor.corrected(now: 100, floor: 2000) == 2000)
        #expect(ClockFloor.corrected(now: 2000, floor: 100) == nil)
        #expect(ClockFloor.corrected(now: 1998, floor: 2000) == nil, "a second or two is no reason to jump")
    }
}

@Suite struct MachineIDTests {
    @Test func onlyARealIDIsKept() {
        #expect(MachineID.isValid("0123456789abcdef0123456789abcdef\n"))
        #expect(!MachineID.isValid(""))
        #expect(!MachineID.isValid("uninitialized\n"))
        #expect(!MachineID.isValid(String(repeating: "0", count: 32)))
    }
}

@Suite struct AftermathTests {
    func seconds(_ step: String) -> Int64 { Aftermath.waitSeconds(afterStep: step) }

    @Test func whereOnlyAPersonCanHelpTheMachineDoesNotHurry() {
        #expect(seconds("wait-for-admission") > seconds("choose-disk"))
        #expect(seconds("choose-disk") > seconds("write-table"))
        #expect(seconds("carry-out") < seconds("write-table"))
    }
}
