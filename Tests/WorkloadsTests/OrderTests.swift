import TestSupport
import Testing

@testable import Workloads

@Suite struct Orders {
    @Test(arguments: 0..<16) func theOrderIsTopological(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let names = try (0..<30).map { try #require(WorkloadName("w\($0)")) }.shuffled(using: &random)
        var edges: [WorkloadName: Set<WorkloadName>] = [:]
        for (index, name) in names.enumerated() {
            edges[name] = Set((0..<3).compactMap { _ in names[..<index].randomElement(using: &random) })
        }
        let order = try DependencyOrder.sorted(edges)
        #expect(Set(order) == Set(names) && order.count == names.count)
        for (name, needs) in edges {
            let place = try #require(order.firstIndex(of: name))
            for need in needs { #expect(try #require(order.firstIndex(of: need)) < place) }
        }
        // One edge back makes a circle, which is named.
        edges[order[0], default: []].insert(order[29])
        edges[order[29], default: []].insert(order[0])
        do {
            _ = try DependencyOrder.sorted(edges)
            Issue.record("the circle was not seen")
        } catch {
            for (index, name) in error.members.enumerated() {
                #expect(edges[name]?.contains(error.members[(index + 1) % error.members.count]) == true)
            }
        }
    }

    @Test func beforeARestartDependentsStopFirstAndTheDeadlineHolds() throws {
        let db = try Fixture.workload("db", #", "stop_grace_period": "1m""#)
        let web = try Fixture.workload("web", #", "depends_on": ["db"]"#)
        var machine = ShutdownMachine([db, web], deadlineMilliseconds: 40_000)
        #expect(machine.next(0, remaining: [db.name, web.name]) == [.stop(web.name, graceMilliseconds: 10_000)])
        #expect(machine.next(1000, remaining: [db.name, web.name]) == [])
        // What is left of the time is all that the other gets.
        #expect(machine.next(2000, remaining: [db.name]) == [.stop(db.name, graceMilliseconds: 28_000)])
        #expect(machine.next(30_000, remaining: [db.name]) == [.kill(db.name)])
        #expect(machine.next(31_000, remaining: [db.name]) == [])
        #expect(machine.next(40_000, remaining: [db.name]) == [.abandoned([db.name])])
        #expect(machine.next(41_000, remaining: []) == [.finished])
    }

    @Test func healthIsCountedInARowAndNotWhileItStarts() throws {
        var check = HealthCheck(probe: .tcp(port: 1))
        check.intervalMilliseconds = 1000
        check.startPeriodMilliseconds = 5000
        check.startIntervalMilliseconds = 500
        check.retries = 2
        var machine = HealthMachine(check, startedMilliseconds: 0)
        #expect(machine.next(0) == .wait(untilMilliseconds: 500))
        for time in stride(from: Int64(500), to: 5000, by: 500) {
            #expect(machine.next(time) == .probe && machine.next(time) == .await)
            machine.answered("refused", time)
            #expect(machine.health == .unknown)
        }
        #expect(machine.next(5000) == .probe)
        machine.answered(nil, 5000)
        #expect(machine.health == .healthy && machine.next(5999) == .wait(untilMilliseconds: 6000))
        _ = machine.next(6000)
        machine.answered("refused", 6000)
        #expect(machine.health == .healthy)
        _ = machine.next(7000)
        machine.answered("refused", 7000)
        #expect(machine.health == .unhealthy("refused"))
        _ = machine.next(8000)
        machine.answered(nil, 8000)
        #expect(machine.health == .healthy)
    }

    @Test func waitsDoubleUpToTheirBound() {
        let waits = (0..<8).map { DoublingWait.milliseconds(attempt: $0, delay: 1000, maximum: 30_000) }
        #expect(waits == [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000])
        #expect(DoublingWait.milliseconds(attempt: 1 << 40, delay: 1000, maximum: 30_000) == 30_000)
    }
}
