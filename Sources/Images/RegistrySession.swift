internal import Contract
internal import Fetch

/// One repository at one server, with the authorization that it asked for.
final class RegistrySession {
    private let endpoint: RegistryEndpoint
    private let base: WebAddress
    private let registry: String
    private let repository: String
    private let namespace: String
    private let client: HTTPClient
    private var authorization: String?

    static let tokenReplyBytes = 64 << 10
    static let redirects = 5

    init(_ endpoint: RegistryEndpoint, isMirror: Bool, reference: ImageReference) throws {
        guard let base = WebAddress(endpoint.address), base.isSecure || endpoint.allowsPlainHTTP else {
            throw ImageError.registry("'\(endpoint.address)' is not the address of a registry that may be asked")
        }
        self.endpoint = endpoint
        self.base = base
        registry = reference.registry
        repository = reference.repository
        // Tells a mirror of several registries which one is meant ("Registry Proxying").
        namespace = isMirror ? "?ns=" + AuthenticationChallenge.escaped(reference.registry) : ""
        client = try HTTPClient(
            HTTPConfiguration(caCertificates: endpoint.caCertificates, allowsPlainHTTP: endpoint.allowsPlainHTTP))
    }

    /// A small reply as a whole.
    func get(
        _ path: String, headers: [HTTPHeader], what: String, cancellation: Cancellation?, limitBytes: Int
    ) throws -> HTTPResponse {
        try authorized(path, headers, what) { url, headers in
            do {
                return try client.request(
                    "GET", url, headers: headers, limitBytes: limitBytes, cancellation: cancellation)
            } catch FetchError.tooLarge(let limit) {
                throw ImageError.tooLarge(what: what, limitBytes: limit)
            }
        }
    }

    /// A range of a large reply, piece by piece.
    func download(
        _ path: String, range: Range<UInt64>, what: String, cancellation: Cancellation?,
        onBytes: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        try authorized(path, [], what) { url, headers in
            var arrived: UInt64 = 0
            // The whole is asked for as a whole: not every server of blobs knows ranges.
            let response = try client.download(
                url, range: range.lowerBound == 0 ? nil : range, headers: headers, limitBytes: UInt64(range.count),
                cancellation: cancellation
            ) { bytes in
                arrived += UInt64(bytes.count)
                try onBytes(bytes)
            }
            guard arrived == UInt64(range.count) else {
                throw FetchError.interrupted("\(arrived) of \(range.count) bytes arrived")
            }
            return response
        }
    }

    // MARK: - Authorization and redirects

    /// Asks, answers a challenge once, and asks again.
    @discardableResult
    private func authorized(
        _ path: String, _ headers: [HTTPHeader], _ what: String, _ send: (String, [HTTPHeader]) throws -> HTTPResponse
    ) throws -> HTTPResponse {
        let prefix = base.text.hasSuffix("/") ? String(base.text.dropLast()) : base.text
        guard let address = WebAddress("\(prefix)/v2/\(repository)/\(path)\(namespace)") else {
            throw ImageError.registry("'\(prefix)' is not the address of a registry")
        }
        for attempt in 0...1 {
            do {
                return try following(address, headers, send)
            } catch FetchError.status(401, _) where attempt == 0 {
                authorization = try answer(client.lastReply?.headers["www-authenticate"] ?? "", what)
            } catch let error as FetchError {
                throw translated(error, what)
            }
        }
        throw ImageError.denied(what)
    }

    /// Sends a request and follows where it is sent on to. Only the server that was asked first gets the authorization.
    private func following(
        _ start: WebAddress, _ headers: [HTTPHeader], _ send: (String, [HTTPHeader]) throws -> HTTPResponse
    ) throws -> HTTPResponse {
        var address = start
        for _ in 0...Self.redirects {
            var all = headers
            if let authorization, address.isSameOrigin(as: start) {
                all.append(HTTPHeader("Authorization", authorization))
            }
            do {
                return try send(address.text, all)
            } catch FetchError.status(let status, let error) {
                guard [301, 302, 303, 307, 308].contains(status) else {
                    // A challenge of the place that it was sent on to is none of this registry's.
                    if status == 401, !address.isSameOrigin(as: start) { throw FetchError.status(403, error) }
                    throw FetchError.status(status, error)
                }
                guard let location = client.lastReply?.headers["location"], let next = address.following(location)
                else {
                    throw ImageError.registry("it redirects to what is no address, or from https to http")
                }
                address = next
            }
        }
        throw ImageError.registry("it redirects more than \(Self.redirects) times")
    }

    private func translated(_ error: FetchError, _ what: String) -> ImageError {
        switch error {
        case .status(401, _), .status(403, _): .denied(what)
        case .status(404, _): .notFound(what)
        default: .transfer(error)
        }
    }

    private func answer(_ header: String, _ what: String) throws -> String {
        switch AuthenticationChallenge(header: header) {
        case .basic:
            guard let credentials = endpoint.credentials else { throw ImageError.denied(what) }
            return credentials.basic
        case .bearer(let realm, let service, _):
            // Asked for by us rather than taken from the challenge: a token that may only read, and only this.
            return "Bearer " + (try token(realm, service, scope: "repository:\(repository):pull", what))
        case nil:
            throw ImageError.registry("it wants an authorization that is neither Basic nor Bearer")
        }
    }

    private struct TokenReply: Decodable {
        var token: String?
        var access_token: String?
    }

    private func token(_ realm: String, _ service: String?, scope: String, _ what: String) throws -> String {
        guard let text = AuthenticationChallenge.tokenAddress(realm: realm, service: service, scope: scope),
            let address = WebAddress(text), address.isSecure || !base.isSecure
        else { throw ImageError.registry("the address of its tokens is not one, or gives up TLS") }
        var headers: [HTTPHeader] = []
        if let credentials = endpoint.credentials {
            // A registry, or a mirror, could otherwise send the password wherever it likes.
            guard address.isSameOrigin(as: base) || isTokenHost(address, credentials) else {
                throw ImageError.credentialsWithheld(registry: registry, host: address.host)
            }
            headers = [HTTPHeader("Authorization", credentials.basic)]
        }
        let reply: HTTPResponse
        do {
            reply = try client.request("GET", address.text, headers: headers, limitBytes: Self.tokenReplyBytes)
        } catch let error as FetchError {
            throw translated(error, what)
        }
        let tokens = try? Wire.decode(TokenReply.self, from: reply.body, limit: Self.tokenReplyBytes)
        guard let token = tokens?.token ?? tokens?.access_token, !token.isEmpty,
            token.utf8.allSatisfy({ (0x21...0x7e).contains($0) })
        else { throw ImageError.registry("it gave no token") }
        return token
    }

    /// Docker Hub's tokens are from another of its hosts, as everybody knows.
    private func isTokenHost(_ address: WebAddress, _ credentials: RegistryCredentials) -> Bool {
        credentials.tokenHosts.contains(address.host) && address.isSecure == base.isSecure
            || (registry == ImageReference.hub && address.isSecure && address.host == "auth.docker.io"
                && base.host == "registry-1.docker.io")
    }
}
