import Contract
import ControlPlane
import Cryptography
import Foundation
import Testing
import Workloads

@testable import apusd

/// A registry on the loopback interface that has one manifest, over TLS, for those who know the password.
private final class LoopbackRegistry {
    let port: Int
    let authority: CertificateAuthority
    private let process = Process()
    private let folder: URL

    static let manifest = #"""
        {"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},"layers":[]}
        """#

    init() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("apus-tags-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        authority = try CertificateAuthority.create(
            name: "test", notBeforeSeconds: 1_000_000_000, notAfterSeconds: 4_000_000_000)
        let key = try P256PrivateKey()
        let issued = try authority.issueServerCertificate(
            dnsNames: ["localhost"], ipAddresses: ["127.0.0.1"], key: key.publicKey,
            notBeforeSeconds: 1_000_000_000, notAfterSeconds: 4_000_000_000)
        try Data((issued.pem() + key.pem()).utf8).write(to: folder.appendingPathComponent("server.pem"))
        try Data(Self.manifest.utf8).write(to: folder.appendingPathComponent("manifest"))
        try Data(Self.program.utf8).write(to: folder.appendingPathComponent("server.py"))
        process.executableURL = URL(fileURLWithPath: "/usr/bin/python3")
        process.arguments = [folder.appendingPathComponent("server.py").path, folder.path]
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let line = String(decoding: output.fileHandleForReading.availableData, as: UTF8.self)
        port = try #require(Int(line.trimmingCharacters(in: .whitespacesAndNewlines)))
    }

    deinit {
        // Not SIGTERM: a child of a test's thread inherits that signal blocked.
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        try? FileManager.default.removeItem(at: folder)
    }

    private static let program = #"""
        import base64, http.server, ssl, sys
        folder = sys.argv[1]
        good = "Basic " + base64.b64encode(b"user:secret").decode()
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            def log_message(self, *_): pass
            def reply(self, status, body=b"", headers={}):
                self.send_response(status)
                for name, value in headers.items(): self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            def do_GET(self):
                if self.headers.get("Authorization") != good:
                    return self.reply(401, b"{}", {"WWW-Authenticate": 'Basic realm="test"'})
                if self.path == "/v2/app/manifests/text": return self.reply(200, b"hello", {"Content-Type": "text/plain"})
                if self.path != "/v2/app/manifests/1": return self.reply(404, b"{}")
                body = open(folder + "/manifest", "rb").read()
                self.reply(200, body, {"Content-Type": "application/vnd.oci.image.manifest.v1+json"})
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder + "/server.pem")
        server.socket = context.wrap_socket(server.socket, server_side=True)
        print(server.server_address[1], flush=True)
        server.serve_forever()
        """#
}

struct RegistryTagsTests {
    private let registry: LoopbackRegistry
    private let host: String

    init() throws {
        registry = try LoopbackRegistry()
        host = "localhost:\(registry.port)"
    }

    private func account(_ password: String = "secret", trusting: Bool = true) throws -> RegistryAccount {
        RegistryAccount(
            host: host, username: "user", password: SecretValue(bytes: Array(password.utf8)),
            caPEM: trusting ? try registry.authority.certificate.pem() : nil)
    }

    private func ask(_ tag: String, _ account: RegistryAccount?) async throws -> Digest256 {
        let image = try #require(WorkloadImage("\(host)/app:\(tag)"))
        return try await RegistryTags().digest(of: image, account: account)
    }

    @Test func aTagBecomesTheDigestOfItsManifest() async throws {
        let digest = try await ask("1", try account())
        #expect(digest == Digest256(bytes: SHA256.digest(Array(LoopbackRegistry.manifest.utf8))))
    }

    @Test func everyRefusalIsASentenceWithoutThePassword() async throws {
        for (tag, account) in [
            ("2", try account()), ("text", try account()), ("1", try account("wrong")),
            ("1", try account(trusting: false)), ("1", nil),
        ] {
            let problem = await #expect(throws: TagProblem.self) { try await self.ask(tag, account) }
            #expect(problem?.description.isEmpty == false)
            #expect(problem?.description.contains("secret") == false && problem?.description.contains("wrong") == false)
        }
    }
}
