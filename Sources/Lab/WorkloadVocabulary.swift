import Contract

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
        // QEMU's user network lets nothing in.
        guard network.kind == .namespace else { return }
        _ = try wait(for: "the page", within: seconds) { try page()?.contains(text) == true ? true : nil }
    }

    /// What the node's published port 18080 answers; nil for nothing.
    func page() throws -> String? {
        guard network.kind == .namespace else { return nil }
        let table = try ChildProcess.run(["ip", "-4", "neigh", "show", "dev", "labbr"]).output
        for line in table.split(separator: "\n") {
            guard let address = line.split(separator: " ").first, line.contains("lladdr") else { continue }
            let reply = try ChildProcess.run(["curl", "-fsS", "-m", "5", "http://\(address):18080/"])
            if reply.exitCode == 0 { return reply.output }
        }
        return nil
    }
}
