import Contract
import Cryptography
import Images
import TestSupport
import Testing

/// A real registry on the loopback interface: Python's server with the distribution specification's routes for pulling.
/// The first part of a repository's name says how it behaves; a second port plays the store of blobs elsewhere.
final class RegistryServer {
    private let serving: ServingProgram
    private let folder: Scratch
    let port: Int
    let blobPort: Int
    let authority: CertificateAuthority?

    init(_ image: TestImage, tls: Bool = false) throws {
        folder = try Scratch()
        for (digest, bytes) in image.blobs { try folder.file(digest.description, bytes) }
        try folder.file("manifest", image.manifest)
        authority = tls ? try Self.certificates(in: folder) : nil
        serving = try ServingProgram(
            "/usr/bin/python3", [folder.file("server.py", Self.program), folder.path, tls ? "tls" : "plain"])
        try #require(serving.ports.count == 2)
        (port, blobPort) = (serving.ports[0], serving.ports[1])
    }

    private static func certificates(in folder: Scratch) throws -> CertificateAuthority {
        let authority = try CertificateAuthority.create(
            name: "test", notBeforeSeconds: 1_000_000_000, notAfterSeconds: 4_000_000_000)
        let key = try P256PrivateKey()
        let issued = try authority.issueServerCertificate(
            dnsNames: ["localhost"], ipAddresses: ["127.0.0.1"], key: key.publicKey,
            notBeforeSeconds: 1_000_000_000, notAfterSeconds: 4_000_000_000)
        try folder.file("server.pem", issued.pem() + key.pem())
        return authority
    }

    var address: String { "\(authority == nil ? "http" : "https")://127.0.0.1:\(port)" }
    var name: String { "127.0.0.1:\(port)" }

    /// What was asked, one request a line: `port method path authorization`.
    var log: [String] {
        let text = (try? folder.text("log")) ?? ""
        return text.split(separator: "\n").map(String.init)
    }

    func endpoint(_ credentials: RegistryCredentials? = nil) throws -> RegistryEndpoint {
        RegistryEndpoint(
            address: address, credentials: credentials, caCertificates: try authority?.certificate.pem() ?? "",
            allowsPlainHTTP: authority == nil)
    }

    func client(_ credentials: RegistryCredentials? = nil) throws -> RegistryClient {
        RegistryClient(RegistryBook(registries: [name: RegistryAccess(origin: try endpoint(credentials))]))
    }

    func reference(_ rest: String) throws -> ImageReference { try ImageReference(parsing: "\(name)/\(rest)") }

    private static let program = #"""
        import base64, hashlib, http.server, json, os, ssl, sys, threading
        from urllib.parse import urlsplit, parse_qs
        folder, mode = sys.argv[1:3]
        scheme = "https" if mode == "tls" else "http"
        basic = "Basic " + base64.b64encode(b"user:secret").decode()
        counts, lock, ports = {}, threading.Lock(), []
        def log(line):
            with lock, open(folder + "/log", "a") as file: file.write(line + "\n")
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            def log_message(self, *_): pass
            def reply(self, status, body=b"", headers={}):
                self.send_response(status)
                for name, value in headers.items(): self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            def challenge(self, text): self.reply(401, b"{}", {"WWW-Authenticate": text})
            def send_blob(self, kind, digest):
                path = folder + "/" + digest
                if not os.path.exists(path): return self.reply(404, b'{"errors":[{"code":"BLOB_UNKNOWN"}]}')
                data = open(path, "rb").read()
                large = len(data) > 10000
                if kind == "wrong" and large: data = data[:-1] + bytes([data[-1] ^ 1])
                if kind == "long" and large: data += b"more"
                first, status, headers = 0, 200, {}
                wanted = self.headers.get("Range")
                if wanted and kind != "norange":
                    first = int(wanted.removeprefix("bytes=").split("-")[0])
                    status = 206
                    headers["Content-Range"] = f"bytes {first}-{len(data) - 1}/{len(data)}"
                body = data[first:]
                with lock: counts[self.path] = counts.get(self.path, 0) + 1
                if kind in ("breaks", "norange") and large and counts[self.path] <= (3 if kind == "breaks" else 1):
                    self.send_response(status)
                    for name, value in headers.items(): self.send_header(name, value)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body[:70000])
                    self.close_connection = True
                    return
                self.reply(status, body, headers)
            def do_GET(self):
                authorization = self.headers.get("Authorization", "-")
                log(f"{self.server.server_address[1]} {self.command} {self.path} {authorization} {self.headers.get('Range', '-')}")
                url = urlsplit(self.path)
                if url.path == "/token":
                    if authorization not in ("-", basic): return self.reply(401)
                    scope = parse_qs(url.query).get("scope", [""])[0]
                    return self.reply(200, json.dumps({"token": "t-" + hashlib.sha256(scope.encode()).hexdigest()}).encode())
                parts = url.path.strip("/").split("/")
                if parts[0] == "elsewhere": return self.send_blob(parts[1], parts[2])
                if parts[0] != "v2" or len(parts) < 5: return self.reply(404)
                repository, what, name = "/".join(parts[1:-2]), parts[-2], parts[-1]
                kind = parts[1]
                if kind in ("token", "redirect", "stranger"):
                    good = "Bearer t-" + hashlib.sha256(f"repository:{repository}:pull".encode()).hexdigest()
                    host = f"localhost:{ports[1]}" if kind == "stranger" else f"127.0.0.1:{ports[0]}"
                    if authorization != good:
                        return self.challenge(f'Bearer realm="{scheme}://{host}/token",service="test",scope="repository:x:push"')
                if kind == "basic" and authorization != basic: return self.challenge('Basic realm="test"')
                if kind == "odd": return self.challenge("Negotiate")
                if kind == "down": return self.reply(503)
                if what == "manifests":
                    if kind == "huge": return self.reply(200, b" " * (5 << 20))
                    body = open(folder + "/manifest", "rb").read()
                    if kind == "liar": body = body.replace(b'"schemaVersion":2', b'"schemaVersion": 2')
                    if name not in ("1", "sha256:" + hashlib.sha256(open(folder + "/manifest", "rb").read()).hexdigest()):
                        return self.reply(404, b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}')
                    return self.reply(200, body, {"Content-Type": "application/vnd.oci.image.manifest.v1+json"})
                digest = name.removeprefix("sha256:")
                if kind == "redirect":
                    return self.reply(307, b"", {"Location": f"{scheme}://127.0.0.1:{ports[1]}/elsewhere/{kind}/{digest}"})
                if kind == "relative": return self.reply(302, b"", {"Location": f"/elsewhere/{kind}/{digest}"})
                if kind == "loop": return self.reply(302, b"", {"Location": self.path})
                if kind == "plainly": return self.reply(302, b"", {"Location": f"http://127.0.0.1:{ports[1]}/elsewhere/{kind}/{digest}"})
                if kind == "file": return self.reply(302, b"", {"Location": "file:///etc/passwd"})
                self.send_blob(kind, digest)
        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            def handle_error(self, *_): pass
            def finish_request(self, request, address):
                if mode == "tls":
                    with context.wrap_socket(request, server_side=True) as secure: Handler(secure, address, self)
                else: Handler(request, address, self)
        if mode == "tls":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(folder + "/server.pem")
        servers = [Server(("127.0.0.1", 0), Handler) for _ in range(2)]
        ports += [server.server_address[1] for server in servers]
        threading.Thread(target=servers[1].serve_forever, daemon=True).start()
        os.write(1, ("%d %d\n" % tuple(ports)).encode())
        servers[0].serve_forever()
        """#
}
