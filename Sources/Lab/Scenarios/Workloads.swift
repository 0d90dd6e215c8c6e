import Contract

/// Workloads on a node: played by the operator's own program.
enum RunningWorkloads {
    static let scenarios = [
        Scenario(
            "workload-container", "a container is pulled, runs, is reached, restarted, kept without a server, deleted",
            needsInstalledNode: true
        ) { try container($0) },
        Scenario(
            "workload-rollback", "a revision that never becomes healthy gives way to the one before",
            needsInstalledNode: true
        ) { try rollBack($0) },
        Scenario(
            "workload-upgrade", "workloads run again after an upgrade, and after one that is rolled back",
            needsInstalledNode: true, releases: [.second, .unhealthy]
        ) { try upgrade($0) },
    ]

    /// What everybody may fetch.
    private static let text = "served by a workload"

    /// A server of one page.
    ///
    /// - Parameters:
    ///   - says: what it writes as it starts.
    ///   - path: what its health check asks for.
    ///   - more: further fields.
    private static func document(says: String = "the page is served", path: String = "/", more: String = "") -> String {
        """
        name: web
        image: \(Registry.image)
        command: ["/bin/sh", "-c", "echo \(says); exec /bin/httpd -f -p 8080 -h /www"]
        ports: ["18080:8080"]
        mem_limit: 64m
        healthcheck:
          http: {port: 8080, path: \(path)}
          interval: 2s
          start_interval: 1s
          start_period: 2s
          retries: 2
        \(more)
        """
    }

    static func registry(_ lab: Rehearsal) -> Registry {
        Registry(directory: lab.directory + "/registry", paths: lab.paths, network: lab.network.kind)
    }

    /// A registry with the image, and a server that knows it.
    private static func serve(_ lab: Rehearsal, _ registry: Registry) throws {
        try registry.start()
        try registry.push()
        try lab.apus("registry", "set", Registry.name, "--mirror", Registry.mirror)
    }

    private static func container(_ lab: Rehearsal) throws {
        let registry = registry(lab)
        defer { registry.stop() }
        try lab.installedMachine()
        try lab.step("a registry with an image, and a secret") {
            try serve(lab, registry)
            try Files.write("good morning", to: lab.directory + "/greeting")
            try lab.apus("secret", "set", "greeting", "--from-file", lab.directory + "/greeting")
        }
        try lab.step("apply: pulled, started, healthy") {
            try lab.apply(document(more: "secrets: [greeting]"))
            try lab.waitUntilRunning("web", within: 300)
            let shown = try lab.apus("workload", "show", "web", "--json")
            try lab.expect(!shown.contains("good morning"), "the secret is nowhere shown")
        }
        try lab.step("its published port is reached") { try lab.waitForPage(text, within: 60) }
        try lab.step("its log, and commands inside it") { try lookInside(lab) }
        try lab.step("restart") {
            try lab.apus("workload", "restart", "web")
            _ = try lab.wait(for: "the workload to begin once more", within: 120) {
                let log = try lab.apus("workload", "logs", "web")
                return log.split(separator: "\n").filter { $0.contains("the page is served") }.count == 2 ? true : nil
            }
            try lab.waitUntilRunning("web", within: 120)
            try lab.waitForPage(text, within: 120)
        }
        try lab.step("the agent stays small") {
            let status = try lab.waitForStatus("a status with memory", within: 60) { $0.memory != nil }
            let bytes = status.memory?.agentBytes ?? 0
            try lab.expect(bytes < 30_000_000, "the agent has \(bytes / 1_000_000) MB resident, and 30 are allowed")
        }
        try lab.step("without server and registry it runs again after a restart") {
            let resets = lab.machine.resets
            try lab.apus("node", "reboot", "\(try lab.node().id)")
            try lab.waitForReset(moreThan: resets, within: 180)
            registry.stop()
            lab.stopServer()
            try lab.waitForPage(text, within: 300)
            try lab.startServer()
            try lab.waitUntilRunning("web", within: 120)
        }
        try lab.step("delete: the port is closed, and nothing is left") {
            try lab.apus("workload", "delete", "web", "--yes")
            _ = try lab.wait(for: "the published port to be closed", within: 120) {
                try lab.page() == nil ? true : nil
            }
        }
    }

    private static func lookInside(_ lab: Rehearsal) throws {
        let log = try lab.apus("workload", "logs", "web")
        try lab.expect(log.contains("the page is served"), "the log holds what the workload wrote")
        func cat(_ path: String) throws -> String { try lab.apus("workload", "exec", "web", "--", "/bin/cat", path) }
        try lab.expect(try cat("/run/secrets/greeting") == "good morning", "the workload reads its secret")
        let map = try cat("/proc/self/uid_map").split(whereSeparator: \.isWhitespace)
        try lab.expect(
            map.count == 3 && map[0] == "0" && map[1] != "0" && map[2] == "65536",
            "it is root of its own user namespace only")
        let profile = try cat("/proc/self/attr/current")
        try lab.expect(profile.contains("apus-workload (enforce)"), "AppArmor confines it, and not '\(profile)'")
    }

    private static func rollBack(_ lab: Rehearsal) throws {
        let registry = registry(lab)
        defer { registry.stop() }
        try lab.installedMachine()
        let good = try lab.step("a healthy revision runs") {
            try serve(lab, registry)
            try lab.apply(document())
            let seen = try lab.waitUntilRunning("web", within: 300)
            try lab.waitForPage(text, within: 60)
            return seen.revision
        }
        try lab.step("a revision that never becomes healthy: the one before goes on, with the reason at the server") {
            try lab.apply(document(says: "second", path: "/nothing-there"))
            let seen = try lab.waitForWorkload("web", to: "go on with the earlier revision", within: 300) {
                $0.phase == "running" && $0.reason.contains("failed")
            }
            try lab.expect(seen.revision == good, "the revision that runs is the healthy one")
            try lab.expect(try lab.page()?.contains(text) != false, "the page was never away for long")
            try lab.waitForPage(text, within: 30)
        }
        try lab.step("a command that does not exist: the same") {
            try lab.apply(document(more: "entrypoint: [\"/bin/no-such-program\"]"))
            let seen = try lab.waitForWorkload("web", to: "go on with the earlier revision", within: 300) {
                $0.phase == "running" && $0.reason.contains("failed")
            }
            try lab.expect(seen.revision == good, "the revision that runs is the healthy one")
            try lab.waitForPage(text, within: 30)
        }
        try lab.step("an operator goes back: nothing is left to complain of, and nothing was restarted") {
            try lab.apus("workload", "rollback", "web", "--to", good ?? "")
            let seen = try lab.waitUntilRunning("web", within: 120)
            try lab.expect(seen.revision == good, "the healthy revision is the one that is wanted")
            let log = try lab.apus("workload", "logs", "web")
            let starts = log.split(separator: "\n").filter { $0.contains("the page is served") }.count
            try lab.expect(starts == 1, "the healthy revision ran all the time and started once, not \(starts) times")
        }
    }

    private static func upgrade(_ lab: Rehearsal) throws {
        let registry = registry(lab)
        defer { registry.stop() }
        try lab.installedMachine()
        try lab.step("a workload runs") {
            try serve(lab, registry)
            try lab.apply(document())
            try lab.waitUntilRunning("web", within: 300)
            // From now on the disk has to do.
            registry.stop()
        }
        try lab.step("an upgrade commits only once the workload runs again") {
            let release = try lab.upgrade(to: .second)
            _ = try lab.waitForOutcome(.committed, of: release, within: 900)
            try lab.waitForStatus("slot B committed", within: 60) { $0.committedSlot == .b && $0.phase == .steady }
            try lab.waitUntilRunning("web", within: 60)
            try lab.waitForPage(text, within: 60)
        }
        try lab.step("a release that is rolled back leaves the workload running on the old one") {
            let rule = ProbationRule(holdSeconds: 10, deadlineSeconds: Int(120 * lab.patience), attempts: 1)
            let release = try lab.upgrade(to: .unhealthy, probation: rule)
            _ = try lab.waitForOutcome(.rolledBack, of: release, within: 1200)
            try lab.waitForStatus("slot B, committed", within: 300) { $0.runningSlot == .b && $0.phase == .steady }
            try lab.waitUntilRunning("web", within: 180)
            try lab.waitForPage(text, within: 60)
        }
    }
}
