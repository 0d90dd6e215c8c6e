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
    /// A person or a program, by a token.
    case person(Principal)
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
        case .anyone, .person:
            throw APIFailure(
                .unauthorized, "certificate-required",
                "this route is for nodes: connect with the certificate that the node got when it was admitted")
        }
    }
}

/// Only a person or a program may call, by a token; what they need beside that, the route says (`Need`).
struct OperatorContext: AccessContext {
    var coreContext: CoreRequestContextStorage
    let remoteAddress: String
    let principal: Principal

    init(context: CallContext) throws {
        coreContext = context.coreContext
        remoteAddress = context.remoteAddress
        switch context.caller {
        case .person(let person): principal = person
        case .refused(let failure): throw failure
        case .node:
            throw APIFailure(.forbidden, "operators-only", "this route is for operators, not for nodes")
        case .anyone:
            throw APIFailure(
                .unauthorized, "token-required",
                "this route is for operators: send 'Authorization: Bearer' with an API token; 'apus login' gets one",
                headers: [.wwwAuthenticate: "Bearer"])
        }
    }
}

/// A node may call, or a person or program with `release.read`.
struct ReaderContext: AccessContext {
    var coreContext: CoreRequestContextStorage

    init(context: CallContext) throws {
        coreContext = context.coreContext
        switch context.caller {
        case .node: break
        case .person(let person): try person.demandSomewhere(.releaseRead)
        case .refused(let failure): throw failure
        case .anyone:
            throw APIFailure(
                .unauthorized, "certificate-required",
                "releases are for admitted nodes and for operators: connect with a node's certificate, or send "
                    + "'Authorization: Bearer' with an API token",
                headers: [.wwwAuthenticate: "Bearer"])
        }
    }
}
