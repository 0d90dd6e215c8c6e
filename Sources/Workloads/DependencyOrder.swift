/// Workloads that wait for each other in a circle.
public struct DependencyCycle: Error, Sendable, Equatable, CustomStringConvertible {
    /// The circle: each depends on the next, the last on the first.
    public var members: [WorkloadName]

    /// The circle with arrows.
    public var description: String {
        "these workloads depend on each other in a circle: "
            + (members + members.prefix(1)).map(\.rawValue).joined(separator: " → ")
    }
}

/// The order in which workloads start; they stop in the reverse order.
public enum DependencyOrder {
    /// Returns every name after all that it depends on, by name among equals. Names that are not keys count as met.
    public static func sorted(
        _ dependencies: [WorkloadName: Set<WorkloadName>]
    ) throws(DependencyCycle) -> [WorkloadName] {
        try waves(dependencies).flatMap { $0 }
    }

    /// The same in groups: each group depends only on groups before it.
    public static func waves(
        _ dependencies: [WorkloadName: Set<WorkloadName>]
    ) throws(DependencyCycle) -> [[WorkloadName]] {
        var left = dependencies.mapValues { $0.filter { dependencies[$0] != nil } }
        var waves: [[WorkloadName]] = []
        while !left.isEmpty {
            let wave = left.filter { $0.value.isEmpty }.keys.sorted()
            guard !wave.isEmpty else { throw DependencyCycle(members: circle(in: left)) }
            for name in wave { left[name] = nil }
            for name in left.keys { left[name]?.subtract(wave) }
            waves.append(wave)
        }
        return waves
    }

    /// A circle among names each of which still depends on another one.
    private static func circle(in left: [WorkloadName: Set<WorkloadName>]) -> [WorkloadName] {
        var path: [WorkloadName] = []
        var next = left.keys.min()
        while let name = next {
            if let start = path.firstIndex(of: name) { return Array(path[start...]) }
            path.append(name)
            next = left[name]?.min()
        }
        return path
    }
}
