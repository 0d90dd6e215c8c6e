import Contract
import FoundationEssentials
import Operator

/// Workloads on a node: played by the operator's own program.
enum RunningWorkloads {
    static let scenarios = [
        Scenario(
            "workload-container", "a container is pulled, runs, is reached, restarted, kept without a server, deleted",
            needsInstalledNode: true
        ) { try container($0) }
    ]

    private static let document = """
        name: web
        image: \(Registry.image)
        command: ["/bin/sh", "-c", "echo the page is served; exec /bin/httpd -f -p 8080 -h /www"]
        ports: ["18080:8080"]
        mem_limit: 64m
        secrets: [greeting]
        healthcheck:
          http: {port: 8080, path: /}
          interval: 2s
          start_interval: 1s
        """

    private static func container(_ lab: Rehearsal) throws {
        let registry = Registry(directory: lab.directory + "/registry", paths: lab.paths, network: lab.network.kind)
        defer { registry.stop() }
        try lab.installedMachine()
        try lab.step("a registry with an image") {
            try registry.start()
            try registry.push()
            try apus(lab, "registry", "set", Registry.name, "--mirror", Registry.mirror)
            try Files.write("good morning", to: lab.directory + "/greeting")
            try apus(lab, "secret", "set", "greeting", "--from-file", lab.directory + "/greeting")
        }
        try lab.step("apply: pulled, started, healthy") {
            try Files.write(document + "\n", to: lab.directory + "/web.yaml")
            try apus(lab, "workload", "apply", "-f", lab.directory + "/web.yaml")
            try waitUntilRunning(lab, within: 300)
            let text = try apus(lab, "workload", "show", "web", "--json")
            try lab.expect(!text.contains("good morning"), "the secret is nowhere shown")
        }
        try lab.step("its published port is reached") { try waitForPage(lab, within: 60) }
        try lab.step("its log, and a command inside it") {
            let log = try apus(lab, "workload", "logs", "web")
            try lab.expect(log.contains("the page is served"), "the log holds what the workload wrote")
            let secret = try apus(lab, "workload", "exec", "web", "--", "/bin/cat", "/run/secrets/greeting")
            try lab.expect(secret == "good morning", "the workload reads its secret")
            let user = try apus(lab, "workload", "exec", "web", "--", "/bin/cat", "/proc/self/uid_map")
            try lab.expect(
                user.split(separator: " ").count == 3 && !user.split(separator: " ")[1].elementsEqual("0"),
                "it is root of its own user namespace only")
            let profile = try apus(lab, "workload", "exec", "web", "--", "/bin/cat", "/proc/self/attr/current")
            try lab.expect(profile.contains("apus-workload (enforce)"), "AppArmor confines it, and not \(profile)")
        }
        try lab.step("restart") {
            try apus(lab, "workload", "restart", "web")
            _ = try lab.wait(for: "the workload to begin once more", within: 120) {
                let log = try apus(lab, "workload", "logs", "web")
                return log.split(separator: "\n").filter { $0.contains("the page is served") }.count == 2 ? true : nil
            }
            try waitUntilRunning(lab, within: 120)
            try waitForPage(lab, within: 120)
        }
        try lab.step("the agent stays small") {
            let status = try lab.waitForStatus("a status with memory", within: 60) { $0.memory != nil }
            let bytes = status.memory?.agentBytes ?? 0
            try lab.expect(bytes < 30 << 20, "the agent takes \(bytes >> 20) MiB, and 30 at most are allowed")
        }
        try lab.step("without server and registry it runs again after a restart") {
            try apus(lab, "node", "reboot", "\(try lab.node().id)")
            let resets = lab.machine.resets
            try lab.waitForReset(moreThan: resets, within: 180)
            registry.stop()
            lab.stopServer()
            try waitForPage(lab, within: 300)
            try lab.startServer()
            try waitUntilRunning(lab, within: 120)
        }
        try lab.step("delete: the port is closed, and nothing is left") {
            try apus(lab, "workload", "delete", "web", "--yes")
            _ = try lab.wait(for: "the published port to be closed", within: 120) {
                try page(lab) == nil ? true : nil
            }
        }
    }

    /// The operator's program against this scenario's server; its output.
    @discardableResult
    private static func apus(_ lab: Rehearsal, _ words: String...) throws -> String {
        try ChildProcess.check([lab.directory + "/apus"] + words)
    }

    private static func waitUntilRunning(_ lab: Rehearsal, within seconds: Double) throws {
        struct Detail: Decodable {
            struct Node: Decodable {
                var phase: String?
                var reason: String
            }
            struct View: Decodable { var nodes: [Node] }
            var workload: View
        }
        _ = try lab.wait(for: "the workload to run", within: seconds) { () -> Bool? in
            let text = try apus(lab, "workload", "show", "web", "--json")
            let detail = try Wire.decode(Detail.self, from: Array(text.utf8))
            guard let node = detail.workload.nodes.first else { return nil }
            guard node.phase != "failed" else { throw LabError("the workload failed: \(node.reason)") }
            return node.phase == "running" ? true : nil
        }
    }

    private static func waitForPage(_ lab: Rehearsal, within seconds: Double) throws {
        // QEMU's user network lets nothing in.
        guard lab.network.kind == .namespace else { return }
        _ = try lab.wait(for: "the page", within: seconds) {
            try page(lab)?.contains("served by a workload") == true ? true : nil
        }
    }

    /// What the node's published port answers; nil for nothing.
    private static func page(_ lab: Rehearsal) throws -> String? {
        guard lab.network.kind == .namespace else { return nil }
        let table = try ChildProcess.run(["ip", "-4", "neigh", "show", "dev", "labbr"]).output
        for line in table.split(separator: "\n") {
            guard let address = line.split(separator: " ").first, line.contains("lladdr") else { continue }
            let reply = try ChildProcess.run(["curl", "-fsS", "-m", "5", "http://\(address):18080/"])
            if reply.exitCode == 0 { return reply.output }
        }
        return nil
    }
}
