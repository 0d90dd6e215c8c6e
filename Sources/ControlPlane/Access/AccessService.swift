import Access
import Contract
import HTTPTypes
import Store

/// Users, roles and API tokens.
struct AccessService: Sendable {
    let core: Core
    let keeper: PasswordKeeper

    // MARK: - Users

    /// All users.
    func users() async throws -> UserList {
        let now = core.now()
        return UserList(users: try await core.store.read { try $0.users() }.map { Self.view($0, now: now) })
    }

    /// One user.
    func user(_ name: String) async throws -> UserView {
        let now = core.now()
        return try await core.store.read { Self.view(try Self.find(name, $0), now: now) }
    }

    /// Makes a user, or changes what a request gives.
    func set(_ name: String, _ request: UserRequest, by principal: Principal) async throws -> UserView {
        if let problem = AccessName.problem(name) { throw APIFailure(.badRequest, "user-name", problem) }
        if let password = request.password, let problem = PasswordRule.problem(password, user: name) {
            throw APIFailure(.badRequest, "password", problem)
        }
        var kept: String?
        if let password = request.password { kept = try await keeper.make(password) }
        let (core, hash) = (core, kept)
        return try await core.change { transaction, announcements in
            let now = core.now()
            let roles = try RoleBook(transaction)
            let before = try transaction.user(name)
            guard try before != nil || transaction.users().count < AccessLimit.users else {
                throw APIFailure(.conflict, "too-many-users", "there are \(AccessLimit.users) users already")
            }
            // Who changes a user could act as them afterwards.
            if let before { try Self.demandCover(of: before.grants, roles, by: principal, "change '\(name)', who") }
            var user = before ?? UserRecord(name: name, password: nil, grants: [], createdSeconds: now)
            var said: [String] = []
            if let grants = request.grants {
                try Self.check(grants, roles)
                try Self.demandCover(of: grants, roles, by: principal, "make grants that")
                user.grants = grants
                said.append("has \(Self.words(grants))")
            }
            if let hash {
                user.password = hash
                (user.failures, user.lockedUntilSeconds) = (0, 0)
                said.append("has another password")
            }
            if let isDisabled = request.isDisabled, isDisabled != user.isDisabled {
                user.isDisabled = isDisabled
                said.append(isDisabled ? "is disabled" : "is enabled again")
            }
            if request.unlocks == true {
                (user.failures, user.lockedUntilSeconds) = (0, 0)
                said.append("need not wait any longer")
            }
            try transaction.save(user)
            // A new password is given where the old one, or a token, may be in wrong hands.
            if before != nil, hash != nil || request.isDisabled == true {
                try Self.revokeTokens(of: name, but: nil, transaction)
                said.append("has no valid token any more")
            }
            announcements.say("user '\(name)' \(before == nil ? "is new" : "changed"): " + said.joined(separator: ", "))
            return Self.view(user, now: now)
        }
    }

    /// Removes a user with all tokens.
    func remove(_ name: String, by principal: Principal) async throws -> Acknowledgement {
        try await core.change { transaction, announcements in
            let user = try Self.find(name, transaction)
            try Self.demandCover(of: user.grants, try RoleBook(transaction), by: principal, "remove '\(name)', who")
            try transaction.removeUser(name)
            announcements.say("user '\(name)' was removed with all tokens")
            return Acknowledgement(message: "user '\(name)' is removed, with all their tokens")
        }
    }

    // MARK: - Roles

    /// All roles.
    func roles() async throws -> RoleList {
        let book = try await core.store.read { try RoleBook($0) }
        return RoleList(roles: book.names.map { Self.view($0, book) })
    }

    /// Sets a role of the site's own.
    func setRole(_ name: String, _ request: RoleRequest, by principal: Principal) async throws -> RoleView {
        if let problem = AccessName.problem(name) { throw APIFailure(.badRequest, "role-name", problem) }
        try Self.demandOwn(name)
        let verbs = try request.verbs.map { word in
            guard let verb = Verb(rawValue: word) else {
                let known = Verb.allCases.map(\.rawValue).joined(separator: ", ")
                throw APIFailure(
                    .badRequest, "verb-unknown",
                    "'\(CleanText.line(word, limit: 64))' is no verb; the verbs are \(known)")
            }
            return verb
        }
        guard !verbs.isEmpty else {
            throw APIFailure(.badRequest, "role-empty", "a role has at least one verb; 'apus role list' shows them")
        }
        return try await core.change { transaction, announcements in
            // Who makes a role grants it to all who have it: nothing may be in it that its maker lacks.
            for verb in verbs { try principal.demand(verb) }
            let before = try RoleBook(transaction)
            guard before.own[name] != nil || before.own.count < AccessLimit.roles else {
                throw APIFailure(.conflict, "too-many-roles", "there are \(AccessLimit.roles) roles already")
            }
            let words = Set(verbs).map(\.rawValue).sorted()
            try transaction.setRole(name, verbs: words)
            announcements.say("role '\(name)' allows \(words.joined(separator: ", "))")
            return Self.view(name, try RoleBook(transaction))
        }
    }

    /// Removes a role that nobody has.
    func removeRole(_ name: String) async throws -> Acknowledgement {
        try Self.demandOwn(name)
        return try await core.change { transaction, announcements in
            guard try RoleBook(transaction).own[name] != nil else { throw Self.unknown(role: name) }
            let users = try transaction.users().filter { $0.grants.contains { $0.role == name } }.map(\.name)
            let tokens = try transaction.apiTokens(of: nil).filter {
                !$0.isRevoked && $0.grants?.contains { $0.role == name } == true
            }.map { "token \($0.id)" }
            guard users.isEmpty, tokens.isEmpty else {
                let holders = (users.map { "'\($0)'" } + tokens).prefix(8).joined(separator: ", ")
                throw APIFailure(
                    .conflict, "role-in-use", "role '\(name)' is held by \(holders); take it from them first")
            }
            try transaction.setRole(name, verbs: nil)
            announcements.say("role '\(name)' was removed")
            return Acknowledgement(message: "role '\(name)' is removed")
        }
    }

    // MARK: - Tokens

    /// Tokens of the caller; all where they may read users.
    func tokens(for principal: Principal) async throws -> APITokenList {
        let all = principal.permissions.allows(.accessRead)
        let tokens = try await core.store.read { try $0.apiTokens(of: all ? nil : principal.name) }
        return APITokenList(tokens: tokens.map { Self.view($0) })
    }

    /// Makes a token of the caller's own or, with `access.write`, of another user who may no more than the caller.
    func createToken(_ request: APITokenRequest, by principal: Principal) async throws -> APITokenView {
        let name = request.user ?? principal.name
        guard (1...AccessLimit.tokenLifetimeSeconds).contains(request.lifetimeSeconds) else {
            throw APIFailure(.badRequest, "token-lifetime", "an API token holds 1 second to 1 year (365 days)")
        }
        if name != principal.name || principal.token == nil { try principal.demand(.accessWrite) }
        let secret = try APITokenSecret.make()
        let core = core
        let now = core.now()
        let token = APITokenRecord(
            id: try Secrets.word(characters: 10), secretHash: try Secrets.hash(secret), user: name,
            note: CleanText.line(request.note, limit: 256), grants: request.grants, createdSeconds: now,
            expiresSeconds: now + request.lifetimeSeconds)
        try await core.change { transaction, announcements in
            let roles = try RoleBook(transaction)
            let user = try Self.find(name, transaction)
            if let grants = token.grants { try Self.check(grants, roles) }
            // A token reaches no further than the one that made it, nor than its user.
            try Self.demandCover(of: token.grants ?? user.grants, roles, by: principal, "make a token that")
            try transaction.removeAPITokens(endedBefore: now)
            try Self.demandRoom(for: token, transaction)
            try transaction.save(token)
            announcements.say("API token \(token.id) of '\(name)' was made")
        }
        return Self.view(token, secret: secret)
    }

    /// Revokes a token of the caller's own or, with `access.write`, anybody's.
    func revokeToken(_ id: String, by principal: Principal) async throws -> APITokenView {
        try await core.change { transaction, announcements in
            guard var token = try transaction.apiToken(id),
                token.user == principal.name || principal.permissions.allows(.accessWrite)
            else {
                throw APIFailure(
                    .notFound, "token-unknown",
                    "there is no API token '\(CleanText.line(id, limit: 64))' of yours; 'apus api-token list' shows them"
                )
            }
            token.isRevoked = true
            try transaction.save(token)
            announcements.say("API token \(id) of '\(token.user)' was revoked")
            return Self.view(token)
        }
    }

    // MARK: - Parts

    static func demandRoom(for token: APITokenRecord, _ transaction: any StoreTransaction) throws {
        guard try transaction.apiTokens(of: token.user).count(where: { !$0.isRevoked }) < AccessLimit.tokensOfUser
        else {
            throw APIFailure(
                .conflict, "too-many-tokens",
                "'\(token.user)' has \(AccessLimit.tokensOfUser) tokens; revoke some with 'apus api-token revoke'")
        }
    }

    static func revokeTokens(of user: String, but kept: String?, _ transaction: any StoreTransaction) throws {
        for var token in try transaction.apiTokens(of: user) where !token.isRevoked && token.id != kept {
            token.isRevoked = true
            try transaction.save(token)
        }
    }

    static func unknown(user: String) -> APIFailure {
        APIFailure(
            .notFound, "user-unknown",
            "there is no user '\(CleanText.line(user, limit: 64))'; 'apus user list' shows those there are")
    }

    static func view(_ token: APITokenRecord, secret: String? = nil) -> APITokenView {
        APITokenView(
            id: token.id, user: token.user, note: token.note, grants: token.grants,
            createdSeconds: token.createdSeconds, expiresSeconds: token.expiresSeconds,
            usedSeconds: token.usedSeconds, isRevoked: token.isRevoked, secret: secret)
    }

    private static func unknown(role: String) -> APIFailure {
        APIFailure(
            .notFound, "role-unknown",
            "there is no role '\(CleanText.line(role, limit: 64))'; 'apus role list' shows those there are")
    }

    private static func find(_ name: String, _ transaction: any StoreTransaction) throws -> UserRecord {
        guard let user = try transaction.user(name) else { throw unknown(user: name) }
        return user
    }

    private static func demandOwn(_ role: String) throws {
        guard RoleBook.builtIn[role] == nil else {
            throw APIFailure(
                .conflict, "role-built-in",
                "role '\(role)' comes with the server and never changes; choose another name")
        }
    }

    private static func check(_ grants: [RoleGrant], _ roles: RoleBook) throws {
        guard grants.count <= AccessLimit.grants else {
            throw APIFailure(.badRequest, "grants", "a user has at most \(AccessLimit.grants) grants")
        }
        for grant in grants {
            guard roles.verbs(of: grant.role) != nil else { throw unknown(role: grant.role) }
            if let problem = LabelRule.problem(grant.scope) { throw APIFailure(.badRequest, "scope", problem) }
        }
    }

    /// Refuses what would hand on more than one has.
    private static func demandCover(
        of grants: [RoleGrant], _ roles: RoleBook, by principal: Principal, _ doing: String
    ) throws {
        guard let excess = principal.permissions.excess(of: Rights(grants, roles: roles)) else { return }
        let place = excess.scope.isEmpty ? "for the whole site" : "on nodes with \(Self.words(excess.scope))"
        throw APIFailure(
            .forbidden, "more-than-own",
            "'\(principal.name)' cannot \(doing) \(doing.hasSuffix("that") ? "have" : "has") the verb "
                + "'\(excess.verb.rawValue)' \(place): nobody hands on more than they have")
    }

    private static func words(_ scope: [String: String]) -> String {
        scope.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ", ")
    }

    private static func words(_ grants: [RoleGrant]) -> String {
        guard !grants.isEmpty else { return "no role" }
        return grants.map { $0.scope.isEmpty ? $0.role : "\($0.role) on \(words($0.scope))" }.joined(separator: ", ")
    }

    private static func view(_ user: UserRecord, now: Int64) -> UserView {
        UserView(
            name: user.name, grants: user.grants, hasPassword: user.password != nil, isDisabled: user.isDisabled,
            lockedUntilSeconds: user.lockedUntilSeconds > now ? user.lockedUntilSeconds : nil,
            createdSeconds: user.createdSeconds)
    }

    private static func view(_ role: String, _ book: RoleBook) -> RoleView {
        RoleView(
            name: role, verbs: (book.verbs(of: role) ?? []).sorted { $0.rawValue < $1.rawValue },
            isBuiltIn: RoleBook.builtIn[role] != nil)
    }
}

/// Bounds of users, roles and tokens.
enum AccessLimit {
    static let users = 10_000
    static let roles = 256
    /// Grants of one user or token.
    static let grants = 64
    /// Valid tokens of one user.
    static let tokensOfUser = 256
    static let tokenLifetimeSeconds: Int64 = 365 * 86_400
}

extension RoleBook {
    /// The roles of the store. A verb that this version does not know allows nothing.
    init(_ transaction: any StoreTransaction) throws {
        self.init(own: try transaction.roles().mapValues { Set($0.compactMap(Verb.init(rawValue:))) })
    }
}
