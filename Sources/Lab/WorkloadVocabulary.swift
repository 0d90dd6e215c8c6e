import Contract
import Workloads

// The words for workloads: what is asked goes through the operator's own program.
extension Rehearsal {
    /// Runs the operator's program against this scenario's server; its output.
    @discardableResult
    func apus(_ words: String...) throws -> String { try ChildProcess.check([directory + "/apus"] + words) }

    /// Applies one workload's document.
    func apply(_ document: String) throws {
        let path = directory + "/workload.yaml"
        try Files.write(document + "\n", to: path)
        try apus("workload", "apply", "-f", path)
    }

    /// What the node said last of a workload.
    struct WorkloadSeen: Decodable {
        var phase: String?
        var reason: String
        var revision: String?
        var calls: FunctionCounts?
    }

    /// What the node said last of a workload; nil before it has said anything.
    func workload(_ name: String) throws -> WorkloadSeen? {
        struct Detail: Decodable {
            struct View: Decodable { var nodes: [WorkloadSeen] }
            var workload: View
        }
        let text = try apus("workload", "show", name, "--json")
        let seen = try Wire.decode(Detail.self, from: Array(text.utf8)).workload.nodes.first
        return seen?.phase == nil ? nil : seen
    }

    /// Waits until the node says of a workload what is wanted.
    @discardableResult
    func waitForWorkload(
        _ name: String, to what: String, within seconds: Double, where matches: (WorkloadSeen) -> Bool
    ) throws -> WorkloadSeen {
        try wait(for: "workload '\(name)' to \(what)", within: seconds) { () -> WorkloadSeen? in
            guard let seen = try workload(name) else { return nil }
            return matches(seen) ? seen : nil
        }
    }

    /// Waits until a workload runs, with nothing to complain of.
    @discardableResult
    func waitUntilRunning(_ name: String, within seconds: Double) throws -> WorkloadSeen {
        try waitForWorkload(name, to: "run", within: seconds) { seen in
            guard seen.phase != "failed" else { return false }
            return seen.phase == "running" && seen.reason.isEmpty
        }
    }

    /// Waits until a published port of the node answers with a page that contains `text`.
    func waitForPage(_ text: String, within seconds: Double) throws {
        _ = try wait(for: "the page", within: seconds) { try page()?.contains(text) == true ? true : nil }
    }

    /// What the node's published port 18080 answers; nil for nothing.
    func page() throws -> String? {
        for place in try doors(18080) {
            let reply = try ChildProcess.run(["curl", "-fsS", "-m", "5", "http://\(place)/"])
            if reply.exitCode == 0 { return reply.output }
        }
        return nil
    }

    /// What a call of a function by its URL gives: the status, 0 where there was no answer at all, and the body.
    func call(_ path: String, seconds: Int) throws -> (status: Int, body: String) {
        for place in try doors(9900) {
            let reply = try ChildProcess.run([
                "curl", "-sS", "-m", "\(seconds)", "-w", "\n%{http_code}", "http://\(place)\(path)",
            ])
            guard reply.exitCode == 0 else { continue }
            var lines = reply.output.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
            let status = lines.popLast().flatMap { Int($0) } ?? 0
            return (status, lines.joined(separator: "\n"))
        }
        return (0, "")
    }

    /// How many of so many calls at once had which status.
    func callAtOnce(_ path: String, count: Int, seconds: Int) throws -> [Int: Int] {
        guard let place = try doors(9900).last else { return [:] }
        let reply = try ChildProcess.run([
            "curl", "-sS", "-Z", "--parallel-immediate", "--parallel-max", "\(count)", "-m", "\(seconds)", "-o",
            "/dev/null", "-w", "status %{http_code}\n", "http://\(place)\(path)?n=[1-\(count)]",
        ])
        let codes = reply.output.split(separator: "\n").compactMap { line in
            line.hasPrefix("status ") ? Int(line.dropFirst(7)) : nil
        }
        return Dictionary(codes.map { ($0, 1) }, uniquingKeysWith: +)
    }

    /// Where a port of the node may be found, as `host:port`.
    private func doors(_ port: Int) throws -> [String] {
        guard network.kind == .namespace else { return ["127.0.0.1:\(Network.userPort(of: port))"] }
        let table = try ChildProcess.run(["ip", "-4", "neigh", "show", "dev", "labbr"]).output
        return table.split(separator: "\n").compactMap { line in
            line.contains("lladdr") ? line.split(separator: " ").first.map { "\($0):\(port)" } : nil
        }
    }
}
