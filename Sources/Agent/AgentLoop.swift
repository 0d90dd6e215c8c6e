internal import Contract
internal import Decisions
internal import Linux
internal import Node
internal import Sequences

/// The agent's loop: takes messages, asks its state what follows, carries that out.
final class AgentLoop {
    private let system: RunningSystem
    private let files: NodeFiles
    private let mailbox: Mailbox<AgentMessage>
    private let conversation: Conversation
    private let jobs: JobThread
    private let rounds: HealthRounds
    private let workloads: WorkloadSupervisor
    private let log: NodeLog
    private let bootID: String
    private var state: AgentState

    /// The loop looks after everything at least this often, in milliseconds; systemd's watchdog expects it.
    private static let tickMilliseconds = 5000
    static let version = "1"

    init(
        system: RunningSystem, files: NodeFiles, mailbox: Mailbox<AgentMessage>, conversation: Conversation,
        jobs: JobThread, rounds: HealthRounds, workloads: WorkloadSupervisor, log: NodeLog, state: AgentState
    ) throws {
        self.workloads = workloads
        self.system = system
        self.files = files
        self.mailbox = mailbox
        self.conversation = conversation
        self.jobs = jobs
        self.rounds = rounds
        self.log = log
        self.state = state
        bootID = try Machine.bootID()
    }

    /// Runs until the process ends.
    func run() throws -> Never {
        for event in system.events { conversation.tell(event.kind, event.message) }
        carryOut(state.started())
        // The server repeats nothing that it said before this start.
        if let generation = state.memory.desired?.workloads { workloads.want(generation) }
        _ = ServiceManager.notify("READY=1")
        while true {
            let messages = mailbox.take(waitingMilliseconds: Self.tickMilliseconds)
            for message in messages { handle(message) }
            carryOut(state.tick(nowSeconds: Clock.bootSeconds()))
            conversation.update(status(), isNews: false)
            setPace()
            _ = ServiceManager.notify("WATCHDOG=1")
        }
    }

    private func handle(_ message: AgentMessage) {
        let now = Clock.bootSeconds()
        switch message {
        case .contact(let failure):
            if let failure, state.serverAnswers(nowMilliseconds: now * 1000) {
                log.log("the server does not answer: \(failure)")
            }
            carryOut(state.contact(failure: failure, nowMilliseconds: now * 1000))
        case .desired(let wish):
            if let generation = wish.workloads { workloads.want(generation) }
            workloads.open(wish.streams ?? [])
            carryOut(state.desired(wish, nowSeconds: now))
        case .health(let results, let gatewayAnswers):
            for result in results where !result.passed && state.phase == .probation {
                log.log("health: \(result.name) failed: \(result.detail)")
            }
            carryOut(state.checked(results, gatewayAnswers: gatewayAnswers, nowSeconds: now))
        case .jobDone(let outcome): carryOut(state.finished(outcome, nowSeconds: now))
        case .commandDone(let command, let failure): carryOut(state.carriedOut(command, failure: failure))
        case .unable(let why):
            // Without slots and record the agent still reports and takes commands; a version on trial goes back by its
            // guardian.
            log.log("slots and boot record cannot be used: \(why)")
            conversation.tell("agent", "slots and boot record cannot be used: \(why)")
        }
    }

    private func carryOut(_ effects: [AgentState.Effect]) {
        for effect in effects {
            do {
                try carryOut(effect)
            } catch {
                log.log("\(error)")
                conversation.tell("agent", "\(error)")
            }
        }
    }

    private func carryOut(_ effect: AgentState.Effect) throws {
        switch effect {
        case .run(let job): jobs.post(job)
        case .setDeadline(let seconds):
            // The agent is given the first word, because it can say why; the guardian comes after it.
            try RunningSystem.setDeadline(seconds: seconds + RunningSystem.guardianGraceSeconds)
        case .releaseGuardian: try RunningSystem.releaseGuardian()
        case .saveMemory: try files.write(state.memory, as: .agent)
        case .sendStatus: conversation.update(status(), isNews: true)
        case .tell(let kind, let message):
            log.log("\(kind): \(message)")
            conversation.tell(kind, message)
        case .carryOut(let command): begin(command)
        }
    }

    /// Commands take a while: each has a thread of its own.
    private func begin(_ command: NodeCommand) {
        let conversation = conversation
        let mailbox = mailbox
        let workloads = workloads
        do {
            try WorkerThread {
                do {
                    try MachineCommands.carryOut(command, conversation, workloads)
                    mailbox.post(.commandDone(command, failure: nil))
                } catch {
                    mailbox.post(.commandDone(command, failure: "\(error)"))
                }
            }.detach()
        } catch {
            mailbox.post(.commandDone(command, failure: "\(error)"))
        }
    }

    /// A version on probation is looked at closely, a committed one now and then.
    private func setPace() {
        let answers = state.serverAnswers(nowMilliseconds: Clock.bootSeconds() * 1000)
        workloads.setOnTrial(state.phase == .probation)
        rounds.set(
            HealthRounds.Pace(
                intervalMilliseconds: state.phase == .probation ? 3000 : 15_000, asksGateway: !answers))
    }

    private func status() -> NodeStatus {
        let record = state.record
        let memory = (try? Machine.memory()).map {
            MemoryReport(
                totalBytes: $0.totalBytes, availableBytes: $0.availableBytes, agentBytes: $0.residentBytes)
        }
        return NodeStatus(
            phase: state.phase, runningSlot: system.slot, bootEntry: system.bootEntry,
            startedByFirmware: system.startedByFirmware, committedSlot: record.committed,
            slots: [.a: record.a.report, .b: record.b.report], generation: state.memory.desired?.generation ?? 0,
            acknowledgedCommands: state.memory.finishedCommands, quarantined: record.quarantine,
            lastUpgrade: state.memory.lastUpgrade, health: HealthChecks.reported(state.health), bootID: bootID,
            uptimeSeconds: Clock.bootSeconds(), agentVersion: Self.version,
            memory: memory)
    }
}
