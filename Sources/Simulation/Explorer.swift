import Contract

/// Cuts the power at every instant of a scenario, starts again, and cuts once more while the machine recovers.
///
/// Worlds that are equal lead to the same future, so that each is run once.
public final class Explorer {
    /// What is right at the end of every run.
    public typealias Goal = (_ machine: SimulatedMachine, _ end: SimulatedEnd) -> String?

    private static let start = "start"
    private let site: SimulatedSite
    private let makeStorage: (FaultyDisk) -> any SimulatedStorage
    private let isRight: Goal
    private let mostBoots: Int
    private let isBrief: Bool
    private var seen: [Int: Int] = [:]
    private var known: Set<String> = []
    /// Instants at which the power was cut, each with every fate of what was not yet durable.
    public private(set) var cutPoints = 0
    /// Different worlds that those cuts left, each run to its end.
    public private(set) var worlds = 0
    /// The most restarts that any run needed.
    public private(set) var longestBoots = 0
    /// Broken rules, with the history that led there; at most ten are kept.
    public private(set) var failures: [String] = []

    /// Prepares an exploration.
    ///
    /// - Parameters:
    ///   - site: What surrounds the machine.
    ///   - mostBoots: More restarts than this are a failure to converge.
    ///   - isBrief: Fewer combinations where many writes are not yet durable, as with the real adapters.
    ///   - makeStorage: The adapters.
    ///   - isRight: What is wrong with the end of a run, or nil.
    public init(
        site: SimulatedSite, mostBoots: Int = 20, isBrief: Bool = false,
        makeStorage: @escaping (FaultyDisk) -> any SimulatedStorage = { PlainStorage($0) },
        isRight: @escaping Goal
    ) {
        self.site = site
        self.mostBoots = mostBoots
        self.isBrief = isBrief
        self.makeStorage = makeStorage
        self.isRight = isRight
    }

    /// Runs from a world to its end, with up to `cuts` power cuts on the way. Returns the world at the end without any.
    @discardableResult
    public func explore(_ world: World, cuts: Int) -> World {
        var open: [(world: World, cuts: Int, path: String)] = [(world, cuts, Self.start)]
        var end: World?
        while let next = open.popLast() {
            let (last, found) = runOnce(next.world, cuts: next.cuts, path: next.path)
            if end == nil { end = last }
            open += found
        }
        return end ?? world
    }

    private func runOnce(_ world: World, cuts: Int, path: String) -> (World, [(World, Int, String)]) {
        let machine = SimulatedMachine(world, site: site, makeStorage: makeStorage)
        var found: [(World, Int, String)] = []
        var instants = 0
        machine.onInstant = { [unowned self] machine in
            instants += 1
            guard cuts > 0 else { return }
            for cut in machine.worldsAfterCut(isBrief: isBrief) {
                cutPoints += 1
                let digest = cut.digest
                guard seen[digest, default: 0] < cuts else { continue }
                seen[digest] = cuts
                found.append((cut, cuts - 1, "\(path) > cut at \(instants) in boot \(machine.boots)"))
            }
        }
        let broken = atRest(world)
        // The world that the exploration starts from may be damaged on purpose, and stays so until it is mended.
        if path == Self.start, !broken.isEmpty {
            known = Set(broken + SlotName.allCases.map(Invariants.notWhatWasCommitted))
        }
        let end = machine.run(limit: mostBoots)
        machine.onInstant = nil
        worlds += 1
        longestBoots = max(longestBoots, machine.boots)
        var wrong = (broken + machine.violations).filter { !known.contains($0) }
        if let sentence = isRight(machine, end) { wrong.append(sentence) }
        if !wrong.isEmpty, failures.count < 10 {
            failures.append(([path] + wrong + machine.history.suffix(40)).joined(separator: "\n    "))
        }
        return (machine.world, found)
    }

    /// What a cut left must keep the rules before anything runs.
    private func atRest(_ world: World) -> [String] {
        Invariants.broken(SimulatedMachine(world, site: site, makeStorage: makeStorage))
    }
}
