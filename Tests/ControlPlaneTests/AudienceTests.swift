import Contract
import HTTPTypes
import Testing

@testable import ControlPlane

/// Every route, one after the other: who is not its audience gets nothing from it.
struct AudienceTests {
    /// A path with something in the place of each parameter.
    static func path(_ route: RouteBook.Route) -> String {
        route.path.split(separator: "/").map { part in
            switch part {
            case ":id": String(repeating: "1", count: 26)
            case ":name" where route.path.hasPrefix("/v1/releases"): String(repeating: "a", count: 64)
            default: part.hasPrefix(":") ? "something" : String(part)
            }
        }.map { "/" + $0 }.joined()
    }

    @Test func everyRouteIsForItsAudienceAlone() async throws {
        try await TestSite.run { site in
            let node = try await AdmittedNode.make(site)
            let closed = site.routes.filter { $0.access != OpenContext.self }
            #expect(closed.count > 70 && site.routes.count - closed.count == 6)
            try await site.anyone { caller in
                for route in closed {
                    let failure = try await caller.failure(route.method, Self.path(route))
                    #expect(failure.status == 401, "\(route.method) \(route.path)")
                }
            }
            try await site.administrator { caller in
                for route in closed where route.access == NodeContext.self {
                    let failure = try await caller.failure(route.method, Self.path(route))
                    #expect(failure.code == "certificate-required", "\(route.method) \(route.path)")
                }
            }
            try await node.connect(site) { caller in
                for route in closed where route.access == OperatorContext.self {
                    let failure = try await caller.failure(route.method, Self.path(route))
                    #expect(failure.code == "operators-only", "\(route.method) \(route.path)")
                }
            }
            let others = closed.filter { $0.access != NodeContext.self && $0.access != OperatorContext.self }
            #expect(
                others.allSatisfy { $0.path.hasPrefix("/v1/releases/") && $0.method == .get },
                "releases alone are for both")
        }
    }
}
