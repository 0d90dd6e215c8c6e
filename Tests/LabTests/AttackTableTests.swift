import Foundation
import Testing
import Workloads

@testable import Lab

/// The battery as data: what the lab judges and the documentation shows.
@Suite struct AttackTables {
    @Test func everyRowHasAttemptsOutcomesAndGuardsAndNoTwoHaveOneName() {
        let names = AttackRow.all.map(\.name)
        #expect(Set(names).count == names.count)
        for row in AttackRow.all {
            #expect(!row.guards.isEmpty && !row.attempts.isEmpty && !row.summary.isEmpty, "\(row.name)")
            #expect(Set(row.attempts.map(\.name)).count == row.attempts.count, "\(row.name)")
            for attempt in row.attempts {
                #expect(!attempt.accepted.isEmpty, "\(row.name) \(attempt.name)")
                #expect(!attempt.accepted.contains("succeeded") && !attempt.missing.contains("succeeded"))
            }
        }
    }

    /// The words of the posture that the battery must cover, each with a row that does.
    @Test(arguments: [
        "fork-bomb", "memory-hog", "tmpfs-fill", "memfd-fill", "page-cache", "cpu-spin", "io-flood", "disk-fill",
        "inode-fill", "descriptors", "inotify", "log-flood", "connection-flood", "zombie-storm", "real-time", "mlock",
        "mknod", "device-open", "usb-device", "kernel-files-write", "kernel-files-read", "cgroup-escape", "mount",
        "namespaces", "setns", "tracing", "modules", "kexec-reboot", "swap", "bpf", "perf", "userfaultfd", "io-uring",
        "keyring", "file-handles", "socket-families", "personality", "terminal-input", "set-id", "other-conventions",
        "runtime-program", "working-directory", "device-races", "device-symlink", "layer-escape", "shared-inode",
        "agent-sockets", "other-workloads", "node-services", "metadata-address", "spoofing", "lookup-only",
    ]) func aRowExists(_ name: String) { #expect(AttackRow.named(name) != nil) }

    @Test func aRowIsJudgedByEachOfItsAttempts() throws {
        let row = try #require(AttackRow.named("namespaces"))
        let lines = row.attempts.map { attempt in
            #"{"row":"namespaces","attempt":"\#(attempt.name)","said":"\#(attempt.accepted.sorted()[0])","detail":""}"#
        }
        let whole = [#"noise {"row":"namespaces","begin":5}"#] + lines + [#"{"row":"namespaces","end":9}"#]
        let report = try #require(AttackReport.parse(whole.joined(separator: "\n")).first)
        #expect(report.faults(guarded: row).isEmpty && report.beginMicroseconds == 5 && report.endMicroseconds == 9)
        // Refused without guards too: nothing is proven.
        #expect(report.faults(unguarded: row).count == row.attempts.count)
        // One attempt that works is a fault, and so is one that was not tried.
        let broken = whole.joined(separator: "\n").replacing("\"said\":\"ENOSYS\"", with: "\"said\":\"succeeded\"")
        #expect(try #require(AttackReport.parse(broken).first).faults(guarded: row).count == 1)
        let short = try #require(
            AttackReport.parse((whole.dropLast(2) + whole.suffix(1)).joined(separator: "\n")).first)
        #expect(short.faults(guarded: row).count == 1)
    }

    @Test func whatEndedAllProcessesWasKilledWhileItTried() throws {
        let row = try #require(AttackRow.named("memory-hog"))
        let report = try #require(AttackReport.parse(#"{"row":"memory-hog","begin":1}"#).first)
        #expect(report.word("pages", of: row) == "killed" && report.faults(guarded: row).isEmpty)
        let ended = try #require(
            AttackReport.parse("{\"row\":\"memory-hog\",\"begin\":1}\n{\"row\":\"memory-hog\",\"end\":2}").first)
        #expect(ended.word("pages", of: row) == "not tried" && !ended.faults(guarded: row).isEmpty)
    }

    @Test func linesOfAHostileProgramAreReadWithoutTrust() {
        let long = #"{"row":"x","attempt":"a","said":""# + String(repeating: "y", count: 70_000) + #""}"#
        let many = (0..<500).map { #"{"row":"x","attempt":"\#($0)","said":"EPERM"}"# }.joined(separator: "\n")
        for text in ["", "{", "}{", "null", "{\"row\":5}", "{\"row\":\"x\",\"begin\":1e99}", long, "\u{0}{\u{1}"] {
            #expect(AttackReport.parse(text).flatMap(\.answers).isEmpty)
        }
        #expect(AttackReport.parse(many).first?.answers.count == 256)
        let window = #"{"victim":1,"begin":1,"end":2,"histogram":{"-1":5,"9999":5,"x":5,"10":-5,"12":7}}"#
        #expect(VictimLatency.parse(window).first?.latency.samples == 7)
        #expect(VictimLatency.parse(#"{"victim":1,"begin":2,"end":1,"histogram":{}}"#).isEmpty)
    }

    static func window(_ begin: Int64, _ counts: [Int: Int]) -> String {
        let histogram = counts.map { "\"\($0.key)\":\($0.value)" }.joined(separator: ",")
        return #"{"victim":1,"begin":\#(begin),"end":\#(begin + 1_000_000),"samples":100,"histogram":{\#(histogram)}}"#
    }

    @Test func latencyIsComparedOverEnoughSamplesOnly() throws {
        let calm = (0..<11).map { Self.window(Int64($0) * 1_000_000, [100: 95, 110: 5]) }
        let storm = (11..<22).map { Self.window(Int64($0) * 1_000_000, [100: 95, 130: 5]) }
        let windows = VictimLatency.parse((calm + storm).joined(separator: "\n"))
        let before = VictimLatency.merged(windows, from: 0, to: 11_000_000)
        let during = VictimLatency.merged(windows, from: 11_000_000, to: 22_000_000)
        #expect(before.samples == 1100 && during.samples == 1100)
        // 2^(110/16) and 2^(130/16), each with a part of its bucket.
        let low = try #require(before.p99Microseconds)
        let high = try #require(during.p99Microseconds)
        #expect((117.0...123).contains(low) && (279.0...292).contains(high))
        let percent = try #require(during.percentWorse(than: before))
        #expect((136.0...140).contains(percent))
        #expect(before.percentWorse(than: before) == 0)
        #expect(VictimLatency.merged(windows, from: 0, to: 9_000_000).percentWorse(than: before) == nil)
        #expect(VictimLatency().p99Microseconds == nil)
    }

    /// `docs/sandbox.md` shows this table; when it fails, put the lines that it prints there.
    @Test func theDocumentationShowsTheBattery() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let page = try String(contentsOf: root.appendingPathComponent("docs/sandbox.md"), encoding: .utf8)
        let table = AttackTable.documented.joined(separator: "\n")
        #expect(page.contains(table), "\(table)")
    }

    @Test func hostileImagesAreArchivesThatTarCanList() throws {
        for image in HostileImage.all where !["many-files", "bomb", "nonsense"].contains(image.name) {
            for layer in image.layers() {
                let path = NSTemporaryDirectory() + "/layer-\(UUID().uuidString).tar"
                defer { try? FileManager.default.removeItem(atPath: path) }
                try Data(layer).write(to: URL(fileURLWithPath: path))
                #expect(try ChildProcess.run(["tar", "-tPf", path]).exitCode == 0, "\(image.name)")
            }
        }
        var many = HostileLayer()
        many.addFiles(1000)
        let path = NSTemporaryDirectory() + "/layer-\(UUID().uuidString).tar"
        defer { try? FileManager.default.removeItem(atPath: path) }
        try Data(many.finished).write(to: URL(fileURLWithPath: path))
        let listed = try ChildProcess.run(["tar", "-tf", path])
        #expect(listed.exitCode == 0 && listed.output.split(separator: "\n").last == "00000999")
    }
}
