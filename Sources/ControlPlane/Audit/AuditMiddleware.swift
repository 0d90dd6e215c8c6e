import Contract
import HTTPTypes
import Hummingbird
import Logging
import Store

/// Sees to it that every change by a person or a program, and every refused attempt, is in the audit log.
///
/// A change and its line are one transaction (`Core.change`). What changes no record, such as an upload, gets its line
/// afterwards; a refusal does, too. Strangers cannot fill the log: who is refused too often is only answered.
struct AuditMiddleware: RouterMiddleware {
    let core: Core
    /// Bounds the refusals of each address.
    let refusals: RateLimiter

    func handle(
        _ request: Request, context: CallContext, next: (Request, CallContext) async throws -> Response
    ) async throws -> Response {
        let trail = AuditTrail(
            who: context.caller.name, token: context.caller.token, from: context.remoteAddress,
            action: "\(request.method.rawValue) \(CleanText.line(request.uri.path, limit: 512))")
        // What nodes do on their own routes, and are refused there, is events' business: a machine that is out of date
        // asks again and again, and must hear why each time.
        guard !["/v1/node/", "/v1/registrations"].contains(where: request.uri.path.hasPrefix) else {
            return try await next(request, context)
        }
        let isReading = request.method == .get || request.method == .head
        let isWatched = !isReading && !context.caller.isNode
        do {
            guard isWatched else { return try await next(request, context) }
            let response = try await AuditTrail.$current.withValue(trail) { try await next(request, context) }
            if context.caller.isPerson, !trail.isRecorded { try await record(trail, .done, "no record changed") }
            return response
        } catch let failure as APIFailure {
            let isRefusal = failure.status == .unauthorized || failure.status == .forbidden
            guard isRefusal || (isWatched && context.caller.isPerson) || failure.error.code == "account-locked" else {
                throw failure
            }
            if !context.caller.isPerson, let seconds = refusals.take(1, from: context.remoteAddress) {
                throw APIFailure(
                    .tooManyRequests, "too-many-requests",
                    "this address was refused too often; wait \(seconds) seconds", headers: [.retryAfter: "\(seconds)"])
            }
            try await record(trail, isRefusal ? .refused : .failed, failure.error.code)
            throw failure
        } catch {
            // What nobody foresaw may have been half of something.
            if isWatched, context.caller.isPerson, !trail.isRecorded {
                do {
                    try await record(trail, .failed, "see the server's log")
                } catch let second {
                    context.logger.error("a failure is not in the audit log", metadata: ["error": "\(second)"])
                }
            }
            throw error
        }
    }

    private func record(_ trail: AuditTrail, _ outcome: AuditEntry.Outcome, _ detail: String) async throws {
        let now = core.now()
        try await core.store.write { try trail.append(outcome, detail, to: $0, at: now) }
    }
}

extension Caller {
    /// Who the audit log says it was.
    var name: String {
        switch self {
        case .anyone, .refused: "nobody"
        case .node(let id): "node \(id)"
        case .person(let principal): principal.name
        }
    }

    /// The token that was shown.
    var token: String? {
        guard case .person(let principal) = self else { return nil }
        return principal.token
    }

    var isPerson: Bool { if case .person = self { true } else { false } }
    var isNode: Bool { if case .node = self { true } else { false } }
}
