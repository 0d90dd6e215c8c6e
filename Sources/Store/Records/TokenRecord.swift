public import Contract

/// A join token. Its secret is known only as a digest.
public struct TokenRecord: Sendable, Equatable {
    /// Names it for people and for `revoke`.
    public var id: String
    /// SHA-256 of its secret.
    public var secretHash: Digest256
    /// A note for people.
    public var note: String
    /// How many nodes may still join.
    public var usesLeft: Int
    /// When it ends, in seconds since 1970.
    public var expiresSeconds: Int64
    /// Whether it was revoked.
    public var isRevoked: Bool
    /// Labels for the nodes that join with it.
    public var labels: [String: String]
    /// When it was made, in seconds since 1970.
    public var createdSeconds: Int64

    /// Makes a record from its parts.
    public init(
        id: String, secretHash: Digest256, note: String, usesLeft: Int, expiresSeconds: Int64, isRevoked: Bool = false,
        labels: [String: String], createdSeconds: Int64
    ) {
        self.id = id
        self.secretHash = secretHash
        self.note = note
        self.usesLeft = usesLeft
        self.expiresSeconds = expiresSeconds
        self.isRevoked = isRevoked
        self.labels = labels
        self.createdSeconds = createdSeconds
    }
}

/// The join tokens.
public protocol TokenTable {
    /// The token with an id.
    func token(_ id: String) throws -> TokenRecord?

    /// The token with a secret, by the secret's digest.
    func token(secretHash: Digest256) throws -> TokenRecord?

    /// All tokens, oldest first.
    func tokens() throws -> [TokenRecord]

    /// Inserts a token, or replaces the one with its id.
    func save(_ token: TokenRecord) throws
}
