import Cryptography
import Fetch
import TestSupport
import Testing

/// A real HTTPS server on the loopback interface: Python's, with byte ranges and a few ways to misbehave.
final class TestServer {
    private let serving: ServingProgram
    private let folder: Scratch
    let port: Int
    let authority: CertificateAuthority

    enum Certificate { case good, expired, notYetValid, wrongName }

    static let start: Int64 = 1_000_000_000
    static let end: Int64 = 4_000_000_000
    static let payload = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 8) }

    init(_ certificate: Certificate = .good) throws {
        authority = try CertificateAuthority.create(
            name: "test", notBeforeSeconds: Self.start, notAfterSeconds: Self.end)
        folder = try Scratch()
        let key = try P256PrivateKey()
        let issued = try authority.issueServerCertificate(
            dnsNames: certificate == .wrongName ? ["other.example"] : ["localhost"],
            ipAddresses: certificate == .wrongName ? [] : ["127.0.0.1"], key: key.publicKey,
            notBeforeSeconds: certificate == .notYetValid ? Self.end - 10 : Self.start,
            notAfterSeconds: certificate == .expired ? Self.start + 10 : Self.end)
        try folder.file("ca.pem", authority.certificate.pem())
        try folder.file("server.pem", issued.pem() + key.pem())
        try folder.file("payload", Self.payload)
        serving = try ServingProgram("/usr/bin/python3", [folder.file("server.py", Self.program), folder.path])
        port = try #require(serving.ports.first)
    }

    var base: String { "https://127.0.0.1:\(port)" }

    func configuration(
        ca: CertificateAuthority? = nil, identity: ClientIdentity? = nil
    ) throws -> HTTPConfiguration {
        HTTPConfiguration(caCertificates: try (ca ?? authority).certificate.pem(), identity: identity)
    }

    func client() throws -> HTTPClient { try HTTPClient(configuration()) }

    /// Paths say how the server behaves.
    private static let program = #"""
        import http.server, json, os, ssl, sys, threading
        folder = sys.argv[1]
        payload = open(folder + "/payload", "rb").read()
        calls = {}
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            def log_message(self, *_): pass
            def reply(self, status, body, headers={}):
                self.send_response(status)
                for name, value in headers.items(): self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            def do_GET(self):
                path = self.path
                calls[path] = calls.get(path, 0) + 1
                wanted = self.headers.get("Range")
                if path == "/connection": return self.reply(200, str(self.client_address[1]).encode())
                if path == "/error": return self.reply(409, b'{"code":"stale-plan","message":"Ask again."}')
                if path == "/busy":
                    return self.reply(503, b"no json") if calls[path] < 3 else self.reply(200, b"at last")
                if path == "/redirect": return self.reply(302, b"", {"Location": "https://127.0.0.2/payload"})
                if path == "/silent": threading.Event().wait()
                if path == "/client":
                    subject = self.connection.getpeercert() or {}
                    return self.reply(200, json.dumps(subject.get("subject", [])).encode())
                if path == "/whole": return self.reply(200, payload)
                if path == "/endless":
                    self.send_response(200)
                    self.end_headers()
                    self.close_connection = True
                    try:
                        while True: self.wfile.write(payload)
                    except OSError: return
                if wanted is None: return self.reply(200, payload)
                first, last = wanted.removeprefix("bytes=").split("-")
                first, last = int(first), int(last)
                if last >= len(payload): return self.reply(416, b"")
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {first}-{last}/{len(payload)}")
                self.send_header("Content-Length", str(last + 1 - first))
                self.end_headers()
                body = payload[first:last + 1]
                if path == "/breaks" and calls[path] <= 3:
                    self.wfile.write(body[:50_000])
                    self.close_connection = True
                    return
                if path == "/dies":
                    self.close_connection = True
                    return
                self.wfile.write(body)
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                told = {"method": self.command, "bytes": len(body), "sum": sum(body),
                        "authorization": self.headers.get("Authorization"), "type": self.headers.get("Content-Type")}
                self.reply(200, json.dumps(told).encode())
            do_PUT = do_POST
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder + "/server.pem")
        context.load_verify_locations(folder + "/ca.pem")
        context.verify_mode = ssl.CERT_OPTIONAL
        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            def handle_error(self, *_): pass
            def finish_request(self, request, address):
                with context.wrap_socket(request, server_side=True) as secure:
                    Handler(secure, address, self)
        server = Server(("127.0.0.1", 0), Handler)
        print(server.server_address[1], flush=True)
        server.serve_forever()
        """#
}
