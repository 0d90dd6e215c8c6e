import Contract
import HTTPTypes
import Hummingbird

/// `/healthz` and `/boot`: for anyone, over TLS and without it.
struct OpenRoutes: Sendable {
    let health: DatabaseHealth
    let boot: BootShelf
    private let reply = FileReply()

    init(health: DatabaseHealth, boot: BootShelf) {
        self.health = health
        self.boot = boot
    }

    func add(to book: inout RouteBook) {
        book.open(.get, "/healthz", use: tellHealth)
        book.open(.get, "/boot/:file", use: serve)
    }

    /// Healthy is who can read the database and write it.
    @Sendable private func tellHealth(_ request: Request, _ context: OpenContext) async throws -> Response {
        if let failure = await health.failure(context.logger) { throw failure }
        return try Exchange.reply(Health(status: "ok"))
    }

    @Sendable private func serve(_ request: Request, _ context: OpenContext) async throws -> Response {
        let name = try context.parameters.require("file")
        guard let file = boot.file(name) else {
            throw APIFailure.notFound(
                "there is no such file here; 'apus boot-artifact' makes the boot artifact and uploads it")
        }
        let type = name.hasSuffix(".efi") ? "application/efi" : "application/octet-stream"
        return try await reply(
            file.path, tag: file.tag, mediaType: type, isImmutable: false, request: request, context: context)
    }

    private struct Health: Encodable {
        let status: String
    }
}
