import Contract
import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1
import NIOSSL
import Store

/// Turns whatever a route throws into a JSON error, and logs what nobody foresaw, without any part of the request.
struct FailureMiddleware: RouterMiddleware {
    func handle(
        _ request: Request, context: CallContext, next: (Request, CallContext) async throws -> Response
    ) async throws -> Response {
        do {
            return try await next(request, context)
        } catch let failure as APIFailure {
            return failure.response
        } catch let error as HTTPParserError {
            // The connection itself answers these.
            throw error
        } catch let refusal as Refusal {
            return APIFailure(.forbidden, refusal.rawValue, refusal.message).response
        } catch let full as StoreFull {
            context.logger.error("\(full)", metadata: ["route": "\(context.endpointPath ?? "-")"])
            return APIFailure.diskFull.response
        } catch let readOnly as StoreReadOnly {
            context.logger.error("\(readOnly)", metadata: ["route": "\(context.endpointPath ?? "-")"])
            return APIFailure.diskReadOnly.response
        } catch is Signals.TooManyWaiters {
            return APIFailure(
                .serviceUnavailable, "busy", "too many requests wait already; try again in a while",
                headers: [.retryAfter: "5"]
            ).response
        } catch let error as HTTPError where error.status == .notFound {
            return APIFailure(
                .notFound, "route-unknown", "there is no such route; see the API's description for those there are"
            ).response
        } catch let error as HTTPError {
            return APIFailure(error.status, "refused", error.body ?? error.status.reasonPhrase).response
        } catch let error as NIOSSLError {
            // The other side went away in the middle of its request: nobody hears the reply.
            context.logger.debug("a connection broke off", metadata: ["error": "\(error)"])
            return APIFailure.malformed("the connection broke off in the middle of the request").response
        } catch is CancellationError {
            return APIFailure(.serviceUnavailable, "stopping", "the server is stopping; try again in a while").response
        } catch {
            context.logger.error(
                "a request failed", metadata: ["route": "\(context.endpointPath ?? "-")", "error": "\(error)"])
            return APIFailure(
                .internalServerError, "internal", "the server could not do this; its log says why, try again later"
            ).response
        }
    }
}
