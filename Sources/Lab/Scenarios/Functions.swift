import Contract
import Workloads

/// Functions on a node, called from outside.
enum RunningFunctions {
    static let scenarios = [
        Scenario(
            "workload-function", "a bootstrap for provided runtimes: cold, warm, frozen, late, crashing, 50 at once",
            needsInstalledNode: true
        ) { try play($0) }
    ]

    /// - Parameters:
    ///   - concurrency: how many instances there may be; of one it is known which call it answers.
    ///   - timeout: how long a call may take, and wait for an instance before that.
    private static func document(concurrency: Int, timeout: String) -> String {
        """
        {"name": "count", "kind": "function", "image": "\(Registry.functionImage)", "mem_limit": "48m",
         "entrypoint": ["/var/runtime/bootstrap"],
         "function": {"handler": "function.handle", "url": "/count", "timeout": "\(timeout)", "init_timeout": "60s",
                      "concurrency": \(concurrency), "queue": 100, "idle": "10m"}}
        """
    }

    private static func play(_ lab: Rehearsal) throws {
        let registry = RunningWorkloads.registry(lab)
        defer { registry.stop() }
        try lab.installedMachine()
        try lab.step("a registry with a function's image") {
            try registry.start()
            try registry.pushFunctionImage()
            try lab.apus("registry", "set", Registry.name, "--mirror", Registry.mirror)
        }
        let first = try lab.step("apply: ready to be called, and nothing runs") {
            try lab.apply(document(concurrency: 1, timeout: "30s"))
            let seen = try lab.waitUntilRunning("count", within: 300)
            try lab.expect(try lab.call("/other", seconds: 30).status == 404, "no function has another path")
            return seen.revision
        }
        try lab.step("cold: the first call starts an instance") {
            try expect(lab, "", status: 200, body: "call 1")
            try waitForLog(lab, "Init Duration: ")
        }
        try lab.step("warm: the same instance answers") { try expect(lab, "", status: 200, body: "call 2") }
        try lab.step("frozen: it has no time between its calls, and goes on with the next") { try freeze(lab) }
        try lab.step("too late: its caller is told, and the next call meets another instance") {
            try expect(lab, "?mode=sleep", status: 504, body: "")
            try expect(lab, "", status: 200, body: "call 1")
        }
        try lab.step("crashing: the same") {
            try expect(lab, "?mode=crash", status: 502, body: "")
            try expect(lab, "", status: 200, body: "call 1")
        }
        try lab.step("50 at once: eight instances answer all of them") {
            try lab.apply(document(concurrency: 8, timeout: "5m"))
            try lab.waitForWorkload("count", to: "run with eight", within: 120) {
                $0.phase == "running" && $0.reason.isEmpty && $0.revision != first
            }
            let statuses = try lab.callAtOnce("/count", count: 50, seconds: Int(300 * lab.patience))
            try lab.expect(statuses == [200: 50], "all 50 were answered, and not: \(statuses)")
        }
        try lab.step("its counts, and the end") {
            try lab.waitForWorkload("count", to: "report its calls", within: 60) { seen in
                guard let calls = seen.calls else { return false }
                return calls.calls >= 50 && calls.coldStarts >= 1
            }
            try lab.apus("workload", "delete", "count", "--yes")
            _ = try lab.wait(for: "its path to be gone", within: 120) {
                try lab.call("/count", seconds: 10).status != 200 ? true : nil
            }
        }
    }

    /// One call, with what must come of it.
    private static func expect(_ lab: Rehearsal, _ query: String, status: Int, body: String) throws {
        let answer = try lab.call("/count" + query, seconds: Int(120 * lab.patience))
        try lab.expect(
            answer.status == status && answer.body.contains(body),
            "a call of '/count\(query)' gives \(status) '\(body)', and not \(answer.status) '\(answer.body.prefix(200))'"
        )
    }

    /// The handler counts tenths of seconds while it may run: in five seconds of rest it must not come far.
    private static func freeze(_ lab: Rehearsal) throws {
        func ticks() throws -> Int {
            let answer = try lab.call("/count?mode=ticks", seconds: Int(60 * lab.patience))
            guard let count = Int(answer.body.filter(\.isNumber)) else {
                throw LabError("the function did not tell its ticks: \(answer.status) '\(answer.body.prefix(200))'")
            }
            return count
        }
        _ = try ticks()
        let before = try ticks()
        let end = LabClock.seconds + 8
        _ = try lab.wait(for: "the function to rest", within: 60) { LabClock.seconds > end ? true : nil }
        let after = try ticks()
        try lab.expect(after > before, "it goes on with the next call: \(before) and \(after)")
        // A second and a half for both calls and what it takes to freeze and to thaw.
        try lab.expect(after - before < 40, "it was frozen between its calls: \(after - before) ticks in 8 s")
    }

    private static func waitForLog(_ lab: Rehearsal, _ text: String) throws {
        _ = try lab.wait(for: "'\(text)' in its log", within: 60) {
            try lab.apus("workload", "logs", "count").contains(text) ? true : nil
        }
    }
}
