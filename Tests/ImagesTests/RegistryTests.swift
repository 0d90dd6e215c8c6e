import Contract
import Fetch
import Images
import Linux
import Release
import TestSupport
import Testing

@Suite(.ownThreads) struct RegistryTests {
    private static let user = RegistryCredentials(user: "user", password: "secret")

    private func image(in scratch: Scratch) throws -> TestImage {
        try TestImage(archives: ordinaryArchives(in: scratch), in: scratch)
    }

    /// Resolves and fetches all layers of a repository into memory.
    private func fetch(
        _ repository: String, from server: RegistryServer, _ credentials: RegistryCredentials? = nil
    ) throws -> [Digest256] {
        let client = try server.client(credentials)
        let resolved = try ResolvedImage(server.reference(repository), from: client, platform: Platform(.amd64))
        return try resolved.manifest.layers.map { layer in
            var bytes: [UInt8] = []
            try client.blob(layer, of: resolved.reference, from: 0) { bytes += $0 }
            return Digest256(hashing: bytes)
        }
    }

    @Test(arguments: [
        ("open/app:1", false), ("token/app:1", false), ("token/app:1", true), ("basic/app:1", true),
        ("redirect/app:1", true), ("relative/app:1", false),
    ])
    func anImageIsFetchedWithWhateverAuthorizationIsAskedFor(repository: String, authorized: Bool) throws {
        let scratch = try Scratch()
        let image = try image(in: scratch)
        let server = try RegistryServer(image)
        #expect(try fetch(repository, from: server, authorized ? Self.user : nil) == image.layers)
    }

    @Test func aPrivateAuthorityIsBelievedAndNoOther() throws {
        let scratch = try Scratch()
        let image = try image(in: scratch)
        let server = try RegistryServer(image, tls: true)
        #expect(try fetch("token/app:1", from: server, Self.user) == image.layers)
        let other = try RegistryServer(image, tls: true)
        var endpoint = try server.endpoint()
        endpoint.caCertificates = try other.endpoint().caCertificates
        let client = RegistryClient(RegistryBook(registries: [server.name: RegistryAccess(origin: endpoint)]))
        let error = #expect(throws: ImageError.self) {
            try client.find(server.reference("open/app:1"), limitBytes: 1 << 20)
        }
        guard case .transfer(.untrusted)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(throws: ImageError.self) { try fetch("plainly/app:1", from: server) }
    }

    @Test func onlyTheRegistryItselfEverSeesAnAuthorization() throws {
        let scratch = try Scratch()
        let server = try RegistryServer(try image(in: scratch))
        _ = try fetch("redirect/app:1", from: server, Self.user)
        let elsewhere = server.log.filter { $0.hasPrefix("\(server.blobPort) ") }
        #expect(elsewhere.count == 3)
        #expect(elsewhere.allSatisfy { $0.contains(" - ") })
        #expect(server.log.contains { $0.contains("/manifests/1 Bearer t-") })
        // The password goes where tokens are made, and nowhere else.
        #expect(server.log.filter { $0.contains(" Basic ") }.allSatisfy { $0.contains(" /token?") })
    }

    @Test func aPasswordIsNotGivenToAHostThatWasNotNamed() throws {
        let scratch = try Scratch()
        let server = try RegistryServer(try image(in: scratch))
        #expect(throws: ImageError.credentialsWithheld(registry: server.name, host: "localhost")) {
            try fetch("stranger/app:1", from: server, Self.user)
        }
        #expect(!server.log.contains { $0.contains(" Basic ") })
        let named = RegistryCredentials(user: "user", password: "secret", tokenHosts: ["localhost"])
        _ = try fetch("stranger/app:1", from: server, named)
    }

    @Test func wrongCredentialsAndMissingOnesAreDenied() throws {
        let scratch = try Scratch()
        let server = try RegistryServer(try image(in: scratch))
        for (repository, credentials) in [
            ("basic/app:1", nil), ("basic/app:1", RegistryCredentials(user: "user", password: "wrong")),
            ("token/app:1", RegistryCredentials(user: "user", password: "wrong")),
        ] as [(String, RegistryCredentials?)] {
            let error = #expect(throws: ImageError.self) { try fetch(repository, from: server, credentials) }
            guard case .denied? = error else {
                Issue.record("\(repository): \(String(describing: error))")
                continue
            }
            #expect(error?.description.contains("wrong") == false)
        }
        #expect(throws: ImageError.self) { try fetch("odd/app:1", from: server) }
        #expect("\(Self.user) \(String(reflecting: Self.user))".contains("secret") == false)
    }

    @Test(arguments: ["loop/app:1", "file/app:1", "huge/app:1", "open/app:2", "long/app:1", "down/app:1"])
    func whatIsNotAsItShouldBeIsAnError(repository: String) throws {
        let scratch = try Scratch()
        let server = try RegistryServer(try image(in: scratch))
        #expect(throws: (any Error).self) { try fetch(repository, from: server) }
    }

    @Test func aManifestThatIsNotTheOneAskedForIsRefusedBeforeItIsRead() throws {
        let scratch = try Scratch()
        let image = try image(in: scratch)
        let server = try RegistryServer(image)
        let reference = try server.reference("liar/app@sha256:\(image.digest)")
        let error = #expect(throws: ImageError.self) { try ResolvedImage(reference, from: server.client()) }
        guard case .digestMismatch? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test func mirrorsAreAskedFirstAndTheRegistryWhenTheyFail() throws {
        let scratch = try Scratch()
        let image = try image(in: scratch)
        let registry = try RegistryServer(image)
        let mirror = try RegistryServer(image)
        let gone = RegistryEndpoint(address: "http://127.0.0.1:1", allowsPlainHTTP: true)
        let book = RegistryBook(registries: [
            "registry.example": RegistryAccess(origin: try registry.endpoint(), mirrors: [gone, try mirror.endpoint()])
        ])
        let good = try ImageReference(parsing: "registry.example/open/app:1")
        _ = try ResolvedImage(good, from: RegistryClient(book), platform: Platform(.amd64))
        #expect(mirror.log.allSatisfy { $0.contains("?ns=registry.example ") })
        #expect(mirror.log.count == 2 && registry.log.isEmpty)
        let missing = try ImageReference(parsing: "registry.example/open/app:2")
        #expect(throws: ImageError.self) { try ResolvedImage(missing, from: RegistryClient(book)) }
        #expect(registry.log.count == 1)
    }

    @Test func registriesThatAreNotListedAreNotAsked() throws {
        let client = RegistryClient(RegistryBook())
        let reference = try ImageReference(parsing: "registry.example/app:1")
        #expect(throws: ImageError.self) { try client.find(reference, limitBytes: 1 << 20) }
    }
}
