import Contract
import HTTPTypes
import Hummingbird
import Logging

/// `/v1/releases`, `/v1/release-keys`, `/v1/boot-artifact` and `/v1/trust`.
struct ReleaseRoutes: Sendable {
    let service: ReleaseService
    let boot: BootShelf
    let trust: @Sendable () async throws -> SiteTrust
    private let reply = FileReply()

    init(service: ReleaseService, boot: BootShelf, trust: @escaping @Sendable () async throws -> SiteTrust) {
        self.service = service
        self.boot = boot
        self.trust = trust
    }

    func add(to book: inout RouteBook) {
        book.on(.get, "/v1/releases", needs: .releaseRead, .anywhere, use: list)
        for file in ReleaseShelf.File.allCases {
            let path = "/v1/releases/:name/\(file.rawValue)"
            book.reader(.get, path) { try await serve(file, $0, $1) }
            book.on(.put, path, needs: .releasePublish, .site) { try await take(file, $0, $1) }
        }
        book.on(.delete, "/v1/releases/:name", needs: .releasePublish, .site, use: remove)
        book.on(.post, "/v1/releases/:name/publish", needs: .releasePublish, .site, use: publish)
        book.on(.post, "/v1/releases/:name/default", needs: .releasePublish, .site, use: makeDefault)
        book.on(.get, "/v1/release-keys", needs: .releaseRead, .anywhere, use: keys)
        book.on(.post, "/v1/release-keys", needs: .releaseTrust, .site, use: addKey)
        book.on(.put, "/v1/boot-artifact", needs: .bootArtifactWrite, .site, use: takeBootArtifact)
        book.on(.get, "/v1/trust", needs: .bootArtifactWrite, .site, use: siteTrust)
    }

    @Sendable private func list(_ request: Request, _ context: OperatorContext) async throws -> Response {
        try Exchange.reply(try await service.list())
    }

    private func serve(_ file: ReleaseShelf.File, _ request: Request, _ context: ReaderContext) async throws -> Response
    {
        let name = try Self.name(context)
        try await service.demand(name)
        return try await reply(
            service.shelf.published(name, file), tag: "\(name)-\(file.rawValue)", mediaType: file.mediaType,
            isImmutable: true, request: request, context: context)
    }

    private func take(_ file: ReleaseShelf.File, _ request: Request, _ context: OperatorContext) async throws
        -> Response
    {
        let name = try Self.name(context)
        try await service.demandUnpublished(name)
        let directory = try service.shelf.stage(name)
        try await Upload.take(request, to: "\(directory)/\(file.rawValue)", limit: file.limit)
        return try Exchange.reply(Acknowledgement(message: "'\(file.rawValue)' was uploaded"), status: .created)
    }

    @Sendable private func publish(_ request: Request, _ context: OperatorContext) async throws -> Response {
        try Exchange.reply(try await service.publish(try Self.name(context)))
    }

    @Sendable private func makeDefault(_ request: Request, _ context: OperatorContext) async throws -> Response {
        try Exchange.reply(try await service.makeDefault(try Self.name(context)))
    }

    @Sendable private func remove(_ request: Request, _ context: OperatorContext) async throws -> Response {
        let name = try Self.name(context)
        let view = try await service.remove(name)
        do {
            try await service.discard(name)
        } catch {
            context.logger.warning(
                "files of a removed release stay until the next start", metadata: ["error": "\(error)"])
        }
        return try Exchange.reply(view)
    }

    @Sendable private func keys(_ request: Request, _ context: OperatorContext) async throws -> Response {
        try Exchange.reply(try await service.keys())
    }

    @Sendable private func addKey(_ request: Request, _ context: OperatorContext) async throws -> Response {
        let key = try await Exchange.decode(ReleaseKey.self, from: request, limit: 16 << 10)
        return try Exchange.reply(try await service.trust(key), status: .created)
    }

    @Sendable private func takeBootArtifact(_ request: Request, _ context: OperatorContext) async throws -> Response {
        let text = request.uri.queryParameters["architecture"].map(String.init) ?? Architecture.amd64.rawValue
        guard let architecture = Architecture(rawValue: text) else {
            throw APIFailure.malformed("query parameter 'architecture' is amd64 or arm64")
        }
        try await boot.take(request, architecture: architecture)
        return try Exchange.reply(
            Acknowledgement(message: "the boot artifact for \(architecture.rawValue) was replaced"), status: .created)
    }

    @Sendable private func siteTrust(_ request: Request, _ context: OperatorContext) async throws -> Response {
        try Exchange.reply(try await trust())
    }

    private static func name(_ context: some RequestContext) throws -> Digest256 {
        guard let name = Digest256(hex: try context.parameters.require("name")) else {
            throw APIFailure(
                .notFound, "release-unknown",
                "a release's name is 64 lower-case hexadecimal digits; 'apus release list' shows those there are")
        }
        return name
    }
}
