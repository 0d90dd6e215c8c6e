import Contract
import Workloads

/// The documents of the benchmark, and the agent's own order for one of them.
enum BenchDocuments {
    /// Where the lab's image is.
    static let image = "\(Registry.name)/bench:1"

    /// A container that sleeps, with every default of the posture; it is not started again when it ends.
    static func container(_ name: String, more: String = "") -> String {
        """
        name: \(name)
        image: \(image)
        command: ["\(BenchScript.program)", "start"]
        restart: "no"
        \(more)
        """
    }

    /// As many of them as are asked for, in one file.
    static func containers(_ names: [String]) -> String {
        names.map { container($0, more: "mem_limit: 16m") }.joined(separator: "\n---\n")
    }

    /// A function with one instance, which ends when it has been idle for that long.
    static func function(_ name: String, idle: String) -> String {
        """
        name: \(name)
        kind: function
        image: \(image)
        command: ["\(BenchScript.program)", "runtime"]
        function: {url: /\(name), concurrency: 1, idle: \(idle), timeout: 30s, init_timeout: 60s}
        """
    }

    /// The words by which the agent starts that revision of a container on its node: the same unit, settings and
    /// runtime, under a name that the agent does not take for its own.
    static func order(_ workload: Workload, revision: Digest256) throws -> [String] {
        guard let ids = IDRange(first: IDRangePlanner.firstRange) else { throw LabError("the lab has no ids") }
        var unit = try Sandbox.plan(
            SandboxInput(workload: workload, revision: revision, policy: NodePolicy(), ids: ids)
        ).unit
        let name = "apus-lab-start-\(BenchScript.round)"
        unit.name = name + ".service"
        // The container's name is the last word of both.
        unit.command[unit.command.count - 1] = name
        unit.cleanUp[unit.cleanUp.count - 1] = name
        return unit.systemdRun
    }
}

extension Registry {
    /// Makes the image of the benchmark's containers, which is one static program, and uploads it.
    func pushBenchImage(program: String) throws {
        guard Files.exists(program) else { throw LabError("'\(program)' is missing; run 'make bench-program' first") }
        let script = """
            set -e
            cd "$1"
            rm -rf bench && mkdir -p bench/bin bench/proc bench/sys bench/dev bench/etc bench/tmp
            cp "$2" bench/bin/apus-bench
            tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -C bench -cf bench.tar .
            """
        try ChildProcess.check(["sh", "-c", script, "bench", directory, program])
        try upload("bench", layers: [directory + "/bench.tar"])
    }
}
