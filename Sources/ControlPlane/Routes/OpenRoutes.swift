import Contract
import HTTPTypes
import Hummingbird
import Logging
import Store

/// `/healthz` and `/boot`: for anyone, over TLS and without it.
struct OpenRoutes: Sendable {
    let store: any ServerStore
    let boot: BootShelf
    private let reply = FileReply()

    init(store: any ServerStore, boot: BootShelf) {
        self.store = store
        self.boot = boot
    }

    func add(to book: inout RouteBook) {
        book.on(.get, "/healthz", for: OpenContext.self, use: health)
        book.on(.get, "/boot/:file", for: OpenContext.self, use: serve)
    }

    /// Healthy is who can read the database.
    @Sendable private func health(_ request: Request, _ context: OpenContext) async throws -> Response {
        do {
            _ = try await store.read { try $0.setting("health") }
        } catch {
            context.logger.error("the database cannot be read", metadata: ["error": "\(error)"])
            throw APIFailure(
                .serviceUnavailable, "unhealthy", "the server cannot read its database; its log says why")
        }
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
