import Contract
import HTTPTypes
import NIOCore
import NIOHTTP1
import NIOHTTPTypes

/// Gives the connection's own replies to unreadable requests a JSON body, as all other errors have.
///
/// The HTTP layer answers those with 400 and no body, before any route is asked; no route replies like that.
final class ParserErrorReply: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private var isTooLarge = false
    private var pendingBody: ByteBuffer?

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if case .headerOverflow? = error as? HTTPParserError { isTooLarge = true }
        context.fireErrorCaught(error)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(let head) where head.status == .badRequest && head.headerFields[.contentLength] == "0":
            let failure =
                isTooLarge
                ? APIError(
                    code: "headers-too-large", message: "the request's headers are larger than this server accepts")
                : APIError(code: "malformed-request", message: "this is not a request of HTTP/1.1")
            let body = ByteBuffer(bytes: (try? Wire.encode(failure)) ?? [])
            var fields = head.headerFields
            fields[.contentType] = "application/json"
            fields[.contentLength] = "\(body.readableBytes)"
            pendingBody = body
            let status: HTTPResponse.Status = isTooLarge ? .requestHeaderFieldsTooLarge : .badRequest
            context.write(wrapOutboundOut(.head(HTTPResponse(status: status, headerFields: fields))), promise: promise)
        case .end(let trailers):
            if let body = pendingBody {
                pendingBody = nil
                context.write(wrapOutboundOut(.body(body)), promise: nil)
            }
            context.write(wrapOutboundOut(.end(trailers)), promise: promise)
        case let part:
            context.write(wrapOutboundOut(part), promise: promise)
        }
    }
}
