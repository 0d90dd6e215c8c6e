internal import Contract
internal import Linux
internal import Synchronization
public import Workloads

/// What the keeper's thread is told.
enum KeeperMessage: Sendable {
    case assigned(WorkloadAssignment)
    case pulled(Digest256, PullFacts?)
    case probed(RevisionKey, sinceMilliseconds: Int64, failure: String?)
    /// An instance of a function is to have a wire.
    case wireWanted(InstanceKey)
    /// An instance of a function is no more.
    case instanceGone(InstanceKey)
    /// Something happened on the node that functions may want to know of.
    case happened(kind: String, message: String)
    /// The machine is about to restart: stop everything until then.
    case leave(deadlineMilliseconds: Int64)
    /// It does not restart after all.
    case stay
}

/// Brings the node's workloads to what the server wants, and keeps them there without it: one thread of the agent,
/// which exists only where there is an assignment.
public final class WorkloadKeeper: Sendable {
    private let mailbox: Mailbox<KeeperMessage>
    private let effects: KeeperEffects
    private let bootID: String
    private let shared = Mutex(Shared())

    private struct Shared {
        var isStarted = false
        var generation: Int?
        var missing: [WorkloadName: String] = [:]
        var isLeft = false
        var functionPort: UInt16?
    }

    /// Makes a keeper that does nothing yet.
    ///
    /// - Parameter bootID: names this boot of the machine (`/proc/sys/kernel/random/boot_id`).
    public init(_ effects: KeeperEffects, bootID: String) throws {
        let mailbox = try Mailbox<KeeperMessage>(limit: 4096)
        var effects = effects
        effects.post = { mailbox.post($0) }
        self.mailbox = mailbox
        self.effects = effects
        self.bootID = bootID
    }

    /// Whether the disk holds an assignment.
    public var hasAssignment: Bool { Files.exists(effects.places.assignment) }

    /// The generation of the assignment that is on the disk and worked on; nil before there is one.
    public var generation: Int? { shared.withLock { $0.generation } }

    /// The port where functions' URLs are served; nil while there is none.
    public var functionPort: UInt16? { shared.withLock { $0.functionPort } }

    /// Starts the thread; once.
    public func start() throws {
        guard
            shared.withLock({ shared in
                defer { shared.isStarted = true }
                return !shared.isStarted
            })
        else { return }
        try WorkerThread { self.run() }.detach()
    }

    /// Hands a new assignment over; `generation` changes once it is on the disk.
    public func assign(_ assignment: WorkloadAssignment) { mailbox.post(.assigned(assignment)) }

    /// Calls the functions that are to hear of such an event of the node.
    public func happened(kind: String, message: String) {
        guard shared.withLock({ $0.isStarted }) else { return }
        mailbox.post(.happened(kind: kind, message: message))
    }

    /// Workloads that ran before the machine was restarted and do not run yet, each with why; for the health gate.
    public var missing: [WorkloadName: String] { shared.withLock { $0.missing } }

    /// Stops all workloads before the machine restarts, those that depend on others first, and waits for it.
    ///
    /// - Parameter seconds: when it restarts whatever happens.
    public func stopAll(withinSeconds seconds: Int64) {
        guard shared.withLock({ $0.isStarted }) else { return }
        let deadline = Clock.bootMilliseconds() + seconds * 1000
        shared.withLock { $0.isLeft = false }
        mailbox.post(.leave(deadlineMilliseconds: deadline))
        while Clock.bootMilliseconds() < deadline + 2000, !shared.withLock({ $0.isLeft }) {
            Clock.pause(milliseconds: 100)
        }
    }

    /// Goes on as before: the machine does not restart.
    public func resume() { mailbox.post(.stay) }

    private func run() {
        var core: KeeperCore?
        var wait = 0
        while true {
            let messages = mailbox.take(waitingMilliseconds: wait)
            do {
                let open = try core ?? KeeperCore(effects, bootID: bootID)
                core = open
                for message in messages { handle(message, open) }
                wait = open.step()
                publish(open)
            } catch {
                effects.tell("the workloads on this node's disk cannot be read: \(error)")
                // A newer assignment replaces what is damaged.
                for case .assigned(let assignment) in messages { replace(assignment) }
                wait = 10_000
            }
        }
    }

    private func handle(_ message: KeeperMessage, _ core: KeeperCore) {
        switch message {
        case .assigned(let assignment):
            do {
                try core.accept(assignment)
            } catch {
                effects.tell("the new assignment was not taken: \(error)")
            }
        case .pulled(let digest, let failure): core.pulled(digest, failure)
        case .probed(let key, let since, let failure): core.probed(key, since, failure)
        case .wireWanted(let key): core.wireInstance(key)
        case .instanceGone(let key): core.instanceGone(key)
        case .happened(let kind, let message): core.functions?.happened(kind: kind, message: message)
        case .leave(let deadline): core.beginLeaving(deadline)
        case .stay: core.leaving = nil
        }
    }

    private func replace(_ assignment: WorkloadAssignment) {
        do {
            try AssignmentStore(places: effects.places).save(assignment, keeping: [:])
        } catch {
            effects.tell("the new assignment was not taken: \(error)")
        }
    }

    private func publish(_ core: KeeperCore) {
        let missing = core.missing()
        shared.withLock { shared in
            shared.generation = core.content.generation
            shared.missing = missing
            shared.isLeft = core.hasLeft
            shared.functionPort = core.functions?.port
        }
    }
}
