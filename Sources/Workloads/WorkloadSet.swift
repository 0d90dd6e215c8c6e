/// Judges what no single document shows: the workloads of a server, or of one node, together.
///
/// The server asks before it accepts a document; a node's planner asks nothing of it and blocks what conflicts.
public enum WorkloadSet {
    /// Returns what stands against accepting a workload beside those that are there, one of which it may replace.
    public static func problems(with new: Workload, beside others: [Workload]) -> [DocumentProblem] {
        let rest = others.filter { $0.name != new.name }
        return schedules(new) + circle(rest + [new]) + links(new, rest) + ports(new, rest)
    }

    private static func schedules(_ new: Workload) -> [DocumentProblem] {
        (new.revision.function?.schedules ?? []).enumerated().compactMap { index, text in
            do throws(CronSchedule.Refusal) {
                _ = try CronSchedule(text)
                return nil
            } catch {
                return DocumentProblem(path: "function.schedule[\(index)]", reason: error.description)
            }
        }
    }

    private static func circle(_ all: [Workload]) -> [DocumentProblem] {
        let edges = Dictionary(all.map { ($0.name, $0.revision.dependencies) }) { first, _ in first }
        do throws(DependencyCycle) {
            _ = try DependencyOrder.sorted(edges)
            return []
        } catch {
            return [DocumentProblem(path: "depends_on", reason: error.description)]
        }
    }

    /// A link leads to a workload that exists and exposes something; otherwise nothing could ever pass.
    private static func links(_ new: Workload, _ rest: [Workload]) -> [DocumentProblem] {
        let named = Dictionary(rest.map { ($0.name, $0.revision) }) { first, _ in first }
        var problems = new.revision.dependsOn.keys.sorted().filter { named[$0] == nil }.map {
            DocumentProblem(path: "depends_on", value: $0.rawValue, reason: "is no workload; apply that one first")
        }
        for (index, link) in new.revision.links.enumerated() {
            guard let target = named[link.workload] else {
                problems.append(
                    DocumentProblem(
                        path: "links[\(index)]", value: link.workload.rawValue,
                        reason: "is no workload; apply that one first"))
                continue
            }
            guard target.ports.isEmpty, target.exposedPorts.isEmpty else { continue }
            problems.append(
                DocumentProblem(
                    path: "links[\(index)]", value: link.workload.rawValue,
                    reason: "has neither exposed_ports nor ports to connect to"))
        }
        return problems
    }

    /// Only what certainly meets on one node is refused here: workloads that both run on every node.
    private static func ports(_ new: Workload, _ rest: [Workload]) -> [DocumentProblem] {
        let everywhere = WorkloadPlacement()
        guard new.revision.placement == everywhere else { return [] }
        var problems: [DocumentProblem] = []
        for (index, port) in new.revision.ports.enumerated() {
            let holder = rest.first { other in
                other.revision.placement == everywhere && other.revision.ports.contains(where: port.conflicts)
            }
            guard let holder else { continue }
            problems.append(
                DocumentProblem(
                    path: "ports[\(index)]", value: "\(port.published)/\(port.transport.rawValue)",
                    reason: "belongs to '\(holder.name)', and both run on every node"))
        }
        return problems
    }
}

extension Revision {
    /// The ports at which workloads that link here arrive: those exposed, and the targets of those published.
    public var linkPorts: [PortRange] {
        Firewall.merged(exposedPorts + ports.compactMap { PortRange($0.target, $0.target) })
    }
}
