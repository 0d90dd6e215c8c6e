/// Why a node does not run a revision.
public struct SandboxRefusal: Error, Sendable, Equatable, CustomStringConvertible {
    /// Everything that stands against it, each as a sentence that names the field or the permission.
    public var reasons: [String]

    /// Makes a refusal.
    public init(_ reasons: [String]) { self.reasons = reasons }

    /// The sentences in one line.
    public var description: String { reasons.joined(separator: "; ") }
}

/// Compares what a revision wants with what it asked for and what the node's policy lets it have.
public enum Permissions {
    /// What a revision's fields need, each with the field that needs it.
    public static func needed(by revision: Revision) -> [(permission: WorkloadPermission, field: String)] {
        var needed: [(WorkloadPermission, String)] = []
        if !revision.isRootReadOnly { needed.append((.writableRoot, "read_only: false")) }
        if revision.resources.lockedBytes.hard > WorkloadResources().lockedBytes.hard {
            needed.append((.lockedMemory, "ulimits.memlock"))
        }
        if revision.kind != .vm, revision.stopGraceMilliseconds > 10_000 {
            needed.append((.slowStop, "stop_grace_period"))
        }
        for port in revision.ports where port.published < 1024 {
            needed.append((.lowPorts, "published port \(port.published)"))
        }
        for rule in revision.egress {
            guard case .prefix(let prefix) = rule.destination, prefix.length < (prefix.isVersion4 ? 8 : 16) else {
                continue
            }
            needed.append((.wideEgress, "egress to \(prefix)"))
        }
        return needed
    }

    /// Refuses what was not asked for, what the policy does not allow, and what is above the policy's ceilings.
    public static func check(_ revision: Revision, _ policy: NodePolicy) throws(SandboxRefusal) {
        var reasons: [String] = []
        for permission in revision.permissions.sorted() where !policy.permissions.contains(permission) {
            reasons.append("permission '\(permission.rawValue)' is not allowed by this node's policy")
        }
        for (permission, field) in needed(by: revision) where !revision.permissions.contains(permission) {
            reasons.append(
                "\(field) needs the permission '\(permission.rawValue)', which the document does not ask for")
        }
        reasons += ceilings(revision, policy) + network(revision, policy)
        guard reasons.isEmpty else { throw SandboxRefusal(reasons) }
    }

    private static func ceilings(_ revision: Revision, _ policy: NodePolicy) -> [String] {
        let wanted = revision.resources
        var reasons: [String] = []
        if let most = policy.maximumMemoryBytes, wanted.memoryBytes > most {
            reasons.append("mem_limit is above the \(WorkloadUnits.text(bytes: most)) that this node's policy allows")
        }
        if let most = policy.maximumMilliCPUs, wanted.milliCPUs > most {
            reasons.append("cpus is above the \(WorkloadUnits.text(milliCPUs: most)) that this node's policy allows")
        }
        if wanted.pids > policy.maximumPIDs {
            reasons.append("pids_limit is above the \(policy.maximumPIDs) that this node's policy allows")
        }
        for volume in revision.volumes {
            guard case .persistent(let name, let bytes, _) = volume.source, let most = policy.maximumVolumeBytes,
                bytes > most
            else { continue }
            reasons.append(
                "volume '\(name)' is above the \(WorkloadUnits.text(bytes: most)) that this node's policy allows")
        }
        return reasons
    }

    private static func network(_ revision: Revision, _ policy: NodePolicy) -> [String] {
        var reasons: [String] = []
        for port in revision.ports {
            if policy.reservedPorts.contains(port.published) {
                reasons.append("port \(port.published) is reserved for the node's own services")
            } else if port.published >= 1024, port.published < policy.firstPublishedPort {
                reasons.append("port \(port.published) is below \(policy.firstPublishedPort), this node's first")
            }
        }
        for rule in revision.egress {
            guard case .prefix(let prefix) = rule.destination,
                let never = Firewall.forbidden.first(where: { $0.contains(prefix) })
            else { continue }
            reasons.append("egress to \(prefix) is never possible: it lies in \(never)")
        }
        return reasons
    }
}
