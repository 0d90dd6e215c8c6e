/// From what was read to the figures: all that is judged, and all that it is compared with.
struct BenchFigures {
    /// What the machine said.
    let readings: BenchReadings
    /// How many containers run beside each other in the larger measurement.
    static let containers = 20

    /// What a slot holds: the root file system, its hash tree and the kernel image, in bytes.
    struct SlotContents {
        var rootBytes: UInt64
        var treeBytes: UInt64
        var kernelBytes: UInt64
    }
    let slot: SlotContents

    /// All figures, in the order of the table.
    var all: [BenchFigure] { memory + processesAndDisk + starts + calls }

    /// The names of those that could not be measured and must be.
    static func unknown(_ figures: [BenchFigure]) -> [String] {
        figures.filter { $0.verdict == .unknown }.map(\.name)
    }

    // MARK: Sizes

    private var memory: [BenchFigure] {
        let idle = megabytes("idle.used")
        let full = megabytes("full.used")
        let agent = megabytes("idle.rss")
        let each = full.flatMap { full in idle.map { (full - $0) / Double(Self.containers) } }
        let many = "\(Self.containers) containers"
        return [
            BenchFigure("memory in use, idle node", .megabytes, idle).within(.size(100, aim: 70))
                .noting("MemTotal - MemAvailable, with the shell that measures"),
            BenchFigure("agent resident, idle", .megabytes, agent).within(.size(25)).noting("VmRSS"),
            BenchFigure("agent resident, \(many)", .megabytes, megabytes("full.rss"))
                .against("idle", agent, .size(30)).noting("VmRSS"),
            BenchFigure("agent's own share, idle", .megabytes, megabytes("idle.pss")).noting("Pss"),
            BenchFigure("agent's own share, \(many)", .megabytes, megabytes("full.pss"))
                .against("idle", megabytes("idle.pss")).noting("Pss"),
            BenchFigure("memory for each of \(many)", .megabytes, each)
                .noting("the difference of memory in use, by their number: programs, runtimes, the kernel's part"),
        ]
    }

    private var processesAndDisk: [BenchFigure] {
        let idle = BenchSummary(readings.values("idle.processes"), atLeast: 3)?.median
        let full = BenchSummary(readings.values("full.processes"), atLeast: 3)?.median
        let partitions = ["root", "tree", "boot"].map { megabytes("partition.apus-\($0)-a", atLeast: 1) }
        let reserved = partitions.contains(nil) ? nil : partitions.compactMap { $0 }.reduce(0, +)
        let used = Double(slot.rootBytes + slot.treeBytes + slot.kernelBytes) / 1e6
        return [
            BenchFigure("processes, idle node", .count, idle).noting("without the kernel's threads"),
            BenchFigure("processes, \(Self.containers) containers", .count, full).against("idle", idle)
                .noting("each container is the runtime and its program"),
            BenchFigure("disk, one slot", .megabytes, used).against("its partitions", reserved)
                .noting(
                    "root file system \(BenchTable.text(Double(slot.rootBytes) / 1e6, .megabytes)), hash tree "
                        + "\(BenchTable.text(Double(slot.treeBytes) / 1e6, .megabytes)), kernel image "
                        + "\(BenchTable.text(Double(slot.kernelBytes) / 1e6, .megabytes))"),
        ]
    }

    // MARK: Times

    private static let plain = "crun run"

    private var starts: [BenchFigure] {
        let plain = start("plain")
        let same = start("same")
        let ours = start("unit")
        let limit = BenchFigure.Limit.ratio(1.5, aim: 1.2)
        var peer = BenchFigure("podman run", .milliseconds, start("podman")?.median)
            .against(Self.plain, plain?.median).noting(words("podman", start("podman")))
        peer.isOptional = readings.failures["podman"] == nil && readings.values("podman").isEmpty
        var compared = BenchFigure("start, full posture, by the peer", .milliseconds, ours?.median)
            .against("podman run", start("podman")?.median)
        compared.isOptional = peer.isOptional
        return [
            BenchFigure(Self.plain, .milliseconds, plain?.median)
                .noting("the configuration of 'crun spec': " + words("plain", plain)),
            BenchFigure("crun run, no control group", .milliseconds, start("ungrouped")?.median)
                .against(Self.plain, plain?.median).noting(words("ungrouped", start("ungrouped"))),
            BenchFigure("crun run, full posture", .milliseconds, same?.median)
                .against(Self.plain, plain?.median).noting(words("same", same)),
            BenchFigure("start, full posture", .milliseconds, ours?.median)
                .against(Self.plain, plain?.median, limit).noting(words("unit", ours) + parts),
            BenchFigure("start, full posture, same bundle", .milliseconds, ours?.median)
                .against("crun run, full posture", same?.median, limit),
            peer, compared,
        ]
    }

    /// Where the time of our start goes.
    private var parts: String {
        guard let before = start("unit.before"), let runtime = start("unit.runtime") else { return "" }
        return "; of which \(BenchTable.text(before.median, .milliseconds)) until systemd starts crun, and "
            + "\(BenchTable.text(runtime.median, .milliseconds)) from there"
    }

    private var calls: [BenchFigure] {
        let plain = start("plain")?.median
        let cold = call(readings.values("cold"))
        let thaw = call(readings.values("thaw"))
        let warm = call(readings.intervals("warm", leavingOut: 3))
        return [
            BenchFigure("function, cold call", .milliseconds, cold?.median).against(Self.plain, plain)
                .noting(words("cold", cold)),
            BenchFigure("function, call that thaws", .milliseconds, thaw?.median).against(Self.plain, plain)
                .noting(words("thaw", thaw)),
            BenchFigure("function, call that thaws, by cold", .milliseconds, thaw?.median)
                .against("cold call", cold?.median, .ratio(0.1)),
            BenchFigure("function, warm call", .milliseconds, warm?.median).against(Self.plain, plain)
                .noting("one of a row without a pause; " + words("warm", warm)),
        ]
    }

    // MARK: Reading

    /// From KiB.
    private func megabytes(_ name: String, atLeast minimum: Int = 3) -> Double? {
        BenchSummary(readings.values(name), atLeast: minimum).map { $0.median * 1024 / 1e6 }
    }

    /// From microseconds; the first round warms caches up.
    private func start(_ name: String) -> BenchSummary? {
        BenchSummary(readings.values(name, leavingOut: 1).map { $0 / 1000 }, atLeast: 5)
    }

    private func call(_ values: [Double]) -> BenchSummary? { BenchSummary(values.map { $0 / 1000 }, atLeast: 5) }

    /// How it was measured, or why not.
    private func words(_ name: String, _ summary: BenchSummary?) -> String {
        let failure = readings.failures[name].map { "failed: \($0)" }
        guard let summary else { return failure ?? "no measurements" }
        let low = BenchTable.decimal(summary.lowerQuartile, 1)
        let high = BenchTable.decimal(summary.upperQuartile, 1)
        let text = "median of \(summary.count), half of them within \(low) to \(high) ms"
        return failure.map { "\(text); some \($0)" } ?? text
    }
}
