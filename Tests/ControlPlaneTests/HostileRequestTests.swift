import Contract
import Foundation
import HTTPTypes
import HummingbirdTesting
import NIOCore
import Testing

@testable import ControlPlane

/// Requests that nobody should send: each gets an error in JSON, and the server goes on.
struct HostileRequestTests {
    private struct Case {
        var method: HTTPRequest.Method
        var path: String
        var body: [UInt8]?
        var status: Int
        var code: String

        init(
            _ method: HTTPRequest.Method, _ path: String, _ status: Int, _ code: String, body: String? = nil,
            bytes: Int? = nil
        ) {
            self.method = method
            self.path = path
            self.body = bytes.map { [UInt8](repeating: UInt8(ascii: " "), count: $0) } ?? body.map { Array($0.utf8) }
            self.status = status
            self.code = code
        }
    }

    private static let unknownNode = String(repeating: "1", count: 26)
    private static let unknownRelease = String(repeating: "a", count: 64)

    private static let fromAdministrator: [Case] = [
        Case(.get, "/", 404, "route-unknown"),
        Case(.get, "/v2/nodes", 404, "route-unknown"),
        Case(.get, "/v1/../v1/nodes", 404, "route-unknown"),
        Case(.delete, "/v1/nodes", 405, "method-not-allowed"),
        Case(.post, "/healthz", 405, "method-not-allowed", body: "{}"),
        Case(.get, "/v1/nodes/nonsense", 404, "node-unknown"),
        Case(.get, "/v1/nodes/\(unknownNode)", 404, "node-unknown"),
        Case(.get, "/v1/nodes/\(unknownNode)/logs", 404, "node-unknown"),
        Case(.get, "/v1/events?after=-1", 400, "malformed"),
        Case(.get, "/v1/events?waitSeconds=100000", 400, "malformed"),
        Case(.get, "/v1/events?node=me", 400, "malformed"),
        Case(.post, "/v1/tokens", 400, "malformed"),
        Case(.post, "/v1/tokens", 400, "malformed", body: ""),
        Case(.post, "/v1/tokens", 400, "malformed", body: "nonsense"),
        Case(.post, "/v1/tokens", 400, "malformed", body: "[]"),
        Case(.post, "/v1/tokens", 400, "malformed", body: #"{"note":"x"}"#),
        Case(.post, "/v1/tokens", 400, "malformed", body: #"{"note":"x","uses":"1","lifetimeSeconds":1,"labels":{}}"#),
        Case(.post, "/v1/tokens", 400, "token-uses", body: #"{"note":"x","uses":0,"lifetimeSeconds":1,"labels":{}}"#),
        Case(
            .post, "/v1/tokens", 400, "token-lifetime", body: #"{"note":"x","uses":1,"lifetimeSeconds":-1,"labels":{}}"#
        ),
        Case(
            .post, "/v1/tokens", 400, "label",
            body: #"{"note":"x","uses":1,"lifetimeSeconds":1,"labels":{"apus.x":"y"}}"#),
        Case(.post, "/v1/tokens", 413, "body-too-large", bytes: 100_000),
        Case(.post, "/v1/tokens", 400, "malformed", body: String(repeating: "[", count: 60_000)),
        Case(.post, "/v1/tokens/nonsense/revoke", 404, "token-unknown"),
        Case(.post, "/v1/nodes/\(unknownNode)/upgrade", 400, "malformed", body: #"{"release":"short"}"#),
        Case(
            .post, "/v1/nodes/\(unknownNode)/upgrade", 404, "node-unknown", body: #"{"release":"\#(unknownRelease)"}"#),
        Case(.post, "/v1/nodes/\(unknownNode)/commands", 400, "malformed", body: #"{"kind":"explode"}"#),
        Case(.post, "/v1/nodes/\(unknownNode)/reprovision", 400, "malformed", body: #"{"kind":"reboot"}"#),
        Case(
            .post, "/v1/release-keys", 400, "release-key",
            body: #"{"keytype":"rsa","scheme":"rsa","keyval":{"public":"x"}}"#),
        Case(
            .post, "/v1/release-keys", 400, "release-key",
            body: #"{"keytype":"ed25519","scheme":"ed25519","keyval":{"public":"x"}}"#),
        Case(.get, "/v1/releases/nonsense/pack", 404, "release-unknown"),
        Case(.get, "/v1/releases/\(unknownRelease)/pack", 404, "release-unknown"),
        Case(.get, "/v1/releases/\(unknownRelease)/passwd", 404, "route-unknown"),
        Case(.put, "/v1/releases/\(unknownRelease)/manifest.json", 413, "body-too-large", bytes: (1 << 20) + 1),
        Case(.post, "/v1/releases/\(unknownRelease)/publish", 409, "no-release-keys"),
        Case(.post, "/v1/releases/\(unknownRelease)/default", 404, "release-unknown"),
        Case(.put, "/v1/boot-artifact", 422, "boot-artifact-refused", body: "<html>"),
        Case(.put, "/v1/boot-artifact?architecture=vax", 400, "malformed", body: "x"),
        Case(.get, "/boot/..%2fadmin.token", 404, "not-found"),
        Case(.get, "/boot/nothing.efi", 404, "not-found"),
        Case(.get, "/v1/node/plan", 401, "certificate-required"),
    ]

    @Test func administratorGetsErrorsThatSayWhatToDo() async throws {
        try await TestSite.run { site in
            try await site.administrator { caller in
                for item in Self.fromAdministrator {
                    let response = try await caller.send(item.method, item.path, body: item.body)
                    let failure = try Failure(response)
                    let place = Comment(rawValue: "\(item.method) \(item.path)")
                    #expect(failure.status == item.status, place)
                    #expect(failure.code == item.code, place)
                    #expect(failure.message.count > 20, place)
                    #expect(response.headers[.contentType] == "application/json", place)
                }
                #expect(try await caller.send(.get, "/healthz").status == .ok)
            }
        }
    }

    @Test func nobodyGetsAnythingButTheOpenRoutes() async throws {
        let closed: [(HTTPRequest.Method, String)] = [
            (.get, "/v1/nodes"), (.get, "/v1/nodes/\(Self.unknownNode)"),
            (.post, "/v1/nodes/\(Self.unknownNode)/approve"),
            (.get, "/v1/events"), (.get, "/v1/tokens"), (.post, "/v1/tokens"), (.get, "/v1/releases"),
            (.get, "/v1/releases/\(Self.unknownRelease)/pack"), (.put, "/v1/releases/\(Self.unknownRelease)/pack"),
            (.get, "/v1/release-keys"), (.post, "/v1/release-keys"), (.put, "/v1/boot-artifact"), (.get, "/v1/trust"),
            (.get, "/v1/node/plan"), (.get, "/v1/node/desired"), (.post, "/v1/node/status"), (.post, "/v1/node/steps"),
            (.post, "/v1/node/log"), (.post, "/v1/node/events"),
        ]
        try await TestSite.run { site in
            try await site.anyone { caller in
                for (method, path) in closed {
                    #expect(
                        try await caller.send(method, path, body: method == .get ? nil : []).status == .unauthorized)
                    let wrong = try await caller.failure(
                        method, path, headers: [.authorization: "Bearer \(site.adminToken)x"])
                    #expect(wrong.status == 401)
                }
                #expect(try await caller.send(.get, "/healthz").status == .ok)
                #expect(try await caller.send(.head, "/healthz").status == .ok)
            }
            try await site.plain { caller in
                for (method, path) in closed {
                    let failure = try await caller.failure(
                        method, path, headers: [.authorization: "Bearer \(site.adminToken)"])
                    #expect(failure.code == "route-unknown", "the plain port has nothing of the API")
                }
                #expect(try await caller.send(.get, "/healthz").status == .ok)
            }
        }
    }

    @Test(arguments: [
        (#"{"format":1}"#, "certificateRequest"),
        (#"{"format":1,"certificateRequest":"x","commitment":"00","inventory":{}}"#, "commitment"),
    ])
    func malformedRegistrationNamesTheField(_ body: String, _ field: String) async throws {
        try await TestSite.run { site in
            let response = try await site.anyone {
                try await $0.send(.post, "/v1/registrations", body: Array(body.utf8))
            }
            let failure = try Failure(response)
            #expect(failure.code == "malformed")
            #expect(failure.message.contains("'\(field)"))
        }
    }

    @Test func certificateRequestMustBeSigned() async throws {
        try await TestSite.run { site in
            var request = try TestNode().request()
            request.certificateRequest = request.certificateRequest.replacingOccurrences(of: "A", with: "B")
            let sent = request
            let failure = try await site.anyone { try await $0.failure(.post, "/v1/registrations", sent) }
            #expect(failure.code == "malformed")
            #expect(failure.message.contains("certificateRequest"))
        }
    }

    @Test func oversizedHeadersGetJSONToo() async throws {
        try await TestSite.run { site in
            let response = try await site.anyone {
                try await $0.send(.get, "/healthz", headers: [.userAgent: String(repeating: "x", count: 40_000)])
            }
            #expect(response.status == .requestHeaderFieldsTooLarge)
            #expect(try Failure(response).code == "headers-too-large")
        }
    }
}
