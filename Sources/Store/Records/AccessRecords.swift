public import Contract

/// A user: a person, or a program that has tokens alone.
public struct UserRecord: Sendable, Equatable {
    /// The name that they sign in with.
    public var name: String
    /// The password as `PasswordHash` keeps it; nil where there is none.
    public var password: String?
    /// What they may do, and where.
    public var grants: [RoleGrant]
    /// Whether neither password nor tokens count.
    public var isDisabled: Bool
    /// Wrong passwords in a row.
    public var failures: Int
    /// Until when no password is tried, in seconds since 1970; 0 for no such wait.
    public var lockedUntilSeconds: Int64
    /// When the user was made, in seconds since 1970.
    public var createdSeconds: Int64

    /// Makes the record of a new user.
    public init(name: String, password: String?, grants: [RoleGrant], createdSeconds: Int64) {
        self.name = name
        self.password = password
        self.grants = grants
        isDisabled = false
        failures = 0
        lockedUntilSeconds = 0
        self.createdSeconds = createdSeconds
    }
}

/// A token for the API. Its secret is known only as a digest.
public struct APITokenRecord: Sendable, Equatable {
    /// Names it for people and for its revocation.
    public var id: String
    /// SHA-256 of its secret.
    public var secretHash: Digest256
    /// Whose it is.
    public var user: String
    /// A note for people.
    public var note: String
    /// What it may do at most; nil for all that its user may.
    public var grants: [RoleGrant]?
    /// When it was made, in seconds since 1970.
    public var createdSeconds: Int64
    /// When it ends, in seconds since 1970.
    public var expiresSeconds: Int64
    /// When it was used last, to the hour, in seconds since 1970; nil where it never was.
    public var usedSeconds: Int64?
    /// Whether it was revoked.
    public var isRevoked: Bool

    /// Makes the record of a new token.
    public init(
        id: String, secretHash: Digest256, user: String, note: String, grants: [RoleGrant]?, createdSeconds: Int64,
        expiresSeconds: Int64
    ) {
        self.id = id
        self.secretHash = secretHash
        self.user = user
        self.note = note
        self.grants = grants
        self.createdSeconds = createdSeconds
        self.expiresSeconds = expiresSeconds
        isRevoked = false
    }
}

/// Users, the site's own roles, and API tokens.
public protocol AccessTable {
    /// The user of a name.
    func user(_ name: String) throws -> UserRecord?

    /// All users, by name.
    func users() throws -> [UserRecord]

    /// Inserts a user, or replaces the one of that name.
    func save(_ user: UserRecord) throws

    /// Removes a user with all tokens.
    func removeUser(_ name: String) throws

    /// The site's own roles with their verbs, as they were written.
    func roles() throws -> [String: [String]]

    /// Sets a role's verbs; nil removes it.
    func setRole(_ name: String, verbs: [String]?) throws

    /// The token of an id.
    func apiToken(_ id: String) throws -> APITokenRecord?

    /// The token with a secret, by the secret's digest.
    func apiToken(secretHash: Digest256) throws -> APITokenRecord?

    /// All tokens, or one user's, oldest first.
    func apiTokens(of user: String?) throws -> [APITokenRecord]

    /// Inserts a token, or changes the one with its id.
    func save(_ token: APITokenRecord) throws

    /// Removes tokens that ended before a time, in seconds since 1970.
    func removeAPITokens(endedBefore seconds: Int64) throws
}

/// The audit log, to which lines are only ever added.
public protocol AuditTable {
    /// How the log ends.
    func auditHead() throws -> AuditHead

    /// Appends a record, which must be the one after the head.
    func append(_ record: AuditRecord, sequence: Int64) throws

    /// Records after a sequence, oldest first, at most `limit`.
    func auditRecords(after sequence: Int64, limit: Int) throws -> [AuditRecord]
}
