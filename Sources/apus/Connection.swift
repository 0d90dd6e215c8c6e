import ArgumentParser
import Contract
import Fetch
import Foundation
import Operator

/// Which server is meant, and how to show that one may.
struct Connection: ParsableArguments {
    @Option(help: "The server's address, such as https://apus.example:8443. [env: APUS_SERVER]")
    var server: String?

    @Option(help: "A file with the server's CA certificate in PEM. [env: APUS_CA]", completion: .file())
    var ca: String?

    @Option(
        help: "A file with an API token. [env: APUS_TOKEN_FILE, or the token itself in APUS_TOKEN]",
        completion: .file())
    var tokenFile: String?

    @Option(
        help: "The data folder of an apusd on this machine, whose address, CA and token are used where none is given.",
        completion: .directory)
    var data: String?

    /// Connects; nothing is sent yet.
    func open() throws -> OperatorClient { try open(withToken: true) }

    /// Connects to sign in: nobody in particular yet.
    func openForLogin() throws -> OperatorClient { try open(withToken: false) }

    private func open(withToken: Bool) throws -> OperatorClient {
        let environment = ProcessInfo.processInfo.environment.filter { !$0.value.isEmpty }
        let login = try LoginFile.usual(environment).read()
        let local = LocalServer(folder: data ?? LocalServer.usualFolder(environment))
        if let data, server == nil, !local.isReadable {
            throw Failure("'\(data)' is no data folder of apusd that you may read: give --data another, or --server")
        }
        // A folder that was named on the command line goes before the environment, as every option does.
        let named = data == nil ? nil : local
        guard let address = server ?? named?.address ?? environment["APUS_SERVER"] ?? login?.server ?? local.address
        else {
            throw Failure(
                "no server is named: give --server or APUS_SERVER, sign in with 'apus login', or run this where apusd's "
                    + "data folder is readable")
        }
        let endpoint = try Self.endpoint(address)
        // What belongs to one server is not shown to another.
        let session = login?.server == endpoint ? login : nil
        return try OperatorClient(
            endpoint: endpoint,
            caCertificate: try certificate(environment, named: named, session: session, local: local),
            token: withToken ? try token(environment, named: named, session: session, local: local) : "")
    }

    /// An address as `https://HOST:PORT`; without a scheme, https is meant.
    static func endpoint(_ address: String) throws -> String {
        let text = address.contains("://") ? address : "https://" + address
        guard let parts = URLComponents(string: text), let host = parts.host, !host.isEmpty else {
            throw Misuse("'\(address)' is no server's address: write https://HOST:PORT")
        }
        guard parts.scheme?.lowercased() == "https" else {
            throw Misuse("the server's address begins with https://, not with '\(parts.scheme ?? "")://'")
        }
        guard parts.path.isEmpty || parts.path == "/", parts.query == nil, parts.fragment == nil, parts.user == nil
        else {
            throw Misuse("'\(address)' is more than a server's address: write https://HOST:PORT")
        }
        return text.hasSuffix("/") ? String(text.dropLast()) : text
    }

    private func certificate(
        _ environment: [String: String], named: LocalServer?, session: Login?, local: LocalServer
    ) throws -> String {
        if ca == nil, let own = named?.certificate { return own }
        if let path = ca ?? environment["APUS_CA"] {
            let found = try text(path, "the CA certificate")
            guard found.contains("-----BEGIN CERTIFICATE-----") else {
                throw Failure("'\(path)' has no certificate in PEM: give the file 'ca.crt' of the server's data folder")
            }
            return found
        }
        if let session { return session.caCertificate }
        guard let own = local.certificate else {
            throw Failure(
                "the server's CA certificate is not known: give --ca or APUS_CA the file 'ca.crt' of its data folder")
        }
        return own
    }

    private func token(
        _ environment: [String: String], named: LocalServer?, session: Login?, local: LocalServer
    ) throws -> String {
        let found: String
        if let path = tokenFile {
            found = try text(path, "the token")
        } else if let own = named?.token {
            found = own
        } else if let secret = environment["APUS_TOKEN"] {
            found = secret
        } else if let path = environment["APUS_TOKEN_FILE"] {
            found = try text(path, "the token")
        } else if let session {
            found = session.token
        } else if let own = local.token {
            found = own
        } else {
            throw Failure(
                "no token is known: sign in with 'apus login', give a token in APUS_TOKEN, or give --token-file or "
                    + "APUS_TOKEN_FILE a file with one, such as 'admin.token' of the server's data folder")
        }
        let token = found.filter { !$0.isWhitespace }
        guard !token.isEmpty else { throw Failure("the operator's token is empty: see 'admin.token' at the server") }
        return token
    }

    private func text(_ path: String, _ what: String) throws -> String {
        do {
            return String(decoding: try read(path, limit: 256 << 10), as: UTF8.self)
        } catch {
            throw Failure("\(what): \(error)")
        }
    }
}

/// What the data folder of an `apusd` on this machine tells whoever may read it.
struct LocalServer {
    let folder: String

    /// Whether it is a data folder, and readable.
    var isReadable: Bool { token != nil && certificate != nil }

    /// Where that server listens: it says so itself while it runs, and where it said nothing yet it is the usual port.
    var address: String? {
        guard isReadable else { return nil }
        let said = text("address")?.filter { !$0.isWhitespace } ?? ""
        return said.isEmpty ? "https://localhost:8443" : said
    }

    var certificate: String? { text("ca.crt") }

    var token: String? { text("admin.token") }

    private func text(_ name: String) -> String? { try? String(contentsOfFile: folder + "/" + name, encoding: .utf8) }

    /// Where apusd keeps its data unless told otherwise.
    static func usualFolder(_ environment: [String: String]) -> String {
        if geteuid() == 0 { return "/var/lib/apusd" }
        return (environment["XDG_DATA_HOME"] ?? NSHomeDirectory() + "/.local/share") + "/apusd"
    }
}

/// Reads a file of at most `limit` bytes.
func read(_ path: String, limit: Int) throws -> [UInt8] {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), !isFolder.boolValue,
        let handle = FileHandle(forReadingAtPath: path)
    else { throw Failure("cannot read '\(path)': does the file exist, and may you read it?") }
    defer { try? handle.close() }
    let data = try handle.read(upToCount: limit + 1) ?? Data()
    guard data.count <= limit else { throw Failure("'\(path)' is larger than the \(limit) bytes that are accepted") }
    return Array(data)
}
