public import Contract

/// All roles: those that come with the server, and the site's own.
public struct RoleBook: Sendable, Equatable {
    /// The site's own, by name.
    public let own: [String: Set<Verb>]

    /// Takes the site's own roles; none of them stands in the place of one that comes with the server.
    public init(own: [String: Set<Verb>] = [:]) { self.own = own }

    /// What a role allows; nil where there is no such role.
    public func verbs(of role: String) -> Set<Verb>? { Self.builtIn[role] ?? own[role] }

    /// The names of all roles, those of the server first.
    public var names: [String] { Self.builtIn.keys.sorted() + own.keys.filter { Self.builtIn[$0] == nil }.sorted() }

    /// The roles that come with the server.
    public static let builtIn: [String: Set<Verb>] = {
        let viewer: Set<Verb> = [
            .nodeRead, .eventRead, .releaseRead, .workloadRead, .workloadPolicyRead, .portRead, .registryRead,
        ]
        return [
            "viewer": viewer,
            "operator": viewer.union([
                .nodeLabel, .nodeOperate, .nodeUpgrade, .nodeReprovision, .workloadWrite, .workloadOperate,
                .workloadLogs, .workloadExec, .secretRead, .secretWrite, .registryWrite, .joinTokenRead,
            ]),
            "approver": [.nodeRead, .eventRead, .nodeApprove, .nodeRetire, .joinTokenRead, .joinTokenWrite],
            "port-admin": [.nodeRead, .eventRead, .portRead, .portWrite],
            "publisher": [.releaseRead, .releasePublish, .bootArtifactWrite],
            "security": viewer.union([
                .workloadPolicyWrite, .portBreakGlass, .secretRead, .joinTokenRead, .accessRead, .auditRead,
            ]),
            "admin": Set(Verb.allCases),
        ]
    }()
}
