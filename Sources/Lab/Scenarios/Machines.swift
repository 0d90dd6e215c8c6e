import Contract

/// Virtual machines on a node whose site added QEMU to its release.
enum RunningMachines {
    static let scenarios = [
        Scenario(
            "workload-vm", "a virtual machine starts, has its address, console and limits, and ends by its button",
            needsInstalledNode: true, releases: [.withQEMU]
        ) { try play($0) }
    ]

    private static let document = """
        name: guest
        kind: vm
        image: \(Registry.guestImage)
        mem_limit: 160m
        cpus: 1
        ports: ["18080:8080"]
        stop_grace_period: 90s
        vm: {firmware: kernel, cmdline: "console=ttyS0 quiet panic=-1"}
        healthcheck:
          http: {port: 8080, path: /}
          interval: 5s
          timeout: 10s
          start_interval: 2s
          start_period: 10m
        """

    private static func play(_ lab: Rehearsal) throws {
        let registry = RunningWorkloads.registry(lab)
        defer { registry.stop() }
        try lab.installedMachine()
        try lab.step("a registry with a guest's kernel and initramfs") {
            try registry.start()
            try registry.pushGuest()
            try lab.apus("registry", "set", Registry.name, "--mirror", Registry.mirror)
        }
        try lab.step("without QEMU in the release the state says what is missing") {
            try lab.apply(document)
            let seen = try lab.waitForWorkload("guest", to: "fail", within: 300) { $0.phase == "failed" }
            try lab.expect(seen.reason.contains("qemu-system-x86"), "the reason names the package: '\(seen.reason)'")
        }
        try lab.step("the node runs a release with QEMU") {
            let release = try lab.upgrade(to: .withQEMU)
            _ = try lab.waitForOutcome(.committed, of: release, within: 900)
            try lab.waitForStatus("slot B committed", within: 60) { $0.committedSlot == .b && $0.phase == .steady }
        }
        try lab.step("it starts, has its address, and its published port is reached") {
            try lab.apus("workload", "restart", "guest")
            let seen = try lab.waitForWorkload("guest", to: "run", within: 600) { $0.phase == "running" }
            try lab.expect(
                seen.reason.contains("with tcg") || seen.reason.contains("with kvm"),
                "the state says how it runs: '\(seen.reason)'")
            try lab.waitForPage("served by a guest", within: 60)
        }
        try lab.step("its limits are what it sees") {
            let log = try lab.apus("workload", "logs", "guest")
            guard let line = log.split(separator: "\n").first(where: { $0.contains("the guest is up at ") }),
                let word = line.split(separator: " ").drop(while: { $0 != "with" }).dropFirst().first,
                let kibibytes = Int(word)
            else { throw LabError("the log holds what the guest wrote as it started: \(log.suffix(2000))") }
            try lab.expect((90_000...163_840).contains(kibibytes), "its memory is what it may have: \(kibibytes) KiB")
            try lab.expect(line.contains("1 processor"), "it has one processor: \(line)")
        }
        try lab.step("its console, there and back") { try talk(lab) }
        try lab.step("stop: its power button is pressed, and it ends by itself") {
            try lab.apus("workload", "stop", "guest")
            _ = try lab.waitForWorkload("guest", to: "be stopped", within: 300) { $0.phase == "stopped" }
            let log = try lab.apus("workload", "logs", "guest")
            try lab.expect(log.contains("the button was pressed"), "it was asked, not killed")
            try lab.expect(try lab.page() == nil, "its port is closed")
        }
    }

    /// Says something on the console, and waits until the guest gives it back.
    private static func talk(_ lab: Rehearsal) throws {
        let said = lab.directory + "/said"
        let log = lab.directory + "/console-of-guest"
        try Files.write("good morning\n", to: said)
        // What is said at once could come before the stream stands: the input stays open behind it.
        let line = #"{ cat "$2"; sleep 600; } | "$1" workload attach guest"#
        let console = try ChildProcess(
            .init(command: ["sh", "-c", line, "attach", lab.directory + "/apus", said], logPath: log))
        defer { console.stop() }
        _ = try lab.wait(for: "the guest's answer", within: 120) {
            (try? Files.read(log))?.contains("heard: good morning") == true ? true : nil
        }
    }
}
