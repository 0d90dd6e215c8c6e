internal import Linux
internal import Workloads

/// The node's resolver for workloads: one thread for all of them, which exists while a wire needs it.
final class NameService: Sendable {
    /// What the thread is told. Each message is answered with a reason where it could not be done.
    enum Message: Sendable {
        case serve(WorkloadName, EgressSets, done: Mailbox<String?>)
        case release(Int, done: Mailbox<String?>)
        case end(done: Mailbox<String?>)
    }

    /// Where it works, and by which bounds.
    struct Setting: Sendable {
        /// The network namespace of the node; nil for the one that the program runs in.
        var network: String?
        /// Files that name the servers to ask, in the form of resolv.conf(5): the first one that names any is used.
        var serverFiles: [String]
        var limits = NameRelay.Limits()
        /// Tells people something.
        var tell: @Sendable (String) -> Void
    }

    private let mailbox: Mailbox<Message>

    /// How long the thread has for one message, in milliseconds: more than `nft` has.
    private static let patienceMilliseconds = 15_000

    /// Starts the thread.
    init(_ setting: Setting) throws {
        let mailbox = try Mailbox<Message>(limit: 64)
        self.mailbox = mailbox
        try WorkerThread { NameLoop(setting, mailbox).run() }.detach()
    }

    /// Answers the workload on a wire that is up, and returns once it does.
    func serve(_ workload: WorkloadName, _ sets: EgressSets) throws {
        try order { .serve(workload, sets, done: $0) }
    }

    /// Answers on a wire no longer, and returns once its sockets are closed.
    func release(_ wire: Int) throws { try order { .release(wire, done: $0) } }

    /// Ends the thread, and returns once its sockets are closed, so that another may begin at once.
    func end() {
        // One that does not answer is no less at its end: ignoring.
        try? order { .end(done: $0) }
    }

    private func order(_ message: (Mailbox<String?>) -> Message) throws {
        let done = try Mailbox<String?>(limit: 1)
        guard mailbox.post(message(done)), let answer = done.take(waitingMilliseconds: Self.patienceMilliseconds).first
        else { throw SandboxError("the resolver of this node's workloads does not answer") }
        if let reason = answer { throw SandboxError("names cannot be looked up for a workload: \(reason)") }
    }
}
