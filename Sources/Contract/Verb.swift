/// What a caller of the API may be allowed to do. Each route for people and programs needs exactly one of these.
public enum Verb: String, Sendable, Codable, CaseIterable {
    case nodeRead = "node.read"
    case nodeApprove = "node.approve"
    case nodeLabel = "node.label"
    /// Maintenance, and commands that change nothing for good.
    case nodeOperate = "node.operate"
    case nodeUpgrade = "node.upgrade"
    case nodeReprovision = "node.reprovision"
    case nodeRetire = "node.retire"
    case eventRead = "event.read"
    case joinTokenRead = "join-token.read"
    case joinTokenWrite = "join-token.write"
    case releaseRead = "release.read"
    case releasePublish = "release.publish"
    /// Which keys sign releases.
    case releaseTrust = "release.trust"
    /// The boot artifact, and what it is built with.
    case bootArtifactWrite = "boot-artifact.write"
    case workloadRead = "workload.read"
    case workloadWrite = "workload.write"
    /// Start, stop and restart.
    case workloadOperate = "workload.operate"
    case workloadLogs = "workload.logs"
    /// Commands inside a workload, and its console.
    case workloadExec = "workload.exec"
    case workloadPolicyRead = "workload-policy.read"
    case workloadPolicyWrite = "workload-policy.write"
    /// Names of secrets; no verb shows a value.
    case secretRead = "secret.read"
    case secretWrite = "secret.write"
    case registryRead = "registry.read"
    case registryWrite = "registry.write"
    case portRead = "port.read"
    case portWrite = "port.write"
    /// Opening a port for minutes, whatever the policy says.
    case portBreakGlass = "port.break-glass"
    /// Users, roles and API tokens.
    case accessRead = "access.read"
    case accessWrite = "access.write"
    case auditRead = "audit.read"
}
