/// Stops workloads before the machine restarts: those that depend on others first, all within a deadline.
public struct ShutdownMachine: Sendable, Equatable {
    /// What is to be done now.
    public enum Action: Sendable, Hashable {
        /// Stop these units with that much time before the kill.
        case stop(WorkloadName, graceMilliseconds: Int64)
        /// Kill what is left of these at once.
        case kill(WorkloadName)
        /// Everything has ended.
        case finished
        /// The deadline has passed with these still there; the machine restarts anyway.
        case abandoned([WorkloadName])
    }

    /// The last part of the time, in which what is left is killed, in milliseconds.
    public static let killMilliseconds: Int64 = 10_000

    private var waves: [[WorkloadName]]
    private let grace: [WorkloadName: Int64]
    private let deadlineMilliseconds: Int64
    private var told: Set<WorkloadName> = []
    private var killed: Set<WorkloadName> = []

    /// Begins.
    ///
    /// - Parameters:
    ///   - running: what runs. A circle of dependencies, which validation refuses, stops in one go.
    ///   - deadlineMilliseconds: when the machine restarts whatever happens, on the clock that `next` is given.
    public init(_ running: [Workload], deadlineMilliseconds: Int64) {
        let edges = Dictionary(running.map { ($0.name, $0.revision.dependencies) }) { first, _ in first }
        waves = ((try? DependencyOrder.waves(edges)) ?? [edges.keys.sorted()]).reversed()
        grace = Dictionary(running.map { ($0.name, $0.revision.stopGraceMilliseconds) }) { first, _ in first }
        self.deadlineMilliseconds = deadlineMilliseconds
    }

    /// Says what to do, given what is still there. Each unit is told to stop once, and killed once.
    public mutating func next(_ now: Int64, remaining: Set<WorkloadName>) -> [Action] {
        let left = remaining.intersection(grace.keys)
        while let wave = waves.first, left.isDisjoint(with: wave) { waves.removeFirst() }
        guard let wave = waves.first else { return [.finished] }
        if now >= deadlineMilliseconds { return [.abandoned(left.sorted())] }
        if now >= deadlineMilliseconds - Self.killMilliseconds {
            let fresh = left.subtracting(killed).sorted()
            killed.formUnion(fresh)
            return fresh.map { .kill($0) }
        }
        let fresh = wave.filter { left.contains($0) && !told.contains($0) }
        told.formUnion(fresh)
        let most = deadlineMilliseconds - Self.killMilliseconds - now
        return fresh.map { .stop($0, graceMilliseconds: min(grace[$0] ?? 10_000, most)) }
    }
}
