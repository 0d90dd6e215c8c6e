import Contract
import Cryptography
import Fetch
import Foundation
import Linux
import Node
import TestSupport
import Testing

/// A real HTTPS server on the loopback interface, Python's, that gives canned replies and remembers what it was asked.
final class CannedServer {
    private let serving: ServingProgram
    private let folder: Scratch
    let authority: CertificateAuthority
    let port: Int

    init(_ replies: [String: (status: Int, body: String)]) throws {
        let (start, end) = (Int64(1_000_000_000), Int64(4_000_000_000))
        authority = try CertificateAuthority.create(name: "test", notBeforeSeconds: start, notAfterSeconds: end)
        let key = try P256PrivateKey()
        let issued = try authority.issueServerCertificate(
            dnsNames: ["localhost"], ipAddresses: ["127.0.0.1"], key: key.publicKey, notBeforeSeconds: start,
            notAfterSeconds: end)
        folder = try Scratch()
        try folder.file("server.pem", issued.pem() + key.pem())
        let table = replies.mapValues { ["status": "\($0.status)", "body": $0.body] }
        try folder.file("replies.json", Wire.encode(table))
        serving = try ServingProgram("/usr/bin/python3", [folder.file("server.py", Self.program), folder.path])
        port = try #require(serving.ports.first)
    }

    func client() throws -> ServerClient {
        try ServerClient(endpoint: "https://127.0.0.1:\(port)", caCertificate: try authority.certificate.pem())
    }

    /// Lines of method, path, authorization and body.
    func requests() throws -> [String] {
        try folder.text("requests").split(separator: "\n").map(String.init)
    }

    private static let program = #"""
        import http.server, json, ssl, sys
        folder = sys.argv[1]
        replies = json.load(open(folder + "/replies.json"))
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            def log_message(self, *_): pass
            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                with open(folder + "/requests", "a") as log:
                    log.write(f"{self.command} {self.path} {self.headers.get('Authorization')} {body}\n")
                reply = replies.get(f"{self.command} {self.path}", {"status": "404", "body": "{}"})
                self.send_response(int(reply["status"]))
                self.send_header("Content-Length", str(len(reply["body"].encode())))
                self.end_headers()
                self.wfile.write(reply["body"].encode())
            do_GET = do_POST = answer
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder + "/server.pem")
        server.socket = context.wrap_socket(server.socket, server_side=True)
        print(server.server_address[1], flush=True)
        server.serve_forever()
        """#
}

@Suite struct ServerClientTests {
    let reply = RegistrationReply(
        registrationID: "r-1", secret: "hidden", serverNonce: String(repeating: "0", count: 64), clockSeconds: 7)

    @Test func registrationKeepsItsSecretInTheHeader() throws {
        let status = RegistrationStatus(state: .pending, reason: "a person must approve")
        let json = String(decoding: try Wire.encode(status), as: UTF8.self)
        let server = try CannedServer([
            "POST /v1/registrations/r-1/reveal": (200, json),
            "GET /v1/registrations/r-1?waitSeconds=5": (200, json),
        ])
        let client = try server.client()
        #expect(try client.reveal(RegistrationReveal(nodeNonce: "ab"), of: reply) == status)
        #expect(try client.registration(reply, waitSeconds: 5) == status)
        let requests = try server.requests()
        #expect(requests.allSatisfy { $0.contains("Bearer hidden") })
        #expect(requests[0].contains(#"{"nodeNonce":"ab"}"#))
    }

    @Test func aNameThatChangesThePathIsRefused() throws {
        let server = try CannedServer([:])
        var hostile = reply
        hostile.registrationID = "../nodes"
        #expect(throws: NodeError.self) { try server.client().registration(hostile, waitSeconds: 1) }
        #expect(throws: (any Error).self) { try server.requests() }
    }

    @Test func onlyANewerGenerationIsNews() throws {
        let state = DesiredState(generation: 4, release: nil, releaseVersion: nil, commands: [])
        let json = String(decoding: try Wire.encode(state), as: UTF8.self)
        let server = try CannedServer([
            "GET /v1/node/desired?after=3&waitSeconds=0": (200, json),
            "GET /v1/node/desired?after=4&waitSeconds=0": (200, json),
            "GET /v1/node/desired?after=5&waitSeconds=0": (204, ""),
        ])
        let client = try server.client()
        #expect(try client.desired(after: 3, waitSeconds: 0) == state)
        #expect(try client.desired(after: 4, waitSeconds: 0) == nil)
        #expect(try client.desired(after: 5, waitSeconds: 0) == nil)
    }

    @Test func aFrameTableOfAnotherSizeIsRefused() throws {
        let release = try #require(Digest256(hex: String(repeating: "a", count: 64)))
        let server = try CannedServer(["GET /v1/releases/\(release)/frames": (200, "12345")])
        let client = try server.client()
        #expect(try client.frameTable(of: release, sizeBytes: 5) == Array("12345".utf8))
        #expect(throws: NodeError.self) { try client.frameTable(of: release, sizeBytes: 6) }
        #expect(throws: (any Error).self) { try client.frameTable(of: release, sizeBytes: 4) }
        #expect(throws: NodeError.self) { try client.frameTable(of: release, sizeBytes: 1 << 40) }
    }

    @Test func theServersReasonReachesThePerson() throws {
        let server = try CannedServer([
            "POST /v1/registrations": (403, #"{"code":"token-expired","message":"the token has expired"}"#)
        ])
        let request = RegistrationRequest(
            certificateRequest: "", commitment: try #require(Digest256(hex: String(repeating: "0", count: 64))),
            token: "t", inventory: InventoryReader().inventory(), bootArtifactVersion: "1")
        let error = #expect(throws: FetchError.self) { try server.client().register(request) }
        #expect(error?.description.contains("the token has expired") == true)
    }

    @Test func anotherAuthorityIsNotBelieved() throws {
        let server = try CannedServer(["GET /healthz": (200, "{}")])
        try server.client().checkHealth()
        let other = try CertificateAuthority.create(
            name: "other", notBeforeSeconds: 1_000_000_000, notAfterSeconds: 4_000_000_000)
        let client = try ServerClient(
            endpoint: "https://127.0.0.1:\(server.port)", caCertificate: try other.certificate.pem())
        #expect(throws: FetchError.self) { try client.checkHealth() }
    }

    @Test func reportsArriveInOrderAndTheWorkDoesNotWait() throws {
        let server = try CannedServer([
            "POST /v1/node/steps": (200, "{}"), "POST /v1/node/log": (200, "{}"),
        ])
        let queue = ReportQueue()
        queue.add(StepReport(sequence: "provision", step: "first", state: .started, milliseconds: 0))
        queue.add(line: "a line")
        let sender = try ReportSender(
            queue: queue, source: "init",
            access: ServerAccess(
                endpoint: "https://127.0.0.1:\(server.port)", caCertificate: try server.authority.certificate.pem()))
        #expect(sender.flush(milliseconds: 20_000))
        let requests = try server.requests()
        #expect(requests.count == 2)
        #expect(requests[0].contains(#""step":"first""#))
        #expect(requests[1].contains("a line"))
    }
}
