import Access
import Contract
import Testing

struct RightsTests {
    private let roles = RoleBook(own: ["watcher": [.nodeRead, .eventRead]])

    private func rights(_ grants: RoleGrant...) -> Rights { Rights(grants, roles: roles) }

    @Test func nothingIsAllowedWithoutAGrant() {
        for verb in Verb.allCases {
            #expect(!Rights([], roles: roles).allows(verb))
            #expect(!Rights([], roles: roles).allowsSomewhere(verb))
            #expect(!Rights([RoleGrant(role: "gone")], roles: roles).allowsSomewhere(verb))
        }
    }

    @Test func adminHasEveryVerbAndViewerChangesNothing() {
        for verb in Verb.allCases {
            #expect(rights(RoleGrant(role: "admin")).allows(verb))
            if rights(RoleGrant(role: "viewer")).allows(verb) { #expect(verb.rawValue.hasSuffix(".read"), "\(verb)") }
        }
        #expect(!rights(RoleGrant(role: "viewer")).allows(.secretRead))
        #expect(!rights(RoleGrant(role: "viewer")).allows(.auditRead))
    }

    @Test func scopeBoundsEveryVerbToNodesWithAllItsLabels() {
        let berlin = rights(RoleGrant(role: "operator", scope: ["site": "berlin", "rack": "7"]))
        #expect(berlin.allows(.nodeUpgrade, on: ["site": "berlin", "rack": "7", "more": "x"]))
        for labels in [[:], ["site": "berlin"], ["site": "paris", "rack": "7"], ["rack": "7"]] {
            #expect(!berlin.allows(.nodeUpgrade, on: labels), "\(labels)")
        }
        #expect(!berlin.allows(.nodeUpgrade), "the site as a whole is no node of Berlin's")
        #expect(berlin.allowsSomewhere(.nodeUpgrade))
        #expect(!berlin.allowsSomewhere(.accessWrite))
    }

    @Test func tokenNeverReachesFurtherThanItsUser() {
        let user = rights(RoleGrant(role: "operator", scope: ["site": "berlin"]))
        let token = user.restricted(to: rights(RoleGrant(role: "admin")))
        let narrow = user.restricted(to: rights(RoleGrant(role: "viewer")))
        for verb in Verb.allCases {
            for labels in [[:], ["site": "berlin"], ["site": "paris"]] {
                #expect(token.allows(verb, on: labels) == user.allows(verb, on: labels))
                if narrow.allows(verb, on: labels) { #expect(user.allows(verb, on: labels)) }
            }
        }
        #expect(narrow.allows(.nodeRead, on: ["site": "berlin"]))
        #expect(!narrow.allows(.nodeUpgrade, on: ["site": "berlin"]))
    }

    @Test func nobodyHandsOnMoreThanTheyHave() {
        let maker = rights(RoleGrant(role: "operator", scope: ["site": "berlin"]), RoleGrant(role: "viewer"))
        #expect(maker.excess(of: rights(RoleGrant(role: "viewer", scope: ["site": "paris"]))) == nil)
        #expect(maker.excess(of: rights(RoleGrant(role: "operator", scope: ["site": "berlin", "rack": "1"]))) == nil)
        #expect(maker.excess(of: rights(RoleGrant(role: "operator"))) != nil)
        #expect(maker.excess(of: rights(RoleGrant(role: "operator", scope: ["site": "paris"]))) != nil)
        #expect(maker.excess(of: rights(RoleGrant(role: "admin", scope: ["site": "berlin"]))) != nil)
        #expect(rights(RoleGrant(role: "admin")).excess(of: .all) == nil)
        #expect(maker.restricted(to: .none).excess(of: rights(RoleGrant(role: "viewer"))) != nil)
    }

    /// Grants of chance: whatever is allowed is allowed by one of them alone, and another grant never takes anything away.
    @Test func anotherGrantOnlyAddsAndOrderDoesNotMatter() {
        var chance = SystemRandomNumberGenerator()
        let names = RoleBook.builtIn.keys.sorted() + ["watcher", "gone"]
        func labels() -> [String: String] {
            var labels: [String: String] = [:]
            for key in ["site", "rack"] where Bool.random() { labels[key] = ["a", "b"].randomElement() }
            return labels
        }
        for _ in 0..<300 {
            let grants = (0..<Int.random(in: 0...4)).map { _ in
                RoleGrant(role: names.randomElement(using: &chance) ?? "viewer", scope: labels())
            }
            let more = RoleGrant(role: names.randomElement(using: &chance) ?? "viewer", scope: labels())
            let verb = Verb.allCases.randomElement(using: &chance) ?? .nodeRead
            let place = labels()
            let before = Rights(grants, roles: roles).allows(verb, on: place)
            #expect(before == grants.contains { Rights([$0], roles: roles).allows(verb, on: place) })
            #expect(before == Rights(grants.shuffled(), roles: roles).allows(verb, on: place))
            if before { #expect(Rights(grants + [more], roles: roles).allows(verb, on: place)) }
            #expect(
                Rights(grants, roles: roles).excess(of: Rights(Array(grants.dropFirst()), roles: roles)) == nil)
        }
    }
}

struct AccessRuleTests {
    @Test(arguments: ["a", "maria.k", "ci-7", "x@example.com"]) func acceptsNames(_ name: String) {
        #expect(AccessName.problem(name) == nil)
    }

    @Test(arguments: [
        "", "Maria", "-a", ".a", "a b", "a/b", "ä", "site administrator", String(repeating: "a", count: 64), "a\n",
    ])
    func refusesNames(_ name: String) { #expect(AccessName.problem(name) != nil) }

    @Test func passwordsAreLongAndNotTheObvious() {
        #expect(PasswordRule.problem("correct horse battery", user: "maria") == nil)
        for password in ["", "short", "aaaaaaaaaaaaaaaa", String(repeating: "ab", count: 600), "maria.longname"] {
            #expect(PasswordRule.problem(password, user: "maria.longname") != nil, "\(password.prefix(20))")
        }
    }

    @Test func waitsGrowToAnHour() {
        #expect((0..<5).allSatisfy { LockOut.waitSeconds(afterFailures: $0) == 0 })
        #expect([5, 6, 7].map(LockOut.waitSeconds(afterFailures:)) == [60, 120, 240])
        #expect([11, 12, 1000].map(LockOut.waitSeconds(afterFailures:)) == [3600, 3600, 3600])
    }
}
