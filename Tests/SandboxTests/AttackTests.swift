import Lab
import TestSupport
import Testing
import Workloads

/// Rows of the battery that this machine can judge, in the posture that a node has: each is refused as its row says, and
/// succeeds when the row's guards are taken away. The others are judged in the lab.
@Suite(
    .ownThreads, .serialized,
    .enabled(if: AttackStage.obstacle == nil, "nothing can be played here: \(AttackStage.obstacle ?? "")"))
struct Attacks {
    /// What takes quotas, and control groups of disk traffic.
    static let elsewhere: Set<String> = ["io-flood", "disk-fill", "inode-fill"]

    static let here = AttackRow.all.filter { row in
        [.container, .alone].contains(row.stage) && !elsewhere.contains(row.name)
    }

    /// Rows that end their container, and rows that measure something for a while, are played by themselves.
    static let together = here.filter { $0.stage == .container && $0.name != "cpu-spin" }
    static let byThemselves = here.filter { $0.stage == .alone }

    @Test func everyRowIsRefusedAsTheFirstProcessAndAsACommand() throws {
        let stage = try AttackStage()
        for reports in [try stage.play(Self.together), try stage.playInside(Self.together)] {
            #expect(reports.map(\.row) == Self.together.map(\.name))
            for (report, row) in zip(reports, Self.together) {
                #expect(report.faults(guarded: row).isEmpty, "\(report.faults(guarded: row))")
            }
        }
    }

    @Test func whatTakesMoreThanItMayIsKilledOrSlowedDown() throws {
        let stage = try AttackStage()
        let spin = try #require(AttackRow.named("cpu-spin"))
        for row in Self.byThemselves + [spin] {
            let report = try #require(try stage.play([row], seconds: row.name == "cpu-spin" ? 1 : 0).first)
            #expect(report.faults(guarded: row).isEmpty, "\(report.faults(guarded: row))")
        }
    }

    /// A careless runtime is overwritten, left and misled; ours is not.
    @Test func theRuntimeGivesNothingAwayWhileItEnters() throws {
        let stage = try AttackStage()
        for row in AttackRow.all where row.stage == .entered {
            let guarded = try #require(try stage.playEntered(row, isGuarded: true, seconds: 1).last)
            #expect(guarded.faults(guarded: row).isEmpty, "\(guarded.faults(guarded: row))")
            // It ends as soon as it succeeds; the processor limit may hold it up until then.
            let unguarded = try #require(try stage.playEntered(row, isGuarded: false, seconds: 8).last)
            #expect(unguarded.faults(unguarded: row).isEmpty, "\(unguarded.faults(unguarded: row))")
        }
    }

    @Test func noWorkingDirectoryLeadsOutOfTheRoot() throws {
        let stage = try AttackStage()
        let row = try #require(AttackRow.named("working-directory"))
        // What does not start says nothing.
        for report in AttackReport.parse(try stage.playWorkingDirectory(row, isGuarded: true)) {
            #expect(report.faults(guarded: row).isEmpty, "\(report.faults(guarded: row))")
        }
        let careless = try #require(AttackReport.parse(try stage.playWorkingDirectory(row, isGuarded: false)).last)
        #expect(careless.faults(unguarded: row).isEmpty, "\(careless.faults(unguarded: row))")
    }

    /// Rows on a wire: with the wire's rules, and without any.
    @Test func nobodyIsReachedThroughAWire() throws {
        let stage = try AttackStage()
        let town = try AttackTown()
        stage.networkNamespace = town.attacker
        let rows = AttackRow.all.filter { $0.stage == .wired }
        for (report, row) in zip(try stage.play(rows), rows) {
            #expect(report.faults(guarded: row).isEmpty, "\(report.faults(guarded: row))")
        }
        try town.open()
        // How many connections a second go through is for an idle machine to say.
        let free = rows.filter { $0.name != "connection-flood" }
        for (report, row) in zip(try stage.play(free), free) {
            #expect(report.faults(unguarded: row).isEmpty, "\(report.faults(unguarded: row))")
        }
    }

    /// A row that fails without its guards too would prove nothing.
    @Test func everyRowSucceedsWithoutItsGuards() throws {
        let stage = try AttackStage()
        var groups: [Set<AttackGuard>: [AttackRow]] = [:]
        // USB devices and idle processors are not everywhere.
        for row in Self.here where !row.isHarmful && !["usb-device", "cpu-spin"].contains(row.name) {
            groups[Set(row.guards), default: []].append(row)
        }
        for (guards, rows) in groups.sorted(by: { $0.value[0].name < $1.value[0].name }) {
            let reports = try stage.play(rows, without: guards)
            #expect(reports.map(\.row) == rows.map(\.name))
            for (report, row) in zip(reports, rows) {
                #expect(report.faults(unguarded: row).isEmpty, "\(report.faults(unguarded: row))")
            }
        }
    }
}
