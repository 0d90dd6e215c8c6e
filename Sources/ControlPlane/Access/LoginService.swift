import Access
import Contract
import HTTPTypes
import Store
import Synchronization

/// Passwords for sessions: `POST /v1/login`, `/v1/password` and `/v1/logout`.
struct LoginService: Sendable {
    let core: Core
    let keeper: PasswordKeeper
    let strangers: Strangers

    /// How long a session lasts, in seconds.
    static let sessionSeconds: Int64 = 12 * 3600

    /// Names that there are no users of, and the wrong passwords for them: they are answered as users' are, so that
    /// nobody learns which names there are.
    final class Strangers: Sendable {
        private struct Tries {
            var failures = 0
            var lockedUntilSeconds: Int64 = 0
        }

        private static let limit = 4096
        private let tries = Mutex<[String: Tries]>([:])

        /// Notes a wrong password; returns how long to wait where that is no longer heard, in seconds.
        func note(_ name: String, now: Int64) -> Int64? {
            tries.withLock { tries in
                if tries.count >= Self.limit { tries = tries.filter { $0.value.lockedUntilSeconds > now } }
                if tries.count >= Self.limit { tries.removeAll() }
                var known = tries[name] ?? Tries()
                if known.lockedUntilSeconds > now { return known.lockedUntilSeconds - now }
                known.failures += 1
                known.lockedUntilSeconds = now + LockOut.waitSeconds(afterFailures: known.failures)
                tries[name] = known
                return nil
            }
        }
    }

    /// A token for whoever knows a user's password.
    func login(_ request: LoginRequest) async throws -> APITokenView {
        try await prove(request.user, request.password)
        let secret = try APITokenSecret.make()
        let now = core.now()
        let token = APITokenRecord(
            id: try Secrets.word(characters: 10), secretHash: try Secrets.hash(secret), user: request.user,
            note: CleanText.line(request.note, limit: 256), grants: nil, createdSeconds: now,
            expiresSeconds: now + Self.sessionSeconds)
        try await AuditTrail.$current.withValue(AuditTrail.current?.proven(request.user)) {
            try await core.change { transaction, announcements in
                try transaction.removeAPITokens(endedBefore: now)
                try AccessService.demandRoom(for: token, transaction)
                try transaction.save(token)
                announcements.say("'\(request.user)' signed in, with token \(token.id)")
            }
        }
        return AccessService.view(token, secret: secret)
    }

    /// Ends the token that the caller shows.
    func logout(_ principal: Principal) async throws -> Acknowledgement {
        guard let id = principal.token else {
            throw APIFailure(
                .conflict, "no-session",
                "the token of the server's data directory does not end; delete that file instead")
        }
        try await core.change { transaction, announcements in
            guard var token = try transaction.apiToken(id) else { return }
            token.isRevoked = true
            try transaction.save(token)
            announcements.say("'\(token.user)' signed out: token \(id) is revoked")
        }
        return Acknowledgement(message: "signed out")
    }

    /// Changes the caller's own password, and ends all their tokens but the one that they show.
    func change(_ request: PasswordRequest, of principal: Principal) async throws -> Acknowledgement {
        guard let shown = principal.token else {
            throw APIFailure(
                .conflict, "no-password",
                "the token of the server's data directory belongs to no user; 'apus user set NAME --password' sets a user's"
            )
        }
        if let problem = PasswordRule.problem(request.newPassword, user: principal.name) {
            throw APIFailure(.badRequest, "password", problem)
        }
        try await prove(principal.name, request.password)
        let kept = try await keeper.make(request.newPassword)
        let name = principal.name
        try await core.change { transaction, announcements in
            guard var user = try transaction.user(name) else { throw AccessService.unknown(user: name) }
            user.password = kept
            try transaction.save(user)
            try AccessService.revokeTokens(of: name, but: shown, transaction)
            announcements.say("'\(name)' changed their password; their other tokens are revoked")
        }
        return Acknowledgement(message: "the password is changed; all other tokens of '\(name)' are revoked")
    }

    // MARK: - Parts

    /// Holds a password against a user's, or refuses.
    ///
    /// The attempt counts before it is judged, so that many at once are no way around the wait.
    private func prove(_ name: String, _ password: String) async throws {
        let now = core.now()
        let known: String?? = try await core.store.write { transaction in
            guard var user = try transaction.user(name) else { return .none }
            guard user.lockedUntilSeconds <= now else { throw Self.locked(user.lockedUntilSeconds - now) }
            user.failures += 1
            user.lockedUntilSeconds = now + LockOut.waitSeconds(afterFailures: user.failures)
            try transaction.save(user)
            return .some(user.isDisabled ? nil : user.password)
        }
        if known == nil, let wait = strangers.note(name, now: now) { throw Self.locked(wait) }
        let matches = try await keeper.matches(password, known ?? nil)
        guard matches, known ?? nil != nil else {
            throw APIFailure(
                .unauthorized, "login-wrong",
                "there is no such user with this password; after five wrong ones in a row "
                    + "there is a wait")
        }
        try await core.store.write { transaction in
            guard var user = try transaction.user(name) else { return }
            user.failures = 0
            user.lockedUntilSeconds = 0
            try transaction.save(user)
        }
    }

    private static func locked(_ seconds: Int64) -> APIFailure {
        APIFailure(
            .tooManyRequests, "account-locked",
            "too many wrong passwords were given for this user; wait \(seconds) seconds, or have them unlocked with "
                + "'apus user set NAME --unlock'", headers: [.retryAfter: "\(seconds)"])
    }
}

/// What API tokens look like.
enum APITokenSecret {
    static let prefix = "apus-token-"

    /// A new one, of 200 bits of chance.
    static func make() throws -> String { prefix + (try Secrets.word(characters: 40)) }
}
