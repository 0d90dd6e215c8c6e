/// A role that somebody has, on all nodes or on those with certain labels.
public struct RoleGrant: Sendable, Codable, Hashable {
    /// The role's name.
    public var role: String
    /// Labels that a node must have, all of them; empty for the whole site.
    public var scope: [String: String]

    /// Makes a grant.
    public init(role: String, scope: [String: String] = [:]) {
        self.role = role
        self.scope = scope
    }

    /// Reads a grant; without a scope it is for the whole site.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        role = try container.decode(String.self, forKey: .role)
        scope = try container.decodeIfPresent([String: String].self, forKey: .scope) ?? [:]
    }
}

/// A role: `GET /v1/roles`, and with `PUT /v1/roles/{name}` the verbs of one of the site's own.
public struct RoleView: Sendable, Codable, Equatable {
    /// Its name.
    public var name: String
    /// What it allows, sorted.
    public var verbs: [Verb]
    /// Whether it comes with the server, and never changes.
    public var isBuiltIn: Bool

    /// Makes a view.
    public init(name: String, verbs: [Verb], isBuiltIn: Bool) {
        self.name = name
        self.verbs = verbs
        self.isBuiltIn = isBuiltIn
    }
}

/// `GET /v1/roles`.
public struct RoleList: Sendable, Codable, Equatable {
    /// The roles by name, those of the server first.
    public var roles: [RoleView]

    /// Makes a list.
    public init(roles: [RoleView]) { self.roles = roles }
}

/// `PUT /v1/roles/{name}`.
public struct RoleRequest: Sendable, Codable, Equatable {
    /// What it allows, as `Verb` spells it; an unknown word is refused by name.
    public var verbs: [String]

    /// Makes a request.
    public init(verbs: [String]) { self.verbs = verbs }
}

/// A user: `GET /v1/users` and `GET /v1/users/{name}`.
public struct UserView: Sendable, Codable, Equatable {
    /// The name that they sign in with.
    public var name: String
    /// What they may do, and where.
    public var grants: [RoleGrant]
    /// Whether they can sign in with a password; programs have tokens alone.
    public var hasPassword: Bool
    /// Whether neither password nor tokens count.
    public var isDisabled: Bool
    /// After wrong passwords: until when no password is tried, in seconds since 1970; nil where there is no such wait.
    public var lockedUntilSeconds: Int64?
    /// When the user was made, in seconds since 1970.
    public var createdSeconds: Int64

    /// Makes a view from its parts.
    public init(
        name: String, grants: [RoleGrant], hasPassword: Bool, isDisabled: Bool, lockedUntilSeconds: Int64?,
        createdSeconds: Int64
    ) {
        self.name = name
        self.grants = grants
        self.hasPassword = hasPassword
        self.isDisabled = isDisabled
        self.lockedUntilSeconds = lockedUntilSeconds
        self.createdSeconds = createdSeconds
    }
}

/// `GET /v1/users`.
public struct UserList: Sendable, Codable, Equatable {
    /// The users by name.
    public var users: [UserView]

    /// Makes a list.
    public init(users: [UserView]) { self.users = users }
}

/// `PUT /v1/users/{name}`: makes a user, or changes what is given.
public struct UserRequest: Sendable, Codable, Equatable {
    /// All grants, in the place of those there are; nil leaves them.
    public var grants: [RoleGrant]?
    /// A new password, 12 to 1024 bytes; nil leaves the old one, or makes a user without.
    public var password: String?
    /// Whether the user is shut out; nil leaves that as it is.
    public var isDisabled: Bool?
    /// Ends the wait after wrong passwords.
    public var unlocks: Bool?

    /// Makes a request.
    public init(
        grants: [RoleGrant]? = nil, password: String? = nil, isDisabled: Bool? = nil, unlocks: Bool? = nil
    ) {
        self.grants = grants
        self.password = password
        self.isDisabled = isDisabled
        self.unlocks = unlocks
    }
}

/// An API token without its secret: `GET /v1/api-tokens`.
public struct APITokenView: Sendable, Codable, Equatable {
    /// Names it for people and for its revocation.
    public var id: String
    /// Whose it is.
    public var user: String
    /// A note for people.
    public var note: String
    /// What it may do at most, within what its user may; nil for all of that.
    public var grants: [RoleGrant]?
    /// When it was made, in seconds since 1970.
    public var createdSeconds: Int64
    /// When it ends, in seconds since 1970.
    public var expiresSeconds: Int64
    /// When it was used last, to the hour, in seconds since 1970; nil where it never was.
    public var usedSeconds: Int64?
    /// Whether it was revoked.
    public var isRevoked: Bool
    /// The token itself, in the reply that makes it and never again.
    public var secret: String?

    /// Makes a view from its parts.
    public init(
        id: String, user: String, note: String, grants: [RoleGrant]?, createdSeconds: Int64, expiresSeconds: Int64,
        usedSeconds: Int64?, isRevoked: Bool, secret: String? = nil
    ) {
        self.id = id
        self.user = user
        self.note = note
        self.grants = grants
        self.createdSeconds = createdSeconds
        self.expiresSeconds = expiresSeconds
        self.usedSeconds = usedSeconds
        self.isRevoked = isRevoked
        self.secret = secret
    }
}

/// `GET /v1/api-tokens`.
public struct APITokenList: Sendable, Codable, Equatable {
    /// The tokens, oldest first.
    public var tokens: [APITokenView]

    /// Makes a list.
    public init(tokens: [APITokenView]) { self.tokens = tokens }
}

/// `POST /v1/api-tokens`.
public struct APITokenRequest: Sendable, Codable, Equatable {
    /// Whose it will be; nil for the caller's own.
    public var user: String?
    /// A note for people.
    public var note: String
    /// How long it holds, in seconds.
    public var lifetimeSeconds: Int64
    /// What it may do at most; nil for all that its user may.
    public var grants: [RoleGrant]?

    /// Makes a request.
    public init(user: String? = nil, note: String, lifetimeSeconds: Int64, grants: [RoleGrant]? = nil) {
        self.user = user
        self.note = note
        self.lifetimeSeconds = lifetimeSeconds
        self.grants = grants
    }
}

/// `POST /v1/login`, which answers with an `APITokenView` and its secret.
public struct LoginRequest: Sendable, Codable, Equatable {
    /// The user's name.
    public var user: String
    /// The password.
    public var password: String
    /// What the session is for, such as the machine's name.
    public var note: String

    /// Makes a request.
    public init(user: String, password: String, note: String) {
        self.user = user
        self.password = password
        self.note = note
    }
}

/// `POST /v1/password`: a user's own.
public struct PasswordRequest: Sendable, Codable, Equatable {
    /// The present password.
    public var password: String
    /// The one from now on.
    public var newPassword: String

    /// Makes a request.
    public init(password: String, newPassword: String) {
        self.password = password
        self.newPassword = newPassword
    }
}

/// `GET /v1/whoami`: the caller, as the server sees them.
public struct WhoAmI: Sendable, Codable, Equatable {
    /// The user, or `site administrator` for the token of the server's data directory.
    public var name: String
    /// The token's id; nil for that of the data directory.
    public var token: String?
    /// When the token ends, in seconds since 1970; nil where it does not.
    public var expiresSeconds: Int64?
    /// What the user may do, and where.
    public var grants: [RoleGrant]
    /// What the token may do at most; nil for all of that.
    public var tokenGrants: [RoleGrant]?

    /// Makes a reply.
    public init(
        name: String, token: String?, expiresSeconds: Int64?, grants: [RoleGrant], tokenGrants: [RoleGrant]?
    ) {
        self.name = name
        self.token = token
        self.expiresSeconds = expiresSeconds
        self.grants = grants
        self.tokenGrants = tokenGrants
    }
}
