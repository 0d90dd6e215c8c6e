import HTTPTypes
import Hummingbird

/// The routes, each with who may call it: the type of its context.
///
/// A method that a path does not have is answered with 405 and the methods that it has.
struct RouteBook {
    private let router: Router<CallContext>
    private var methods: [String: Set<HTTPRequest.Method>] = [:]
    /// All routes that were added.
    private(set) var routes: [Route] = []

    /// A route and who may call it.
    struct Route: Sendable {
        var method: HTTPRequest.Method
        var path: String
        var access: any AccessContext.Type
    }

    init(router: Router<CallContext>) { self.router = router }

    /// Adds a route; a GET route answers HEAD as well, without the body.
    mutating func on<Context: AccessContext>(
        _ method: HTTPRequest.Method, _ path: String, for access: Context.Type,
        use handler: @escaping @Sendable (Request, Context) async throws -> Response
    ) {
        router.group(RouterPath(path), context: access).on("", method: method, use: handler)
        methods[path, default: []].insert(method)
        routes.append(Route(method: method, path: path, access: access))
        guard method == .get else { return }
        router.group(RouterPath(path), context: access).on("", method: .head) { request, context in
            try await handler(request, context).createHeadResponse()
        }
        methods[path, default: []].insert(.head)
    }

    /// Answers all other methods of the paths that were added.
    func refuseOtherMethods() {
        let known: [HTTPRequest.Method] = [.get, .head, .post, .put, .delete, .patch, .options]
        for (path, used) in methods {
            let allowed = known.filter(used.contains).map(\.rawValue).joined(separator: ", ")
            for method in known where !used.contains(method) {
                router.on(RouterPath(path), method: method) { _, _ -> Response in
                    throw APIFailure(
                        .methodNotAllowed, "method-not-allowed", "this route knows only \(allowed)",
                        headers: [.allow: allowed])
                }
            }
        }
    }
}
