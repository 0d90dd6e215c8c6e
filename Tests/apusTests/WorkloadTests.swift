import Contract
import Foundation
import Testing
import Workloads

/// Workloads as operators handle them: real processes, documents in files, a node that says what it does.
@Suite struct WorkloadTests {
    private let digest = "sha256:" + String(repeating: "ab", count: 32)

    private func document(_ name: String, _ lines: String...) -> String {
        (["name: \(name)", "image: registry.example/\(name):1@\(digest)"] + lines).joined(separator: "\n") + "\n"
    }

    private struct AppliedList: Decodable {
        var workloads: [AppliedWorkload]
    }

    @Test func documentsOfAFileAreAppliedInTheirOrderAndOnce() async throws {
        let server = try await RunningServer()
        let text =
            document("front", "links: [api]", "ports: ['8080:80']") + "---\n" + document("api", "exposed_ports: [80]")
        let file = try server.scratch.write("site.yaml", text)
        let first = try await server.apus("workload", "apply", "-f", file, "--json")
        #expect(first.code == 0, "\(first.errors)")
        let applied = try first.json(AppliedList.self).workloads
        #expect(applied.map(\.name.rawValue) == ["api", "front"])
        #expect(applied.allSatisfy { $0.isChanged && $0.image.hasSuffix(digest) })
        #expect(first.errors.contains("'front': "), "that no node runs it is worth a remark")
        #expect(try await server.apus("workload", "apply", "-f", file).output.contains("'api' is unchanged"))

        let listed = try await server.apus("workload", "list")
        #expect(listed.output.contains("registry.example/front:1"))
        #expect(!listed.output.contains(digest), "a column is for people")
        let shown = try await server.apus("workload", "show", "front")
        #expect(shown.output.contains(digest))
        #expect(shown.output.contains("no node matches"))
        let whole = try await server.apus("workload", "show", "front", "--document")
        let again = try server.scratch.write("front.json", whole.output)
        #expect(try await server.apus("workload", "apply", "-f", again).output.contains("'front' is unchanged"))
        let piped = try await run(
            Programs.apus, ["workload", "apply", "-f", "-"], environment: server.environment,
            input: document("api", "init: true", "exposed_ports: [80]"))
        #expect(piped.output.contains("'api' is now revision"), "\(piped.errors)")
        #expect(try await server.apus("workload", "show", "nosuch").errors.contains("'apus workload list'"))
    }

    @Test func nothingIsSentWhereAnyDocumentIsWrongAndEveryMistakeHasItsLine() async throws {
        let server = try await RunningServer()
        let good = try server.scratch.write("good.yaml", document("good", "ports: ['8080:80']"))
        let bad = try server.scratch.write("bad.yaml", document("bad", "restart: no", "memlimit: 1g", "init: maybe"))
        let refused = try await server.apus("workload", "apply", "-f", good, "-f", bad)
        #expect(refused.code == 1)
        #expect(refused.errors.contains("line 3: restart: 'no'"))
        #expect(try await server.apus("workload", "list").output.contains("no workloads yet"))
        let worse = try server.scratch.write("worse.yaml", document("bad", "memlimit: 1g", "init: maybe"))
        let named = try await run(Programs.apus, ["workload", "apply", "--check", "-f", worse])
        #expect(named.code == 1, "checking takes no server")
        #expect(named.errors.contains("has 2 mistakes"))
        #expect(named.errors.contains("line 3: memlimit: is not a known field; the nearest known one is 'mem_limit'"))
        #expect(named.errors.contains("line 4: init: 'maybe'"))
        #expect(
            try await run(Programs.apus, ["workload", "apply", "--check", "-f", good]).output == "'good' is in order\n")

        // What only the server can know gets its line as well, and what came before it stays.
        let taken = try server.scratch.write(
            "taken.yaml", document("other") + "---\n" + document("thief", "ports:", "  - '9090:80'", "  - '8080:81'"))
        #expect(try await server.apus("workload", "apply", "-f", good).code == 0)
        let conflict = try await server.apus("workload", "apply", "-f", taken)
        #expect(conflict.code == 1)
        #expect(conflict.errors.contains("line 8: ports[1]"), "\(conflict.errors)")
        #expect(conflict.output.contains("'other' is now"))
        for arguments in [
            [], ["-f", "-", "-f", "-"], ["-f", good, "--wait", "0"], ["-f", good, "--check", "--wait", "5"],
        ] {
            let wrong = try await run(
                Programs.apus, ["workload", "apply"] + arguments, environment: server.environment)
            #expect(wrong.code == 64, "\(arguments)")
        }
        #expect(try await server.apus("workload", "apply", "-f", "/nonexistent").errors.contains("'/nonexistent'"))
    }

    @Test func revisionsAreListedAndGoneBackTo() async throws {
        let server = try await RunningServer()
        for processes in ["100", "200"] {
            let file = try server.scratch.write("web.yaml", document("web", "pids_limit: \(processes)"))
            #expect(try await server.apus("workload", "apply", "-f", file).code == 0)
        }
        let kept = try await server.apus("workload", "revisions", "web", "--json").json(WorkloadRevisionList.self)
        #expect(kept.revisions.map(\.isCurrent) == [true, false])
        let before = try #require(kept.revisions.last).revision
        let back = try await server.apus("workload", "rollback", "web", "--json").json(WorkloadDetail.self)
        #expect(back.workload.revision == before)
        #expect(back.document["pids_limit"] == .integer(100))
        let latest = try #require(kept.revisions.first).revision.description
        let named = try await server.apus("workload", "rollback", "web", "--to", String(latest.prefix(8)).uppercased())
        #expect(named.code == 0, "\(named.errors)")
        #expect(try await server.apus("workload", "rollback", "web", "--to", "12").code == 64)
        #expect(try await server.apus("workload", "rollback", "web", "--to", "0123456789").code == 1)

        let stopped = try await server.apus("workload", "stop", "web", "--json").json(WorkloadDetail.self)
        #expect(stopped.workload.isStopped)
        #expect(try await server.apus("workload", "list").output.contains("stopped"))
        #expect(try await server.apus("workload", "restart", "web").output == "'web' will restart\n")
        #expect(try await server.apus("workload", "start", "web").code == 0)
        let asked = try await server.apus("workload", "delete", "web")
        #expect(asked.code == 1)
        #expect(asked.errors.contains("--yes"))
        #expect(try await server.apus("workload", "delete", "web", "--yes").code == 0)
        #expect(try await server.apus("workload", "delete", "web", "--yes").code == 1)
    }

    @Test func waitingEndsWithWhatTheNodesSay() async throws {
        let server = try await RunningServer()
        let node = try await TestMachine().admitted(server)
        #expect(try await server.apus("node", "label", node.id.rawValue, "name=alpha").code == 0)
        let environment = server.environment
        // The last round begins where a node still says that the revision before has failed.
        let rounds: [(phase: WorkloadReport.Phase, code: Int32)] = [(.running, 0), (.failed, 1), (.running, 0)]
        for (number, (phase, code)) in rounds.enumerated() {
            let processes = number + 64
            let file = try server.scratch.write("web.yaml", document("web", "pids_limit: \(processes)"))
            async let outcome = run(
                Programs.apus, ["workload", "apply", "-f", file, "--wait", "300"], environment: environment)
            try await onThread { try Self.answer(node, phase: phase, processes: processes) }
            let ended = try await outcome
            #expect(ended.code == code, "\(ended.errors)")
            if code != 0 { #expect(ended.errors.contains("on node alpha: out of luck really")) }
            let listed = try await server.apus("workload", "list", "--node", "alpha").output
            #expect(listed.contains(phase.rawValue))
            #expect(listed.contains("out of luck really") == (code != 0))
        }
        #expect(try await server.apus("workload", "list", "--node", "beta").code == 1)
        let shown = try await server.apus("workload", "show", "web").output
        // Calls, errors, time-outs, throttled, cold starts, the average and the longest time.
        let words = shown.split(separator: "\n").last?.split(separator: " ").map(String.init)
        #expect(words == ["alpha", "2", "1", "1", "7", "1", "5000", "ms", "6000", "ms", "0", "0"], "\(shown)")
        #expect(shown.contains("CALLS  ERRORS  TIME-OUTS  THROTTLED  COLD STARTS"))
    }

    /// A node's part: it waits for the revision that is meant and says how that fares.
    private static func answer(_ node: NodeEnd, phase: WorkloadReport.Phase, processes: Int) throws {
        try node.wait { http, _ -> Void? in
            let assignment = try node.assignment(http)
            guard let assigned = assignment.workloads.first,
                let wanted = try? assigned.desired().workload, wanted.revision.resources.pids == processes
            else { return nil }
            var report = WorkloadReport(
                name: wanted.name, phase: phase, reason: phase == .failed ? "out of luck\u{7} really" : "",
                revision: assigned.revision, desired: assigned.revision)
            report.calls = FunctionCounts()
            report.calls?.count(.succeeded, durationMilliseconds: 4000, isCold: true)
            report.calls?.count(
                .ended(type: "Sandbox.Timedout", message: "late"), durationMilliseconds: 6000, isCold: false)
            report.calls?.throttles = 7
            return try node.report(http, report, generation: assignment.generation)
        }
    }

    @Test func policyIsWidenedNarrowedAndTakenBack() async throws {
        let server = try await RunningServer()
        #expect(try await server.apus("workload", "policy").output.contains("permissions: none"))
        let wide = try await server.apus(
            "workload", "policy", "--allow", "writable-root", "--allow", "low-ports", "--max-memory", "2g", "--json"
        ).json(NodePolicy.self)
        #expect(wide.permissions == [.writableRoot, .lowPorts])
        #expect(wide.maximumMemoryBytes == 2 << 30)
        let narrow = try await server.apus(
            "workload", "policy", "--deny", "low-ports", "--max-memory", "none", "--json"
        )
        .json(NodePolicy.self)
        #expect(narrow.permissions == [.writableRoot])
        #expect(narrow.maximumMemoryBytes == nil)
        let id = try await TestMachine().admitted(server).id.rawValue
        let own = try await server.apus("workload", "policy", "--node", id, "--deny", "writable-root", "--json")
        #expect(try own.json(NodePolicy.self).permissions.isEmpty)
        #expect(try await server.apus("workload", "policy", "--node", id, "--reset").output.contains("writable-root"))
        for wrong in [["--reset"], ["--allow", "everything"], ["--allow", "debugging", "--deny", "debugging"]] {
            let outcome = try await run(Programs.apus, ["workload", "policy"] + wrong, environment: server.environment)
            #expect(outcome.code == 64, "\(wrong)")
        }
    }
}
