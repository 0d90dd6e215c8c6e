import Contract
import TestSupport
import Testing

@testable import Workloads

/// A node that carries plans out, badly where it is told to.
struct SimulatedNode {
    var now: Int64 = 1000
    var desired: [DesiredWorkload] = []
    var records: [WorkloadName: WorkloadRecord] = [:]
    var snapshot = NodeSnapshot(nowMilliseconds: 0)
    /// Revisions that never become healthy, and those whose process ends at once.
    var sick: Set<Digest256> = []
    var dying: Set<Digest256> = []
    /// Images that the registry does not have, and those whose content is not accepted.
    var missing: Set<Digest256> = []
    var refused: Set<Digest256> = []
    var unstoppable: Set<Digest256> = []
    var starts: [Digest256: Int] = [:]
    var pulls = 0
    var log: [WorkloadAction] = []
    var reports: [WorkloadReport] = []

    mutating func want(
        _ name: String, _ revision: UInt8, _ more: String = "", restarts: Int = 0, isStopped: Bool = false
    ) throws {
        let image = "registry.example/app@sha256:\(try Fixture.digest(revision))"
        let document = try Workload(parsing: Array(#"{"name": "\#(name)", "image": "\#(image)"\#(more)}"#.utf8))
        let wish = DesiredWorkload(
            workload: document, revision: try Fixture.digest(revision), isStopped: isStopped, restarts: restarts)
        desired.removeAll { $0.workload.name == document.name }
        desired.append(wish)
        snapshot.documents[wish.key] = document
    }

    /// One look and what follows from it; returns the actions.
    @discardableResult
    mutating func step(_ milliseconds: Int64 = 1000) -> [WorkloadAction] {
        now += milliseconds
        live()
        snapshot.nowMilliseconds = now
        snapshot.desired = desired
        let plan = WorkloadPlanner.plan(snapshot, records)
        records = plan.records
        reports = plan.reports
        for action in plan.actions { carryOut(action) }
        log += plan.actions
        return plan.actions
    }

    mutating func steps(_ count: Int, _ milliseconds: Int64 = 1000) { for _ in 0..<count { step(milliseconds) } }

    /// Power goes and comes back: only the disk remains.
    mutating func powerCut() {
        snapshot.instances = [:]
        snapshot.pulls = [:]
        snapshot.prepared = []
        for name in records.keys { records[name]?.machineRestarted() }
        now = 0
    }

    private mutating func live() {
        for (key, facts) in snapshot.instances {
            switch facts.phase {
            case .running(let since) where dying.contains(key.revision):
                snapshot.instances[key]?.phase = .ended(failure: "exit status 1")
                _ = since
            case .running(let since) where now - since >= 2000:
                snapshot.instances[key]?.health = sick.contains(key.revision) ? .unhealthy("it says 500") : .healthy
            case .stopping where !unstoppable.contains(key.revision):
                snapshot.instances[key]?.phase = .stopped
            default: break
            }
        }
    }

    private mutating func carryOut(_ action: WorkloadAction) {
        switch action {
        case .pull(let image):
            pulls += 1
            guard let digest = image.digest else { return }
            if refused.contains(digest) {
                snapshot.pulls[digest] = .refused("layer 1 is refused: parent-path")
            } else if missing.contains(digest) {
                snapshot.pulls[digest] = .failed("no such manifest")
            } else {
                snapshot.images.insert(digest)
            }
        case .prepare(let key): snapshot.prepared.insert(key)
        case .start(let key):
            starts[key.revision, default: 0] += 1
            snapshot.instances[key] = InstanceFacts(phase: .running(sinceMilliseconds: now))
        case .switchPorts(let key):
            for other in snapshot.instances.keys where other.workload == key.workload {
                snapshot.instances[other]?.holdsPorts = other == key
            }
        case .stop(let key, _, _):
            snapshot.instances[key]?.phase = .stopping(sinceMilliseconds: now, waitingFor: "nfs_wait")
        case .remove(let key): snapshot.instances[key] = nil
        case .rollBack, .reportStuck: break
        }
    }

    func isRunning(_ revision: UInt8) throws -> Bool {
        let digest = try Fixture.digest(revision)
        return snapshot.instances.contains { key, facts in
            guard key.revision == digest, case .running = facts.phase else { return false }
            return true
        }
    }

    func report(_ name: String) -> WorkloadReport? { reports.first { $0.name.rawValue == name } }
}

@Suite struct Planner {
    static let check = #", "healthcheck": {"tcp": {"port": 80}}, "ports": ["8080:80"]"#

    @Test func aNewWorkloadIsFetchedPreparedStartedAndProven() throws {
        var node = SimulatedNode()
        try node.want("web", 1, Self.check)
        let name = try #require(WorkloadName("web"))
        let key = RevisionKey(name, try Fixture.digest(1))
        #expect(node.step() == [.pull(node.desired[0].workload.revision.image)])
        #expect(node.step() == [.prepare(key)])
        #expect(node.step() == [.start(key)])
        #expect(node.step() == [] && node.report("web")?.phase == .starting)
        #expect(node.step() == [.switchPorts(to: key)] && node.report("web")?.phase == .running)
        node.steps(20)
        #expect(node.log.count == 4 && node.records[name]?.proven == key.revision)
    }

    @Test func theOldRevisionRunsUntilTheNewOneIsHealthyAndHasThePorts() throws {
        var node = SimulatedNode()
        try node.want("web", 1, Self.check)
        node.steps(8)
        try node.want("web", 2, Self.check)
        for _ in 0..<20 {
            let isOldThere = try node.isRunning(1)
            let actions = node.step()
            let new = RevisionKey(node.desired[0].workload.name, try Fixture.digest(2))
            if let stop = actions.firstIndex(where: { if case .stop = $0 { true } else { false } }) {
                #expect(isOldThere && node.snapshot.instances[new]?.health == .healthy)
                #expect(try #require(actions.firstIndex(of: .switchPorts(to: new))) < stop)
            }
        }
        #expect(try node.isRunning(2) && !node.isRunning(1) && node.snapshot.instances.count == 1)
    }

    @Test(arguments: [true, false]) func anUnhealthyRevisionGivesWayAndIsNotTriedAgain(_ isBeside: Bool) throws {
        let volume = #", "volumes": [{"type": "volume", "source": "d", "target": "/d", "volume": {"size": "1g"}}]"#
        let more = Self.check + (isBeside ? "" : volume)
        var node = SimulatedNode()
        try node.want("web", 1, more)
        node.steps(8)
        node.sick = [try Fixture.digest(2)]
        try node.want("web", 2, more)
        node.steps(200, 60_000)
        #expect(try node.isRunning(1) && !node.isRunning(2))
        #expect(node.starts[try Fixture.digest(2)] == 1)
        #expect(node.starts[try Fixture.digest(1)] == (isBeside ? 1 : 2))
        let rollBacks = node.log.filter { if case .rollBack = $0 { true } else { false } }
        #expect(
            rollBacks == [
                .rollBack(
                    node.desired[0].workload.name, failed: try Fixture.digest(2), to: try Fixture.digest(1),
                    reason: "it is unhealthy: it says 500")
            ])
        #expect(node.report("web")?.phase == .running)
        #expect(node.report("web")?.reason.contains("it says 500") == true)
        // A power cut does not make it forget; a new revision is tried.
        node.powerCut()
        node.steps(50, 60_000)
        #expect(try node.isRunning(1) && node.starts[Fixture.digest(2)] == 1)
        try node.want("web", 3, more)
        node.steps(20)
        #expect(try node.isRunning(3) && node.snapshot.instances.count == 1)
    }

    @Test func aFirstRevisionThatFailsIsGivenUpWithItsReason() throws {
        var node = SimulatedNode()
        node.dying = [try Fixture.digest(1)]
        try node.want("web", 1, Self.check)
        node.steps(100, 10_000)
        #expect(node.starts[try Fixture.digest(1)] == 1 && node.snapshot.instances.isEmpty)
        #expect(node.report("web")?.phase == .failed && node.report("web")?.reason == "it ended: exit status 1")
        // An operator's restart is another try.
        node.dying = []
        try node.want("web", 1, Self.check, restarts: 1)
        node.steps(10)
        #expect(node.report("web")?.phase == .running)
    }

    @Test func powerCutsDoNotGiveATrialMoreStarts() throws {
        var node = SimulatedNode()
        try node.want("web", 1, Self.check)
        for _ in 0..<20 {
            node.steps(3)
            node.powerCut()
        }
        #expect(node.starts[try Fixture.digest(1)] == WorkloadPlanner.trialStarts)
        #expect(node.report("web")?.phase == .failed)
    }

    @Test func aProvenRevisionThatTurnsSickIsRestartedWithBound() throws {
        var node = SimulatedNode()
        try node.want("web", 1, Self.check + #", "restart": "on-failure:4""#)
        node.steps(10)
        node.sick = [try Fixture.digest(1)]
        node.steps(1000)
        #expect(node.starts[try Fixture.digest(1)] == 5)
        #expect(node.report("web")?.phase == .failed)
        #expect(node.report("web")?.reason.contains("restarted 4 times") == true)
    }

    @Test func everythingRunsAgainAfterARebootWithoutServerAndRegistry() throws {
        var node = SimulatedNode()
        try node.want("db", 1, Self.check.replacing("8080", with: "8081"))
        try node.want("web", 2, Self.check + #", "depends_on": {"db": {"condition": "service_healthy"}}"#)
        node.steps(20)
        #expect(try node.isRunning(1) && node.isRunning(2))
        node.powerCut()
        node.missing = node.snapshot.images
        let before = node.pulls
        node.steps(20)
        #expect(try node.isRunning(1) && node.isRunning(2) && node.pulls == before)
        let starts = node.log.compactMap { if case .start(let key) = $0 { key.workload.rawValue } else { nil } }
        #expect(starts == ["db", "web", "db", "web"])
    }

    @Test func aMissingImageLeavesTheOldRevisionAndIsAskedForEverMoreRarely() throws {
        var node = SimulatedNode()
        try node.want("web", 1, Self.check)
        node.steps(8)
        node.missing = [try Fixture.digest(2)]
        try node.want("web", 2, Self.check)
        node.steps(3600)
        #expect(try node.isRunning(1) && node.report("web")?.phase == .pulling)
        #expect(node.report("web")?.reason == "the image could not be fetched: no such manifest")
        #expect((10...25).contains(node.pulls - 1), "\(node.pulls)")
        // The old one is looked after all the while.
        node.powerCut()
        node.steps(10)
        #expect(try node.isRunning(1))
    }

    @Test func anImageThatIsRefusedIsGivenUpWithItsReasonAndNotFetchedAgainUntilSomebodyAsks() throws {
        var node = SimulatedNode()
        try node.want("web", 1, Self.check)
        node.steps(8)
        node.refused = [try Fixture.digest(2)]
        try node.want("web", 2, Self.check)
        node.steps(3600)
        #expect(try node.isRunning(1) && node.report("web")?.phase == .running)
        #expect(node.report("web")?.reason.contains("layer 1 is refused: parent-path") == true)
        #expect(node.pulls == 2)

        var fresh = SimulatedNode()
        fresh.refused = [try Fixture.digest(1)]
        try fresh.want("web", 1, Self.check)
        fresh.steps(100)
        #expect(fresh.report("web")?.phase == .failed && fresh.pulls == 1)
        #expect(fresh.report("web")?.reason == "the image cannot be used: layer 1 is refused: parent-path")
    }

    @Test func anImageThatWaitsForAnotherSaysSoAndIsNotAskedForTwice() throws {
        var node = SimulatedNode()
        try node.want("web", 1, Self.check)
        node.snapshot.pulls[try Fixture.digest(1)] = .queued
        node.steps(20)
        #expect(node.report("web")?.phase == .pulling && node.pulls == 0)
        #expect(node.report("web")?.reason == "another image is fetched first")
    }

    @Test func aFullDiskIsAStateAndNothingElse() throws {
        var node = SimulatedNode()
        node.snapshot.diskFull = "the state partition is full"
        try node.want("web", 1)
        node.steps(10)
        #expect(node.log.isEmpty && node.report("web")?.phase == .waiting)
        #expect(node.report("web")?.reason == "the state partition is full")
        node.snapshot.diskFull = nil
        node.steps(12)
        #expect(node.report("web")?.phase == .running)
    }

    @Test func whatDoesNotEndIsReportedStuck() throws {
        var node = SimulatedNode()
        try node.want("web", 1, Self.check)
        node.steps(8)
        node.unstoppable = [try Fixture.digest(1)]
        node.desired = []
        node.steps(30)
        let key = RevisionKey(try #require(WorkloadName("web")), try Fixture.digest(1))
        #expect(node.log.contains(.reportStuck(key, waitingFor: "nfs_wait")) && node.report("web")?.phase == .stuck)
        node.unstoppable = []
        node.steps(5)
        #expect(node.snapshot.instances.isEmpty && node.records.isEmpty && node.reports.isEmpty)
    }

    @Test func stoppingAndRestartingAreObeyedOnce() throws {
        var node = SimulatedNode()
        try node.want("web", 1, Self.check)
        node.steps(10)
        try node.want("web", 1, Self.check, restarts: 1)
        node.steps(30)
        #expect(node.starts[try Fixture.digest(1)] == 2 && node.report("web")?.phase == .running)
        try node.want("web", 1, Self.check, restarts: 1, isStopped: true)
        node.steps(10)
        #expect(node.report("web")?.phase == .stopped && node.snapshot.instances.isEmpty)
        try node.want("web", 1, Self.check, restarts: 1)
        node.steps(10)
        #expect(node.report("web")?.phase == .running)
    }

    @Test func aPortBelongsToOneWorkload() throws {
        var node = SimulatedNode()
        try node.want("a", 1, Self.check)
        try node.want("b", 2, Self.check)
        node.steps(20)
        #expect(try node.isRunning(1) && !node.isRunning(2))
        #expect(node.report("b")?.reason == "port 8080/tcp of this node belongs to 'a'")
    }

    @Test func aCircleStartsNothingAndStopsNothing() throws {
        var node = SimulatedNode()
        try node.want("a", 1)
        node.steps(12)
        try node.want("a", 1, #", "depends_on": ["b"]"#)
        try node.want("b", 2, #", "depends_on": ["a"]"#)
        node.steps(12)
        #expect(try node.isRunning(1) && !node.isRunning(2))
        #expect(node.report("b")?.reason.contains("a → b → a") == true)
    }

    /// Whatever happens on the way, it ends where it should, and it promises what it promises all the time.
    @Test(arguments: 0..<24) func itConvergesFromAnywhere(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var node = SimulatedNode()
        let names = ["a", "b", "c"]
        var revision: UInt8 = 0
        for _ in 0..<40 {
            let index = Int.random(in: 0..<names.count, using: &random)
            switch Int.random(in: 0..<6, using: &random) {
            case 0, 1:
                revision += 1
                let volume =
                    #", "volumes": [{"type": "volume", "source": "d", "target": "/d", "volume": {"size": "1g"}}]"#
                var more = #", "healthcheck": {"tcp": {"port": 80}}, "ports": ["80\#(80 + index):80"]"#
                if Bool.random(using: &random) { more += volume }
                if index > 0, Bool.random(using: &random) { more += #", "depends_on": ["\#(names[index - 1])"]"# }
                try node.want(names[index], revision, more)
                let digest = try Fixture.digest(revision)
                switch Int.random(in: 0..<6, using: &random) {
                case 0: node.sick.insert(digest)
                case 1: node.dying.insert(digest)
                case 2: node.missing.insert(digest)
                default: break
                }
            case 2: node.powerCut()
            case 3 where !node.desired.isEmpty && Int.random(in: 0..<3, using: &random) == 0:
                node.desired.removeFirst()
            default: break
            }
            for _ in 0..<Int.random(in: 1...12, using: &random) {
                let before = node
                let actions = node.step(Int64.random(in: 100...3000, using: &random))
                try Self.checkPromises(before, actions, node)
            }
        }
        node.missing = []
        for digest in node.snapshot.pulls.keys { node.snapshot.pulls[digest] = nil }
        node.steps(400, 5000)
        let end = node.log.count
        node.steps(50, 5000)
        #expect(node.log.count == end, "it never comes to rest: \(node.log.suffix(6))")
        for wish in node.desired where !node.sick.contains(wish.revision) && !node.dying.contains(wish.revision) {
            let isGivenUp = node.records[wish.workload.name]?.failed != nil
            let waits = node.report(wish.workload.name.rawValue)?.phase == .waiting
            #expect(node.records[wish.workload.name]?.proven == wish.revision || isGivenUp || waits)
        }
        for (digest, starts) in node.starts where node.sick.contains(digest) || node.dying.contains(digest) {
            #expect(starts <= WorkloadPlanner.trialStarts)
        }
    }

    private static func checkPromises(
        _ before: SimulatedNode, _ actions: [WorkloadAction], _ after: SimulatedNode
    ) throws {
        for action in actions {
            guard case .stop(let key, _, "the new revision is healthy") = action else { continue }
            let new = try #require(after.records[key.workload]?.proven)
            #expect(after.snapshot.instances[RevisionKey(key.workload, new)]?.health == .healthy)
        }
        // A revision that failed is not started while it is the one that is wanted.
        for case .start(let key) in actions {
            #expect(before.records[key.workload]?.failed?.revision != key.revision || before.desired.isEmpty)
        }
        let perWorkload = Dictionary(grouping: after.snapshot.instances.keys, by: \.workload)
        #expect(perWorkload.values.allSatisfy { $0.count <= 3 })
    }
}
