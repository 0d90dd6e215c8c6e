/// The workloads that the battery plays with: what each may use is less than what the attacks reach for.
public enum AttackDocuments {
    /// Where the lab's image is.
    public static let image = "\(Registry.name)/attack:1"
    /// The program in it.
    public static let program = "/bin/apus-attack"

    /// Limits below what the program's rows reach for (`Sources/apus-attack`).
    private static let limits = """
        "mem_limit": "64m", "cpus": 0.5, "pids_limit": 128, "shm_size": "8m",
        "ulimits": {"nofile": {"soft": 256, "hard": 512}}, "blkio_config": {"write_bps": "16m", "read_bps": "16m"},
        "logging": {"options": {"max-size": "1m"}}
        """
    private static let places = """
        "volumes": [
            {"type": "volume", "source": "data", "target": "/data", "volume": {"size": "128m", "inodes": 1024}},
            {"type": "tmpfs", "target": "/scratch", "tmpfs": {"size": "8m"}}
        ]
        """

    /// What ends it ends it often, and it is there again for the next row.
    private static let restarts = """
        "deploy": {"restart_policy": {"condition": "any", "max_attempts": 0, "delay": "500ms", "max_delay": "1s"}}
        """

    /// The attacker: it sleeps, and plays rows as commands that are run in it.
    public static func attacker(
        _ name: String = "attacker", image: String = AttackDocuments.image, command: [String] = ["idle"],
        more: String = ""
    ) -> String {
        let words = ([program] + command).map { "\"\($0)\"" }.joined(separator: ", ")
        return """
            {"name": "\(name)", "image": "\(image)", "command": [\(words)], \(limits), \(places), \(restarts)\(more)}

            """
    }

    /// The attacker with a wire, on which one address and port of the lab's is allowed, where nothing listens.
    public static let wired = attacker(
        "wired", more: #", "egress": [{"to": "10.0.2.2/32", "ports": [9]}]"#)

    /// A row that is a workload of its own: what it says is its log.
    public static func alone(_ row: String, seconds: Int) -> String {
        attacker(row, command: ["row", "--seconds", "\(seconds)", row])
    }

    /// Rows that go on while the agent's health check enters the workload ten times a second.
    public static func entered(_ rows: [String], seconds: Int) -> String {
        attacker(
            "entered", command: ["row", "--seconds", "\(seconds)"] + rows,
            more: #", "healthcheck": {"test": ["CMD", "/bin/true"], "interval": "100ms", "start_interval": "100ms"}"#)
    }

    /// A neighbour that plays rows one after the other, again and again.
    public static func noisy(_ name: String, _ rows: [String]) -> String {
        attacker(name, command: ["row", "--seconds", "20"] + rows)
    }

    /// A workload whose working directory is a descriptor that a careless runtime would have left open.
    public static func workingDirectory(_ descriptor: Int) -> String {
        attacker(
            "working-directory", command: ["row", "working-directory"],
            more: #", "working_dir": "/proc/self/fd/\#(descriptor)""#)
    }

    /// The victim: every 10 ms it wakes, and every second it says how late it was. It serves nothing but is reachable.
    public static let victim = """
        {"name": "victim", "image": "\(image)", "command": ["\(program)", "victim", "100"], "mem_limit": "64m",
         "cpus": 0.5, "egress": [{"to": "10.0.2.2/32", "ports": [9]}],
         "logging": {"options": {"max-size": "4m"}}}

        """
}
