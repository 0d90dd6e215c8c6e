public import Contract

/// What somebody may do, and on which nodes: pure, from the roles that they were granted.
public struct Rights: Sendable, Equatable {
    /// Every layer must allow what is asked: a user's grants, and those of the token that they use.
    private var layers: [[Verb: Set<[String: String]>]]

    /// Everything, everywhere.
    public static let all = Rights(layer: Dictionary(uniqueKeysWithValues: Verb.allCases.map { ($0, [[:]]) }))
    /// Nothing.
    public static let none = Rights(layer: [:])

    /// What grants allow; one of a role that there is no more allows nothing.
    public init(_ grants: [RoleGrant], roles: RoleBook) {
        var layer: [Verb: Set<[String: String]>] = [:]
        for grant in grants {
            for verb in roles.verbs(of: grant.role) ?? [] { layer[verb, default: []].insert(grant.scope) }
        }
        layers = [layer]
    }

    private init(layer: [Verb: Set<[String: String]>]) { layers = [layer] }

    /// What both allow.
    public func restricted(to other: Rights) -> Rights {
        var both = self
        both.layers += other.layers
        return both
    }

    /// Whether a verb is allowed for the site as a whole.
    public func allows(_ verb: Verb) -> Bool { allows(verb, on: [:]) }

    /// Whether a verb is allowed on a node with these labels.
    public func allows(_ verb: Verb, on labels: [String: String]) -> Bool {
        allows(verb) { $0.isContained(in: labels) }
    }

    /// Whether a verb is allowed on some nodes at least.
    public func allowsSomewhere(_ verb: Verb) -> Bool { allows(verb) { _ in true } }

    /// Whether a verb is allowed wherever a thing can come to be; `isConfined` says whether it stays on nodes with the
    /// given labels.
    public func allows(_ verb: Verb, isConfined: ([String: String]) throws -> Bool) rethrows -> Bool {
        try layers.allSatisfy { layer in
            try layer[verb]?.contains { try $0.isEmpty || isConfined($0) } ?? false
        }
    }

    /// The first of what other permissions allow and these do not; nil where these allow all of it.
    ///
    /// Who has a verb on nodes of one label may hand it on for those, or for fewer.
    public func excess(of other: Rights) -> (verb: Verb, scope: [String: String])? {
        guard let wanted = other.layers.first else { return nil }
        for verb in Verb.allCases {
            for scope in (wanted[verb] ?? []).sorted(by: { $0.description < $1.description })
            where !allows(verb, on: scope) {
                return (verb, scope)
            }
        }
        return nil
    }
}

extension [String: String] {
    /// Whether labels have all of these.
    fileprivate func isContained(in labels: [String: String]) -> Bool {
        allSatisfy { labels[$0.key] == $0.value }
    }
}
