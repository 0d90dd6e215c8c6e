import Contract
import Foundation
import TestSupport
import Testing
import Workloads

@testable import Lab

/// The benchmark without a machine: how lines become figures, and what is said of them.
@Suite struct BenchTests {
    // MARK: Reading

    @Test func linesBecomeSamplesAndWhatIsNoneIsLeftOut() {
        var readings = BenchReadings()
        readings.add(
            """
            bash: warning
            SAMPLE plain 1500
            SAMPLE warm 20 700.5
            SAMPLE plain nan
            SAMPLE plain -3
            SAMPLE plain 1e300
            SAMPLE plain
            FAILED podman no such program -
            FAILED podman later
            """)
        readings.add("SAMPLE plain 2500\r\n")
        #expect(readings.values("plain") == [1500, 2500])
        #expect(readings.values("plain", leavingOut: 1) == [2500])
        #expect(readings.samples["warm"] == [BenchReadings.Sample(value: 20, end: 700.5)])
        #expect(readings.failures == ["podman": "no such program -"])
    }

    @Test func aFloodOfLinesStaysBounded() {
        var readings = BenchReadings()
        readings.add((0..<20_000).map { "SAMPLE one \($0)" }.joined(separator: "\n"))
        readings.add((0..<2_000).map { "SAMPLE name-\($0) 1\nFAILED name-\($0) x" }.joined(separator: "\n"))
        readings.add(
            "SAMPLE \(String(repeating: "x", count: 1000)) 1\nFAILED y \(String(repeating: "z ", count: 5000))")
        #expect(readings.values("one").count == BenchReadings.sampleLimit)
        #expect(readings.samples.count <= BenchReadings.nameLimit && readings.failures.count <= BenchReadings.nameLimit)
        #expect(readings.failures.values.allSatisfy { $0.count <= 300 })
    }

    @Test func callsInARowAreTimedFromEndToEnd() {
        var readings = BenchReadings()
        // Two callers, whose lines come out of order.
        readings.add("SAMPLE warm 9 100\nSAMPLE warm 9 130\nSAMPLE warm 9 110\nSAMPLE warm 9 160\nSAMPLE warm 9 1000")
        #expect(readings.intervals("warm", leavingOut: 0) == [10, 20, 30, 840])
        #expect(readings.intervals("warm", leavingOut: 1) == [20, 30])
        #expect(readings.intervals("warm", leavingOut: 4) == [])
        #expect(readings.intervals("cold", leavingOut: 1) == [])
    }

    @Test func aSummaryIsTheMiddleAndItsQuarters() throws {
        let odd = try #require(BenchSummary([5, 1, 3, 2, 4], atLeast: 5))
        #expect(odd == (BenchSummary([1, 2, 3, 4, 5], atLeast: 1)))
        #expect((odd.lowerQuartile, odd.median, odd.upperQuartile) == (2, 3, 4) && odd.count == 5)
        #expect(BenchSummary([1, 2], atLeast: 1)?.median == 1.5)
        #expect(BenchSummary([7], atLeast: 1)?.upperQuartile == 7)
        #expect(BenchSummary([1, 2], atLeast: 3) == nil && BenchSummary([], atLeast: 0) == nil)
    }

    // MARK: Judging

    @Test func aFigureIsJudgedByItsBarAndItsAim() {
        func verdict(_ measured: Double?, _ limit: BenchFigure.Limit?) -> BenchFigure.Verdict {
            var figure = BenchFigure("x", .megabytes, measured)
            figure.limit = limit
            return figure.verdict
        }
        #expect(verdict(70, .size(100, aim: 70)) == .good)
        #expect(verdict(70.1, .size(100, aim: 70)) == .fair)
        #expect(verdict(100.1, .size(100, aim: 70)) == .missed)
        #expect(verdict(24, .size(25)) == .good && verdict(26, .size(25)) == .missed)
        #expect(verdict(5, nil) == .none && verdict(nil, nil) == .unknown)
        let ratio = BenchFigure("x", .milliseconds, 130).against("y", 100, .ratio(1.5, aim: 1.2))
        #expect(ratio.ratio == 1.3 && ratio.verdict == .fair)
        #expect(BenchFigure("x", .milliseconds, 160).against("y", 100, .ratio(1.5, aim: 1.2)).verdict == .missed)
    }

    @Test func aFigureWithoutItsReferenceIsNotMeasuredUnlessAReleaseMayLackIt() {
        var figure = BenchFigure("x", .milliseconds, 130).against("y", nil, .ratio(1.5))
        #expect(figure.verdict == .unknown)
        #expect(BenchFigure("x", .milliseconds, 130).against("y", 0).verdict == .unknown)
        figure.isOptional = true
        #expect(figure.verdict == .absent)
    }

    /// What a run says in which everything went well.
    private static func good(_ name: String = "") -> BenchReadings {
        var readings = BenchReadings()
        var lines: [String] = []
        for _ in 0..<8 {
            for (when, used, rss) in [("idle", 60_000, 20_000), ("full", 90_000, 22_000)] {
                lines += ["SAMPLE \(when).used \(used)", "SAMPLE \(when).rss \(rss)", "SAMPLE \(when).pss 15000"]
                lines.append("SAMPLE \(when).processes \(when == "idle" ? 10 : 50)")
            }
            lines += ["plain 100000", "ungrouped 80000", "same 150000", "unit 140000", "unit.before 30000"]
                .map { "SAMPLE " + $0 }
            lines += ["SAMPLE unit.runtime 110000", "SAMPLE cold 400000 1", "SAMPLE thaw 20000 1"]
        }
        lines += (0..<20).map { "SAMPLE warm 1 \($0 * 10_000)" }
        lines += ["SAMPLE partition.apus-root-a 2097152", "SAMPLE partition.apus-tree-a 32768"]
        lines.append("SAMPLE partition.apus-boot-a 262144")
        readings.add(lines.filter { name.isEmpty || !$0.hasPrefix("SAMPLE \(name) ") }.joined(separator: "\n"))
        return readings
    }

    private static func figures(_ readings: BenchReadings) -> [BenchFigure] {
        let slot = BenchFigures.SlotContents(rootBytes: 147_000_000, treeBytes: 1_000_000, kernelBytes: 27_000_000)
        return BenchFigures(readings: readings, slot: slot).all
    }

    private static func figure(_ name: String, _ figures: [BenchFigure]) throws -> BenchFigure {
        try #require(figures.first { $0.name == name })
    }

    @Test func theFiguresOfAWholeRunHaveTheBarsOfTheProject() throws {
        let all = Self.figures(Self.good())
        #expect(BenchFigures.unknown(all).isEmpty)
        let memory = try Self.figure("memory in use, idle node", all)
        #expect(memory.measured == 61.44 && memory.verdict == .good)
        #expect(memory.limit == .size(100, aim: 70))
        #expect(try Self.figure("agent resident, idle", all).limit == .size(25))
        #expect(try Self.figure("agent resident, 20 containers", all).limit == .size(30))
        let each = try #require(try Self.figure("memory for each of 20 containers", all).measured)
        #expect((1.535...1.537).contains(each))
        let start = try Self.figure("start, full posture", all)
        #expect(start.ratio == 1.4 && start.verdict == .fair && start.limit == .ratio(1.5, aim: 1.2))
        #expect(start.remark.contains("30.0 ms until systemd starts crun"))
        let thaw = try Self.figure("function, call that thaws, by cold", all)
        #expect(thaw.ratio == 0.05 && thaw.verdict == .good && thaw.limit == .ratio(0.1))
        #expect(try Self.figure("function, warm call", all).measured == 10)
        #expect(try Self.figure("disk, one slot", all).measured == 175)
        #expect(try Self.figure("podman run", all).verdict == .absent)
    }

    @Test(arguments: [
        "idle.used", "idle.rss", "full.rss", "idle.processes", "plain", "same", "unit", "cold", "thaw", "warm",
        "partition.apus-tree-a",
    ]) func whatIsMissingIsToldAsNotMeasured(_ name: String) {
        #expect(!BenchFigures.unknown(Self.figures(Self.good(name))).isEmpty)
    }

    @Test func aPeerThatIsThereAndFailsIsNotTakenForAbsent() throws {
        var readings = Self.good()
        readings.add("FAILED podman cannot find a network")
        let figure = try Self.figure("podman run", Self.figures(readings))
        #expect(figure.verdict == .unknown && figure.remark.contains("cannot find a network"))
    }

    @Test func theTableHasALineForEachFigureAndItsRemarksBelow() {
        let figures = [
            BenchFigure("memory", .megabytes, 61.44).within(.size(100, aim: 70)).noting("as it is"),
            BenchFigure("start", .milliseconds, 160).against("plain", 100, .ratio(1.5)),
            BenchFigure("processes", .count, nil),
        ]
        #expect(
            BenchTable.lines(figures) == [
                "FIGURE     MEASURED  REFERENCE         RATIO       BAR      AIM  VERDICT",
                "memory      61.4 MB                           100.0 MB  70.0 MB  ok",
                "start      160.0 ms  plain (100.0 ms)   1.60      1.50           BAR MISSED",
                "processes         -                                              NOT MEASURED",
                "memory: as it is",
            ])
    }

    @Test func numbersHaveTheDigitsThatWereAskedFor() {
        #expect(BenchTable.decimal(1.005, 1) == "1.0" && BenchTable.decimal(0.06, 1) == "0.1")
        #expect(BenchTable.decimal(-0.04, 1) == "0.0" && BenchTable.decimal(-1.25, 2) == "-1.25")
        #expect(BenchTable.decimal(7, 0) == "7" && BenchTable.decimal(.infinity, 2) == "?")
    }

    // MARK: Scripts

    private static let revision = Digest256(bytes: [UInt8](repeating: 0xAB, count: 32))

    private static func order() throws -> [String] {
        let document = """
            {"name": "bench", "image": "registry.lab/bench@sha256:\(String(repeating: "0", count: 64))",
             "command": ["/bin/apus-bench", "start"], "restart": "no"}
            """
        let workload = try Workload(parsing: Array(document.utf8))
        return try BenchDocuments.order(workload, revision: try #require(Self.revision))
    }

    @Test func theOrderIsTheAgentsOwnUnderAnotherName() throws {
        let words = try Self.order()
        #expect(words.contains("--unit=apus-lab-start-ROUND.service"))
        #expect(words.contains("--property=Slice=apus-workloads.slice") && words.contains("--property=Restart=no"))
        #expect(words.contains("--property=DevicePolicy=closed") && words.contains("--property=TasksMax=256"))
        #expect(
            words.suffix(5) == [
                "--cgroup-manager=disabled", "run", "--bundle", "/run/apus/bundles/bench-abababababab",
                "apus-lab-start-ROUND",
            ])
        #expect(!words.contains { $0.contains("apus-workload-bench") })
    }

    @Test func everyScriptIsOneThatBashReads() throws {
        for script in [
            BenchScript.sizes("idle", uptimeSeconds: 100), BenchScript.untilEmpty, BenchScript.versions,
            BenchScript.starts(order: try Self.order(), rounds: 3), BenchScript.calls(rounds: 3),
        ] {
            let checked = outcome(of: ["bash", "-n", "-c", script])
            #expect(checked.succeeded && checked.output.isEmpty, "\(checked.output)")
        }
    }

    @Test func aWordOfTheOrderArrivesAsItIsWithTheRoundInIt() {
        let words = ["a b", "it's", "$HOME `x`", "start-ROUND.service", "ROUND'ROUND"]
        let script =
            "round=7; for word in " + words.map(BenchScript.quoted).joined(separator: " ")
            + "; do printf '%s\\n' \"$word\"; done"
        let said = outcome(of: ["bash", "-c", script]).output
        #expect(said.split(separator: "\n") == ["a b", "it's", "$HOME `x`", "start-7.service", "7'7"])
    }
}
