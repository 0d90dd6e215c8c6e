import Contract
import HTTPTypes
import Hummingbird

/// The routes, each with who may call it: the type of its context.
///
/// A method that a path does not have is answered with 405 and the methods that it has.
struct RouteBook {
    private let router: Router<CallContext>
    private let gate: Gate
    private var methods: [String: Set<HTTPRequest.Method>] = [:]
    /// All routes that were added.
    private(set) var routes: [Route] = []

    /// A route and who may call it.
    struct Route: Sendable {
        var method: HTTPRequest.Method
        var path: String
        var access: any AccessContext.Type
        /// What people and programs need for it; nil where it is not for them alone.
        var need: Need?
    }

    init(router: Router<CallContext>, gate: Gate) {
        self.router = router
        self.gate = gate
    }

    /// Adds a route for people and programs who have a verb on what it is about.
    mutating func on(
        _ method: HTTPRequest.Method, _ path: String, needs verb: Verb, _ reach: Need.Reach,
        use handler: @escaping @Sendable (Request, OperatorContext) async throws -> Response
    ) {
        on(method, path, needs: .verb(verb, reach), use: handler)
    }

    /// Adds a route for people and programs.
    mutating func on(
        _ method: HTTPRequest.Method, _ path: String, needs need: Need,
        use handler: @escaping @Sendable (Request, OperatorContext) async throws -> Response
    ) {
        let gate = gate
        add(method, path, for: OperatorContext.self, need: need) { request, context in
            try await gate.demand(need, context)
            return try await handler(request, context)
        }
    }

    /// Adds a route for anyone.
    mutating func open(
        _ method: HTTPRequest.Method, _ path: String,
        use handler: @escaping @Sendable (Request, OpenContext) async throws -> Response
    ) {
        add(method, path, for: OpenContext.self, need: nil, use: handler)
    }

    /// Adds a route for nodes, about themselves.
    mutating func node(
        _ method: HTTPRequest.Method, _ path: String,
        use handler: @escaping @Sendable (Request, NodeContext) async throws -> Response
    ) {
        add(method, path, for: NodeContext.self, need: nil, use: handler)
    }

    /// Adds a route for nodes and for whoever may read releases.
    mutating func reader(
        _ method: HTTPRequest.Method, _ path: String,
        use handler: @escaping @Sendable (Request, ReaderContext) async throws -> Response
    ) {
        add(method, path, for: ReaderContext.self, need: nil, use: handler)
    }

    /// Adds a route; a GET route answers HEAD as well, without the body.
    private mutating func add<Context: AccessContext>(
        _ method: HTTPRequest.Method, _ path: String, for access: Context.Type, need: Need?,
        use handler: @escaping @Sendable (Request, Context) async throws -> Response
    ) {
        router.group(RouterPath(path), context: access).on("", method: method, use: handler)
        methods[path, default: []].insert(method)
        routes.append(Route(method: method, path: path, access: access, need: need))
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
