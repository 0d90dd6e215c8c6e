import Contract
import HTTPTypes
import HummingbirdTesting
import TestSupport
import Testing

@testable import ControlPlane

/// Bodies that nobody meant, for every route that takes one.
struct RandomBodyTests {
    /// What one or the other route would take.
    private static let bodies = [
        #"{"grants":[{"role":"viewer","scope":{"site":"berlin"}}],"isDisabled":false,"unlocks":true}"#,
        #"{"verbs":["node.read","audit.read"]}"#, #"{"user":"maria","password":"x","note":"n"}"#,
        #"{"user":"admin","note":"n","lifetimeSeconds":60,"grants":[{"role":"viewer"}]}"#,
        #"{"labels":{"rack":"7","site":null}}"#, #"{"note":"","uses":1,"lifetimeSeconds":60,"labels":{"a":"b"}}"#,
        #"{"kind":"send-logs","wipeState":true}"#, #"{"code":"123-456"}"#, #"{"enabled":true,"reason":"r"}"#,
        #"{"name":"something","image":"registry.example/a@sha256:00","ports":["80:80"]}"#, #"{"value":"aGk="}"#,
    ].map { Array($0.utf8) }

    @Test func noRouteFailsAtABodyOfChance() async throws {
        try await TestSite.run { site in
            let routes = site.routes.filter {
                $0.access != NodeContext.self && $0.method != .get && $0.path != "/v1/login"
            }
            #expect(routes.count > 40)
            try await site.administrator { admin in
                var mutator = ByteMutator(seed: 20_261_124)
                for route in routes {
                    for _ in 0..<12 {
                        let body = mutator.change(Self.bodies[mutator.random(Self.bodies.count)])
                        let reply = try await admin.send(route.method, AudienceTests.path(route), body: body)
                        let text = String(decoding: body, as: UTF8.self)
                        #expect(reply.status.code < 500, "\(route.method) \(route.path): \(reply.status) for \(text)")
                        guard reply.status.code >= 400 else { continue }
                        #expect(try Failure(reply).message.count > 20, "\(route.method) \(route.path): \(text)")
                    }
                }
                #expect(try await admin.send(.get, "/healthz").status == .ok)
            }
            _ = try await site.audit()
        }
    }
}
