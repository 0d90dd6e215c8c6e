import Contract
import HTTPTypes
import Hummingbird
import NIOCore

/// Who sends a request, as far as it proved it.
enum Caller: Sendable {
    /// Nobody in particular.
    case anyone
    /// A node, by its certificate.
    case node(NodeID)
    /// An operator, by the admin token.
    case administrator
    /// Somebody whose proof was not accepted, and why.
    case refused(APIFailure)
}

/// The context of every request: who calls, and from where.
struct CallContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    let channel: any Channel
    var caller = Caller.anyone

    init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        channel = source.channel
    }

    /// The peer's address without its port; IPv4 in its own form where it arrives through an IPv6 socket.
    var remoteAddress: String {
        let text = channel.remoteAddress?.ipAddress ?? "unknown"
        return text.hasPrefix("::ffff:") && text.contains(".") ? String(text.dropFirst(7)) : text
    }
}

/// A context that exists only for callers who may use a route: a handler that takes it needs no check of its own.
protocol AccessContext: ChildRequestContext where ParentContext == CallContext {}

/// Anyone may call.
struct OpenContext: AccessContext {
    var coreContext: CoreRequestContextStorage
    let remoteAddress: String

    init(context: CallContext) {
        coreContext = context.coreContext
        remoteAddress = context.remoteAddress
    }
}

/// Only a node may call, by its certificate.
struct NodeContext: AccessContext {
    var coreContext: CoreRequestContextStorage
    let node: NodeID

    init(context: CallContext) throws {
        coreContext = context.coreContext
        switch context.caller {
        case .node(let id): node = id
        case .refused(let failure): throw failure
        case .anyone, .administrator:
            throw APIFailure(
                .unauthorized, "certificate-required",
                "this route is for nodes: connect with the certificate that the node got when it was admitted")
        }
    }
}

/// Only an operator may call, by the admin token.
struct OperatorContext: AccessContext {
    var coreContext: CoreRequestContextStorage

    init(context: CallContext) throws {
        coreContext = context.coreContext
        switch context.caller {
        case .administrator: break
        case .refused(let failure): throw failure
        case .node:
            throw APIFailure(.forbidden, "operators-only", "this route is for operators, not for nodes")
        case .anyone:
            throw APIFailure(
                .unauthorized, "token-required",
                "this route is for operators: send 'Authorization: Bearer' with the server's admin token",
                headers: [.wwwAuthenticate: "Bearer"])
        }
    }
}

/// A node or an operator may call.
struct ReaderContext: AccessContext {
    var coreContext: CoreRequestContextStorage

    init(context: CallContext) throws {
        coreContext = context.coreContext
        switch context.caller {
        case .administrator, .node: break
        case .refused(let failure): throw failure
        case .anyone:
            throw APIFailure(
                .unauthorized, "certificate-required",
                "releases are for admitted nodes and for operators: connect with a node's certificate, or send "
                    + "'Authorization: Bearer' with the server's admin token",
                headers: [.wwwAuthenticate: "Bearer"])
        }
    }
}
