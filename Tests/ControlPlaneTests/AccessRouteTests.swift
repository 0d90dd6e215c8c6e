import Access
import Contract
import HTTPTypes
import HummingbirdTesting
import Store
import Testing

@testable import ControlPlane

/// People and programs with tokens of a test's own.
extension TestSite {
    /// Makes a user with grants, and a token of theirs.
    func user(_ name: String, _ grants: RoleGrant..., tokenGrants: [RoleGrant]? = nil) async throws -> String {
        try await administrator { admin in
            _ = try await admin.exchange(
                .put, "/v1/users/\(name)", UserRequest(grants: grants), as: UserView.self)
            let token = try await admin.exchange(
                .post, "/v1/api-tokens",
                APITokenRequest(user: name, note: "test", lifetimeSeconds: 3600, grants: tokenGrants),
                as: APITokenView.self)
            return try #require(token.secret)
        }
    }

    /// A connection with a token.
    func with<Value: Sendable>(
        token: String, _ body: @escaping @Sendable (TestCaller) async throws -> Value
    ) async throws -> Value {
        try await anyone { caller in
            var caller = caller
            caller.headers[.authorization] = "Bearer \(token)"
            return try await body(caller)
        }
    }

    /// The whole audit log, read as its client reads it, and found whole.
    func audit() async throws -> [AuditEntry] {
        try await administrator { admin in
            var verifier = AuditChain.Verifier()
            var entries: [AuditEntry] = []
            while true {
                let page = try await admin.exchange(
                    .get, "/v1/audit?after=\(entries.count)", as: AuditPage.self)
                guard !page.records.isEmpty else { return entries }
                for record in page.records { entries.append(try verifier.take(record)) }
            }
        }
    }
}

extension Need {
    /// The verb, where it is one.
    fileprivate var verb: Verb? {
        guard case .verb(let verb, _) = self else { return nil }
        return verb
    }
}

/// The table of users, verbs and scopes, walked over every route that the server has.
struct AccessRouteTests {
    @Test func everyRouteRefusesWhoLacksItsVerbAndSaysWhich() async throws {
        try await TestSite.run { site in
            let routes = site.routes.compactMap { route -> (route: RouteBook.Route, verb: Verb)? in
                guard case .verb(let verb, _) = route.need else { return nil }
                return (route, verb)
            }
            #expect(routes.count > 55)
            let portVerbs: Set<Verb> = [.portRead, .portWrite, .portBreakGlass, .workloadExec]
            #expect(
                Set(routes.map(\.verb)).union(portVerbs) == Set(Verb.allCases),
                "every other verb is needed somewhere")
            // One role with all verbs but one for each verb: what it cannot do is exactly what needs that one.
            for verb in Set(routes.map(\.verb)) {
                let others = Verb.allCases.filter { $0 != verb }.map(\.rawValue)
                try await site.administrator { admin in
                    _ = try await admin.exchange(
                        .put, "/v1/roles/all-but", RoleRequest(verbs: others), as: RoleView.self)
                }
                let token = try await site.user("lacking", RoleGrant(role: "all-but"))
                try await site.with(token: token) { caller in
                    for (route, _) in routes where route.need.map({ $0.verb == verb }) == true {
                        let path = AudienceTests.path(route)
                        let failure = try await caller.failure(route.method, path)
                        #expect(failure.status == 403 && failure.code == "not-permitted", "\(route.method) \(path)")
                        #expect(failure.message.contains("'\(verb.rawValue)'"), "\(failure.message)")
                    }
                }
            }
            // With all of them, and nothing else, no route refuses.
            try await site.administrator { admin in
                _ = try await admin.exchange(
                    .put, "/v1/roles/all", RoleRequest(verbs: Verb.allCases.map(\.rawValue)), as: RoleView.self)
            }
            let token = try await site.user("able", RoleGrant(role: "all"))
            try await site.with(token: token) { caller in
                for (route, _) in routes where route.method == .get {
                    let status = try await caller.send(route.method, AudienceTests.path(route)).status.code
                    #expect(status != 403 && status != 401, "\(route.method) \(route.path)")
                }
            }
        }
    }

    @Test func whoHasNothingIsRefusedEverywhereButAboutThemselves() async throws {
        try await TestSite.run { site in
            let token = try await site.user("nobody-much")
            try await site.with(token: token) { caller in
                // Signing out would be the end of it.
                for route in site.routes where route.need != nil && route.path != "/v1/logout" {
                    let reply = try await caller.send(route.method, AudienceTests.path(route))
                    if route.need == .identity {
                        #expect(reply.status.code != 403, "\(route.method) \(route.path)")
                    } else {
                        #expect(reply.status.code == 403, "\(route.method) \(route.path)")
                    }
                }
            }
        }
    }

    @Test func scopeDecidesWhichNodesAreSeenChangedAndMoved() async throws {
        try await TestSite.run { site in
            let (berlin, paris) = (try await AdmittedNode.make(site), try await AdmittedNode.make(site))
            try await site.administrator { admin in
                for (node, place) in [(berlin, "berlin"), (paris, "paris")] {
                    _ = try await admin.exchange(
                        .post, "/v1/nodes/\(node.id)/labels", LabelRequest(labels: ["site": place]), as: NodeView.self)
                }
            }
            let token = try await site.user("maria", RoleGrant(role: "operator", scope: ["site": "berlin"]))
            let (ours, theirs) = (berlin.id, paris.id)
            try await site.with(token: token) { maria in
                let seen = try await maria.exchange(.get, "/v1/nodes", as: NodeList.self).nodes.map(\.id)
                #expect(seen == [ours])
                #expect(try await maria.exchange(.get, "/v1/nodes/\(ours)", as: NodeView.self).id == ours)
                #expect(try await maria.failure(.get, "/v1/nodes/\(theirs)").code == "not-permitted")
                let events = try await maria.exchange(.get, "/v1/events", as: EventList.self).events
                #expect(!events.isEmpty && events.allSatisfy { $0.node == ours })
                let command = CommandRequest(kind: .sendLogs)
                _ = try await maria.exchange(.post, "/v1/nodes/\(ours)/commands", command, as: NodeCommand.self)
                #expect(
                    try await maria.failure(.post, "/v1/nodes/\(theirs)/commands", command).code == "not-permitted")
                // Neither out of one's reach nor into it.
                let away = LabelRequest(labels: ["site": "paris"])
                #expect(try await maria.failure(.post, "/v1/nodes/\(ours)/labels", away).code == "not-permitted")
                let hither = LabelRequest(labels: ["site": "berlin"])
                #expect(try await maria.failure(.post, "/v1/nodes/\(theirs)/labels", hither).code == "not-permitted")
                let more = LabelRequest(labels: ["rack": "7"])
                #expect(
                    try await maria.exchange(.post, "/v1/nodes/\(ours)/labels", more, as: NodeView.self).labels
                        == ["site": "berlin", "rack": "7"])
                // What is the whole site's is not a part's.
                for path in ["/v1/secrets", "/v1/users", "/v1/audit", "/v1/workload-policy", "/v1/registries"] {
                    #expect(try await maria.failure(.get, path).code == "not-permitted", "\(path)")
                }
            }
        }
    }

    @Test func commandsAreNoWayAroundTheVerbForProvisioningAnew() async throws {
        try await TestSite.run { site in
            let node = try await AdmittedNode.make(site)
            try await site.administrator { admin in
                _ = try await admin.exchange(
                    .put, "/v1/roles/hands", RoleRequest(verbs: ["node.operate"]), as: RoleView.self)
            }
            let token = try await site.user("hands", RoleGrant(role: "hands"))
            let id = node.id
            try await site.with(token: token) { hands in
                let wipe = CommandRequest(kind: .reprovision, wipeState: true)
                #expect(try await hands.failure(.post, "/v1/nodes/\(id)/commands", wipe).code == "not-permitted")
                _ = try await hands.exchange(
                    .post, "/v1/nodes/\(id)/commands", CommandRequest(kind: .sendLogs), as: NodeCommand.self)
            }
        }
    }

    @Test func joinTokensAdmitOnlyToWhereTheirMakerMayAdmit() async throws {
        try await TestSite.run { site in
            let token = try await site.user("anna", RoleGrant(role: "approver", scope: ["site": "berlin"]))
            try await site.with(token: token) { anna in
                @Sendable func request(_ labels: [String: String]) -> TokenRequest {
                    TokenRequest(note: "", uses: 1, lifetimeSeconds: 60, labels: labels)
                }
                #expect(try await anna.failure(.post, "/v1/tokens", request([:])).code == "not-permitted")
                #expect(
                    try await anna.failure(.post, "/v1/tokens", request(["site": "paris"])).code == "not-permitted")
                let made = try await anna.exchange(
                    .post, "/v1/tokens", request(["site": "berlin", "rack": "7"]), as: TokenView.self)
                _ = try await site.administrator { admin in
                    try await admin.exchange(.post, "/v1/tokens", request(["site": "paris"]), as: TokenView.self)
                }
                #expect(try await anna.exchange(.get, "/v1/tokens", as: TokenList.self).tokens.map(\.id) == [made.id])
            }
        }
    }
}

/// Users, roles and tokens themselves.
struct AccessServiceTests {
    @Test func nobodyHandsOnMoreThanTheyHave() async throws {
        try await TestSite.run { site in
            try await site.administrator { admin in
                _ = try await admin.exchange(
                    .put, "/v1/roles/clerk", RoleRequest(verbs: ["access.read", "access.write", "node.read"]),
                    as: RoleView.self)
                _ = try await admin.exchange(
                    .put, "/v1/users/boss", UserRequest(grants: [RoleGrant(role: "admin")]), as: UserView.self)
            }
            let token = try await site.user("clerk", RoleGrant(role: "clerk"))
            try await site.with(token: token) { clerk in
                let admin = UserRequest(grants: [RoleGrant(role: "admin")])
                #expect(try await clerk.failure(.put, "/v1/users/friend", admin).code == "more-than-own")
                #expect(try await clerk.failure(.put, "/v1/users/clerk", admin).code == "more-than-own")
                let role = RoleRequest(verbs: ["node.read", "node.upgrade"])
                #expect(try await clerk.failure(.put, "/v1/roles/more", role).code == "not-permitted")
                // Whoever could change the boss' password would be the boss.
                let password = UserRequest(password: "a long enough password")
                #expect(try await clerk.failure(.put, "/v1/users/boss", password).code == "more-than-own")
                #expect(try await clerk.failure(.delete, "/v1/users/boss").code == "more-than-own")
                let forBoss = APITokenRequest(user: "boss", note: "", lifetimeSeconds: 60)
                #expect(try await clerk.failure(.post, "/v1/api-tokens", forBoss).code == "more-than-own")
                let fine = UserRequest(grants: [RoleGrant(role: "clerk", scope: ["site": "berlin"])])
                _ = try await clerk.exchange(.put, "/v1/users/friend", fine, as: UserView.self)
            }
            #expect(
                try await site.audit().contains {
                    $0.who == "clerk" && $0.outcome == .refused && $0.detail == "more-than-own"
                })
        }
    }

    @Test func tokensEndByTimeRevocationDisablingAndTheirUsersRemoval() async throws {
        try await TestSite.run { site in
            let viewer = RoleGrant(role: "viewer")
            let tokens = try await [
                site.user("a", viewer), site.user("b", viewer), site.user("c", viewer), site.user("d", viewer),
            ]
            for token in tokens {
                try await site.with(token: token) { caller in
                    _ = try await caller.exchange(.get, "/v1/nodes", as: NodeList.self)
                }
            }
            try await site.administrator { admin in
                let ids = try await admin.exchange(.get, "/v1/api-tokens", as: APITokenList.self).tokens
                #expect(ids.count == 4 && ids.allSatisfy { $0.secret == nil && $0.usedSeconds != nil })
                let first = try #require(ids.first { $0.user == "a" })
                _ = try await admin.exchange(.post, "/v1/api-tokens/\(first.id)/revoke", as: APITokenView.self)
                _ = try await admin.exchange(.put, "/v1/users/b", UserRequest(isDisabled: true), as: UserView.self)
                _ = try await admin.exchange(.delete, "/v1/users/c", as: Acknowledgement.self)
            }
            site.clock.advance(3600)
            let codes = ["token-wrong", "token-wrong", "token-wrong", "token-expired"]
            for (token, code) in zip(tokens, codes) {
                try await site.with(token: token) { caller in
                    let failure = try await caller.failure(.get, "/v1/nodes")
                    #expect(failure.status == 401 && failure.code == code)
                }
            }
        }
    }

    @Test func tokenOfATokenReachesNoFurther() async throws {
        try await TestSite.run { site in
            let token = try await site.user(
                "maria", RoleGrant(role: "operator"), tokenGrants: [RoleGrant(role: "viewer")])
            try await site.with(token: token) { narrow in
                let wide = APITokenRequest(note: "", lifetimeSeconds: 60, grants: [RoleGrant(role: "operator")])
                #expect(try await narrow.failure(.post, "/v1/api-tokens", wide).code == "more-than-own")
                let all = APITokenRequest(note: "", lifetimeSeconds: 60)
                #expect(try await narrow.failure(.post, "/v1/api-tokens", all).code == "more-than-own")
                let same = APITokenRequest(note: "", lifetimeSeconds: 60, grants: [RoleGrant(role: "viewer")])
                let made = try await narrow.exchange(.post, "/v1/api-tokens", same, as: APITokenView.self)
                let secret = try #require(made.secret)
                try await site.with(token: secret) { caller in
                    let me = try await caller.exchange(.get, "/v1/whoami", as: WhoAmI.self)
                    #expect(me.name == "maria" && me.tokenGrants == [RoleGrant(role: "viewer")])
                    #expect(try await caller.failure(.get, "/v1/secrets").code == "not-permitted")
                }
            }
        }
    }

    @Test func badInputIsRefusedByName() async throws {
        try await TestSite.run { site in
            try await site.administrator { (admin) async throws in
                let cases: [(HTTPRequest.Method, String, any Encodable & Sendable, String)] = [
                    (.put, "/v1/users/Maria", UserRequest(), "user-name"),
                    (.put, "/v1/users/site%20administrator", UserRequest(), "user-name"),
                    (.put, "/v1/users/maria", UserRequest(password: "short"), "password"),
                    (.put, "/v1/users/maria", UserRequest(grants: [RoleGrant(role: "king")]), "role-unknown"),
                    (
                        .put, "/v1/users/maria",
                        UserRequest(grants: [RoleGrant(role: "viewer", scope: ["": "x"])]), "scope"
                    ),
                    (.put, "/v1/roles/admin", RoleRequest(verbs: ["node.read"]), "role-built-in"),
                    (.put, "/v1/roles/mine", RoleRequest(verbs: ["node.eat"]), "verb-unknown"),
                    (.put, "/v1/roles/mine", RoleRequest(verbs: []), "role-empty"),
                    (
                        .post, "/v1/api-tokens", APITokenRequest(user: "x", note: "", lifetimeSeconds: 60),
                        "user-unknown"
                    ),
                    (.post, "/v1/api-tokens", APITokenRequest(note: "", lifetimeSeconds: 60), "user-unknown"),
                    (
                        .post, "/v1/api-tokens", APITokenRequest(user: "admin", note: "", lifetimeSeconds: 0),
                        "token-lifetime"
                    ),
                ]
                for (method, path, message, code) in cases {
                    #expect(try await admin.failure(method, path, message).code == code, "\(path)")
                }
                #expect(try await admin.failure(.delete, "/v1/roles/mine").code == "role-unknown")
                #expect(try await admin.failure(.delete, "/v1/users/mine").code == "user-unknown")
            }
        }
    }

    @Test func roleThatSomebodyHasStays() async throws {
        try await TestSite.run { site in
            try await site.administrator { admin in
                _ = try await admin.exchange(
                    .put, "/v1/roles/mine", RoleRequest(verbs: ["node.read"]), as: RoleView.self)
                _ = try await admin.exchange(
                    .put, "/v1/users/maria", UserRequest(grants: [RoleGrant(role: "mine")]), as: UserView.self)
                let failure = try await admin.failure(.delete, "/v1/roles/mine")
                #expect(failure.code == "role-in-use" && failure.message.contains("'maria'"))
                _ = try await admin.exchange(.put, "/v1/users/maria", UserRequest(grants: []), as: UserView.self)
                _ = try await admin.exchange(.delete, "/v1/roles/mine", as: Acknowledgement.self)
            }
        }
    }
}
