import Contract
import Fetch
import Foundation
import Testing

/// A server whose disk is full says so, loses nothing, and goes on once there is room.
@Suite struct DiskFullTests {
    /// Whether this user may mount a small file system in a namespace of its own.
    static func canMount() async -> Bool {
        let attempt = ["--map-root-user", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"]
        return (try? await run("/usr/bin/unshare", attempt).code) == 0
    }

    @Test(.enabled("mounting takes a user namespace") { await canMount() }) func fullDiskIsNotHealthy() async throws {
        let server = try await RunningServer(memoryDisk: 8 << 20)
        let filler = server.data + "/filler"
        let file = open(filler, O_WRONLY | O_CREAT | O_EXCL, 0o600)
        try #require(file >= 0)
        defer { close(file) }
        for size in [64 << 10, 512] {
            let bytes = [UInt8](repeating: 1, count: size)
            while write(file, bytes, size) == size {}
        }
        let http = try HTTPClient(HTTPConfiguration(caCertificates: try server.caCertificate))
        let refusal = #expect(throws: FetchError.self) { try http.request("GET", server.address + "/healthz") }
        guard case .status(503, let error?)? = refusal else {
            Issue.record("the full disk was answered with \(String(describing: refusal))")
            return
        }
        #expect(error.code == "disk-full")
        #expect(error.message.contains("make room"))
        // It listens on: what only reads is answered.
        #expect(try await server.apus("release", "list").code == 0)
    }

    @Test(.enabled("mounting takes a user namespace") { await canMount() }) func fullDiskIsSaidAndNothingIsLost()
        async throws
    {
        let server = try await RunningServer(memoryDisk: 1 << 20)
        let http = try HTTPClient(HTTPConfiguration(caCertificates: try server.caCertificate))
        let secret = try String(contentsOfFile: server.data + "/admin.token", encoding: .utf8)
        let operatorsToken = HTTPHeader.bearer(secret.trimmingCharacters(in: .newlines))
        let request = TokenRequest(
            note: String(repeating: "n", count: 250), uses: 1, lifetimeSeconds: 3600,
            labels: ["a": String(repeating: "v", count: 250)])
        var made: [String] = []
        var refusal: FetchError?
        for _ in 0..<500 where refusal == nil {
            do {
                let reply = try http.request(
                    "POST", server.address + "/v1/tokens", headers: [operatorsToken, .json],
                    body: try Wire.encode(request))
                made.append(try Wire.decode(TokenView.self, from: reply.body).id)
            } catch let error as FetchError {
                refusal = error
            }
        }
        guard case .status(507, let error?)? = refusal else {
            Issue.record("the full disk was answered with \(String(describing: refusal))")
            return
        }
        #expect(error.code == "disk-full")
        #expect(error.message.contains("make room"))
        #expect(refusal?.isTransient == true, "a node tries again")
        let shown = try await server.apus("token", "list", "--json").json(TokenList.self).tokens.map(\.id)
        #expect(Set(shown) == Set(made), "what was answered with success is there, and nothing else")
        #expect(try await server.apus("token", "create").errors.contains("make room"))

        let backup = try await run(
            Programs.apusd, ["backup", "--data", server.data, server.data + "/../backup.tar"])
        #expect(backup.code == 1)
        #expect(backup.errors.contains("no room"))
    }
}
