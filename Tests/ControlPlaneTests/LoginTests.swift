import Contract
import HTTPTypes
import Store
import Testing

@testable import ControlPlane

/// Passwords, sessions and lock-outs.
struct LoginTests {
    private static let password = "correct horse battery"

    private func login(_ caller: TestCaller, _ user: String, _ password: String) async throws -> APITokenView {
        try await caller.exchange(
            .post, "/v1/login", LoginRequest(user: user, password: password, note: "test"), as: APITokenView.self)
    }

    private func failure(_ caller: TestCaller, _ user: String, _ password: String) async throws -> Failure {
        try await caller.failure(.post, "/v1/login", LoginRequest(user: user, password: password, note: "test"))
    }

    private func makeUser(_ site: TestSite) async throws {
        try await site.administrator { admin in
            _ = try await admin.exchange(
                .put, "/v1/users/maria", UserRequest(grants: [RoleGrant(role: "viewer")], password: Self.password),
                as: UserView.self)
        }
    }

    @Test func firstStartShowsAPasswordOnceAndItSignsIn() async throws {
        let scratch = try ScratchDirectory()
        try await TestSite.run(in: scratch) { site in
            let password = try #require(site.addresses.firstPassword)
            try await site.anyone { caller in
                let token = try await self.login(caller, "admin", password)
                let secret = try #require(token.secret)
                try await site.with(token: secret) { admin in
                    let me = try await admin.exchange(.get, "/v1/whoami", as: WhoAmI.self)
                    #expect(me.name == "admin" && me.grants == [RoleGrant(role: "admin")])
                }
                #expect(
                    try await site.audit().contains { entry in
                        entry.who == "admin" && entry.action == "POST /v1/login" && entry.outcome == .done
                    })
                try await site.with(token: secret) { admin in
                    _ = try await admin.exchange(.get, "/v1/users", as: UserList.self)
                }
            }
        }
        try await TestSite.run(in: scratch) { site in #expect(site.addresses.firstPassword == nil) }
    }

    @Test func sessionEndsBySigningOutAndByTime() async throws {
        try await TestSite.run { site in
            try await makeUser(site)
            try await site.anyone { caller in
                let (first, second) = (
                    try await self.login(caller, "maria", Self.password),
                    try await self.login(caller, "maria", Self.password)
                )
                let (one, two) = (try #require(first.secret), try #require(second.secret))
                try await site.with(token: one) { maria in
                    _ = try await maria.exchange(.post, "/v1/logout", as: Acknowledgement.self)
                    #expect(try await maria.failure(.get, "/v1/whoami").code == "token-wrong")
                }
                try await site.with(token: two) { maria in
                    _ = try await maria.exchange(.get, "/v1/whoami", as: WhoAmI.self)
                    site.clock.advance(LoginService.sessionSeconds)
                    #expect(try await maria.failure(.get, "/v1/whoami").code == "token-expired")
                }
            }
        }
    }

    @Test func wrongPasswordsWaitForUsersAndStrangersAlike() async throws {
        try await TestSite.run { site in
            try await makeUser(site)
            try await site.anyone { caller in
                for name in ["maria", "stranger"] {
                    for _ in 0..<5 {
                        let failure = try await self.failure(caller, name, "wrong password here")
                        #expect(failure.status == 401 && failure.code == "login-wrong")
                    }
                    let failure = try await self.failure(caller, name, Self.password)
                    #expect(failure.status == 429 && failure.code == "account-locked", "\(name)")
                }
                site.clock.advance(61)
                _ = try await self.login(caller, "maria", Self.password)
                #expect(try await self.failure(caller, "stranger", Self.password).code == "login-wrong")
            }
            let audit = try await site.audit()
            #expect(audit.filter { $0.who == "nobody" && $0.detail == "login-wrong" }.count >= 10)
            #expect(audit.contains { $0.detail == "account-locked" })
        }
    }

    @Test func unlockingAndANewPasswordEndTheWait() async throws {
        try await TestSite.run { site in
            try await makeUser(site)
            try await site.anyone { caller in
                for _ in 0..<5 { _ = try await self.failure(caller, "maria", "wrong password here") }
                try await site.administrator { admin in
                    let view = try await admin.exchange(.get, "/v1/users/maria", as: UserView.self)
                    #expect(view.lockedUntilSeconds != nil)
                    _ = try await admin.exchange(.put, "/v1/users/maria", UserRequest(unlocks: true), as: UserView.self)
                }
                _ = try await self.login(caller, "maria", Self.password)
            }
        }
    }

    @Test func changedPasswordEndsAllOtherTokens() async throws {
        try await TestSite.run { site in
            try await makeUser(site)
            try await site.anyone { caller in
                let kept = try #require(try await self.login(caller, "maria", Self.password).secret)
                let other = try #require(try await self.login(caller, "maria", Self.password).secret)
                try await site.with(token: kept) { maria in
                    let wrong = PasswordRequest(password: "not the old password", newPassword: "another good password")
                    #expect(try await maria.failure(.post, "/v1/password", wrong).code == "login-wrong")
                    let easy = PasswordRequest(password: Self.password, newPassword: "short")
                    #expect(try await maria.failure(.post, "/v1/password", easy).code == "password")
                    let fine = PasswordRequest(password: Self.password, newPassword: "another good password")
                    _ = try await maria.exchange(.post, "/v1/password", fine, as: Acknowledgement.self)
                    _ = try await maria.exchange(.get, "/v1/whoami", as: WhoAmI.self)
                }
                try await site.with(token: other) { (maria) async throws in
                    #expect(try await maria.failure(.get, "/v1/whoami").code == "token-wrong")
                }
                #expect(try await self.failure(caller, "maria", Self.password).code == "login-wrong")
                _ = try await self.login(caller, "maria", "another good password")
            }
        }
    }

    @Test func disabledUsersAndThoseWithoutPasswordCannotSignIn() async throws {
        try await TestSite.run { site in
            try await makeUser(site)
            try await site.administrator { admin in
                _ = try await admin.exchange(.put, "/v1/users/maria", UserRequest(isDisabled: true), as: UserView.self)
                _ = try await admin.exchange(.put, "/v1/users/robot", UserRequest(), as: UserView.self)
            }
            try await site.anyone { (caller) async throws in
                #expect(try await self.failure(caller, "maria", Self.password).code == "login-wrong")
                #expect(try await self.failure(caller, "robot", "").code == "login-wrong")
            }
        }
    }

    @Test func addressThatTriesAllNamesIsSlowed() async throws {
        try await TestSite.run { site in
            try await site.anyone { caller in
                var codes: Set<String> = []
                for index in 0..<24 {
                    codes.insert(try await self.failure(caller, "name-\(index)", "some password").code)
                }
                #expect(codes == ["login-wrong", "too-many-requests"])
            }
        }
    }
}
