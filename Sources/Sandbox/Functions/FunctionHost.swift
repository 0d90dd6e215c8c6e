internal import Contract
internal import Linux
internal import Synchronization
internal import Workloads

/// What the functions' thread is told.
enum FunctionMessage: Sendable {
    case serve(FunctionOrder)
    /// No more calls; what still runs after that many milliseconds is ended.
    case retire(RevisionKey, graceMilliseconds: Int64)
    case happened(kind: String, message: String)
    /// The keeper made an instance's wire, or could not.
    case wired(InstanceKey, NetworkPlan?, failure: String)
    /// An instance's client can connect to this descriptor.
    case made(InstanceKey, listener: HeldDescriptor)
    /// It runs; this descriptor becomes readable when it ends.
    case started(InstanceKey, process: HeldDescriptor)
    /// It could not be made or started.
    case failed(InstanceKey, String)
    /// It ended.
    case ended(InstanceKey, String)
    /// All of it was taken away, or why not.
    case removed(InstanceKey, failure: String?)
}

/// A descriptor that is handed from thread to thread, and closed with its last user.
final class HeldDescriptor: Sendable {
    let descriptor: OwnedDescriptor

    init(_ descriptor: consuming OwnedDescriptor) { self.descriptor = descriptor }
}

/// What functions act through.
struct FunctionEffects: Sendable {
    var maker: InstanceMaker
    /// Where functions' URLs are served; port 0 lets the kernel choose.
    var port: UInt16
    /// Writes a line of a function's log.
    var log: @Sendable (_ function: String, _ line: String) -> Void
    var tell: @Sendable (String) -> Void
    /// Tells the keeper's thread.
    var post: @Sendable (KeeperMessage) -> Void
}

/// Serves the node's functions: one thread for all of them, which exists only where there is a function.
final class FunctionHost: Sendable {
    private let mailbox: Mailbox<FunctionMessage>
    private let shared: FunctionsShared
    private let epoch: String

    /// Starts the thread.
    init(_ effects: FunctionEffects) throws {
        let mailbox = try Mailbox<FunctionMessage>(limit: 65_536)
        let shared = FunctionsShared()
        self.mailbox = mailbox
        self.shared = shared
        epoch = effects.maker.epoch
        try WorkerThread { FunctionLoop(effects, mailbox, shared).run() }.detach()
    }

    /// Takes calls of a function from now on.
    func serve(_ order: FunctionOrder) {
        shared.content.withLock { $0.present[order.key] = false }
        mailbox.post(.serve(order))
    }

    /// Takes no more of its calls, and ends it.
    func retire(_ key: RevisionKey, graceMilliseconds: Int64) {
        shared.content.withLock { if $0.present[key] != nil { $0.present[key] = true } }
        mailbox.post(.retire(key, graceMilliseconds: graceMilliseconds))
    }

    /// Something happened on the node that functions may want to know of.
    func happened(kind: String, message: String) { mailbox.post(.happened(kind: kind, message: message)) }

    func wired(_ key: InstanceKey, _ wire: NetworkPlan?, failure: String) {
        mailbox.post(.wired(key, wire, failure: failure))
    }

    /// Functions of which anything is left, and whether that is to end.
    var present: [RevisionKey: Bool] { shared.content.withLock { $0.present } }

    /// What each did.
    var counts: [RevisionKey: FunctionCounts] { shared.content.withLock { $0.counts } }

    /// Where functions' URLs are served; nil while they are not.
    var port: UInt16? { shared.content.withLock { $0.port } }

    /// Whether a unit is an instance that this host started.
    func owns(unit: String) -> Bool { unit.contains("\(SystemdUnit.instanceMark)\(epoch)-") }
}

/// What other threads see of the functions'.
final class FunctionsShared: Sendable {
    struct Content {
        var present: [RevisionKey: Bool] = [:]
        var counts: [RevisionKey: FunctionCounts] = [:]
        var port: UInt16?
    }
    let content = Mutex(Content())
}

/// The journal's own socket (systemd.io, "Native Journal Protocol").
enum FunctionJournal {
    static let socket = "/run/systemd/journal/socket"
    /// The field that marks lines of the platform among those of functions.
    static let field = "APUS_FUNCTION"

    static func write(_ function: String, _ line: String) {
        // A line of its own cannot be forged by what is in it: control characters are taken out.
        let message = Text.clean(line.replacing("\t", with: "  "), limit: 2048)
        let entry = "PRIORITY=6\nSYSLOG_IDENTIFIER=\(function)\n\(field)=\(function)\nMESSAGE=\(message)\n"
        // A node without a journal has no log: ignoring.
        Processes.datagram(Array(entry.utf8), to: socket)
    }
}
