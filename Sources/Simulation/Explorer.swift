import Contract

/// Cuts the power at every instant of a scenario, starts again, and cuts once more while the machine recovers.
///
/// Worlds of one key (`WorldKeys`) have the same future, so that each is run once, and a run ends at a restart from
/// which an earlier one went on.
public final class Explorer {
    /// What is right at the end of every run.
    public typealias Goal = (_ machine: SimulatedMachine, _ end: SimulatedEnd) -> String?

    /// How thoroughly a scenario is cut.
    public struct Thoroughness: Sendable {
        /// The fates of unsynced writes at the first cut, which is made at every instant.
        public var first: FaultyDisk.Detail
        /// The same at the cut during recovery.
        public var second: FaultyDisk.Detail
        /// One in so many instants of each recovery is cut, beginning with another one in each world, so that all of them
        /// have their turn: 1 cuts at every instant.
        public var stride: Int

        /// Sets all three.
        public init(first: FaultyDisk.Detail, second: FaultyDisk.Detail, stride: Int) {
            self.first = first
            self.second = second
            self.stride = stride
        }

        /// Every instant, with every fate.
        public static let full = Thoroughness(first: .each, second: .each, stride: 1)
    }

    private struct Open {
        var world: World
        var key: Int
        var cuts: Int
        var path: String
    }

    private static let start = "start"
    private let site: SimulatedSite
    private let file: DiskFile?
    private let makeStorage: (FaultyDisk) -> any SimulatedStorage
    private let isRight: Goal
    private let mostBoots: Int
    private let thoroughness: Thoroughness
    private var cuts = 0
    private var keys: WorldKeys
    /// The cuts that a world was, or will be, explored with.
    private var planned: [Int: Int] = [:]
    /// The same for worlds that were run, with the restarts that were left from there.
    private var done: [Int: (cuts: Int, boots: Int)] = [:]
    private var known: Set<String> = []
    /// Instants at which the power was cut, each with every fate of what was not yet durable.
    public private(set) var cutPoints = 0
    /// Different worlds that those cuts left, each run until it ended or went on as an earlier one.
    public private(set) var worlds = 0
    /// The most restarts that any run needed.
    public private(set) var longestBoots = 0
    /// Whether the first broken rule ends the exploration.
    public var stopsAtFailure = false
    /// Broken rules, with the history that led there; at most ten are kept.
    public private(set) var failures: [String] = []

    /// Prepares an exploration.
    ///
    /// - Parameters:
    ///   - site: What surrounds the machine.
    ///   - mostBoots: More restarts than this are a failure to converge.
    ///   - thoroughness: Which fates of unsynced writes are looked at.
    ///   - file: A file for the disk to lie in; nil for memory.
    ///   - makeStorage: The adapters.
    ///   - isRight: What is wrong with the end of a run, or nil.
    public init(
        site: SimulatedSite, mostBoots: Int = 20,
        thoroughness: Thoroughness = .full, file: DiskFile? = nil,
        makeStorage: @escaping (FaultyDisk) -> any SimulatedStorage = { PlainStorage($0) },
        isRight: @escaping Goal
    ) {
        self.site = site
        self.mostBoots = mostBoots
        self.thoroughness = thoroughness
        self.file = file
        self.makeStorage = makeStorage
        self.isRight = isRight
        keys = WorldKeys(recordOffset: site.recordOffset)
    }

    /// Runs from a world to its end, with up to `cuts` power cuts on the way. Returns the world at the end without any.
    @discardableResult
    public func explore(_ world: World, cuts: Int) -> World {
        self.cuts = cuts
        var open = [Open(world: world, key: keys.key(world), cuts: cuts, path: Self.start)]
        var end: World?
        while let next = open.popLast() {
            if let before = done[next.key], before.cuts >= next.cuts { continue }
            let (last, found) = run(next)
            if end == nil { end = last }
            if stopsAtFailure, !failures.isEmpty { break }
            open += found
        }
        return end ?? world
    }

    /// What was explored, and what was left out, in a line.
    public var summary: String {
        func writes(_ detail: FaultyDisk.Detail) -> String {
            detail == .each ? "each unsynced write" : "the newest unsynced write"
        }
        let often = thoroughness.stride == 1 ? "every instant" : "one in \(thoroughness.stride) instants"
        let second = cuts < 2 ? "; one cut only" : ", then again with \(writes(thoroughness.second)) at \(often)"
        return "\(cutPoints) cut points, \(worlds) different worlds, at most \(longestBoots) restarts; cut with "
            + "\(writes(thoroughness.first)) applied, lost or torn at every instant\(second)"
    }

    private func run(_ next: Open) -> (World, [Open]) {
        let broken = atRest(next.world)
        // The world that the exploration starts from may be damaged on purpose, and stays so until it is mended.
        if next.path == Self.start, !broken.isEmpty {
            known = Set(broken + SlotName.allCases.map(Invariants.notWhatWasCommitted))
        }
        let machine = SimulatedMachine(next.world, site: site, file: file, makeStorage: makeStorage)
        var found: [Open] = []
        var instants = 0
        machine.onInstant = { [unowned self] machine in
            instants += 1
            found += cut(machine, next, instant: instants)
        }
        var passed: [(key: Int, boots: Int)] = [(next.key, 0)]
        var boots = 0
        var wrong: [String] = []
        machine.onRestart = { [unowned self] machine in
            let key = keys.key(machine.world)
            if let before = done[key], before.cuts >= next.cuts {
                boots = before.boots
                return false
            }
            if let same = passed.first(where: { $0.key == key }) {
                wrong.append("after boot \(machine.boots) the world is as it was after boot \(same.boots)")
                return false
            }
            passed.append((key, machine.boots))
            return true
        }
        let end = machine.run(limit: mostBoots)
        machine.onInstant = nil
        machine.onRestart = nil
        worlds += 1
        boots += machine.boots
        longestBoots = max(longestBoots, boots)
        for place in passed { done[place.key] = (next.cuts, boots - place.boots) }
        if boots > mostBoots { wrong.append("it restarted \(boots) times") }
        wrong += (broken + machine.violations).filter { !known.contains($0) }
        if end != .stopped, let sentence = isRight(machine, end) { wrong.append(sentence) }
        if !wrong.isEmpty, failures.count < 10 {
            failures.append(([next.path] + wrong + machine.history.suffix(40)).joined(separator: "\n    "))
        }
        return (machine.world, found)
    }

    /// The new worlds that a cut at this instant may leave.
    private func cut(_ machine: SimulatedMachine, _ run: Open, instant: Int) -> [Open] {
        guard run.cuts > 0 else { return [] }
        let isFirst = run.path == Self.start
        guard isFirst || (worlds + instant).isMultiple(of: thoroughness.stride) else { return [] }
        let detail = isFirst ? thoroughness.first : thoroughness.second
        return machine.worldsAfterCut(detail).compactMap { world in
            cutPoints += 1
            let key = keys.key(world)
            guard planned[key, default: -1] < run.cuts - 1 else { return nil }
            planned[key] = run.cuts - 1
            return Open(
                world: world, key: key, cuts: run.cuts - 1,
                path: "\(run.path) > cut at \(instant) in boot \(machine.boots)")
        }
    }

    /// What a cut left must keep the rules before anything runs.
    private func atRest(_ world: World) -> [String] {
        Invariants.broken(SimulatedMachine(world, site: site, file: file, makeStorage: makeStorage))
    }
}
