internal import Contract
internal import Decisions
internal import Fetch
internal import Linux
internal import Node
internal import Sandbox
internal import Sequences

/// The whole agent, put together from what the node's disk says.
public enum AgentProgram {
    /// Runs until the process ends. Where it cannot even begin, as on a node that was never provisioned or whose files
    /// are damaged, journal and console say why, and systemd starts it again.
    public static func main() -> Never {
        // The same program fetches images, ends machines and shows their consoles, as processes without rights.
        switch CommandLine.arguments.dropFirst().first {
        case ImagePullProgram.argument: Processes.exitNow(ImagePullProgram.main())
        case MachineStopProgram.argument:
            Processes.exitNow(MachineStopProgram.main(Array(CommandLine.arguments.dropFirst(2))))
        case MachineConsoleProgram.argument:
            Processes.exitNow(MachineConsoleProgram.main(Array(CommandLine.arguments.dropFirst(2))))
        default: break
        }
        do {
            try run()
        } catch {
            let sentence = "apus-agent cannot work: \(error)\n"
            // Both are for people; whichever cannot be written: ignoring.
            try? OwnedDescriptor(adopting: 2, path: NodeLog.standardError).write(Array(sentence.utf8))
            try? Files.overwrite("/dev/kmsg", with: "<3>" + sentence)
            Processes.exitNow(1)
        }
    }

    private static func run() throws -> Never {
        let log = try NodeLog(name: "apus-agent", consoles: [NodeLog.standardError], kernelLog: nil)
        let files = NodeFiles()
        let system = try RunningSystem.load()
        let access = try serverAccess(files)
        let trust = try required(SiteTrust.self, .trust, in: files)
        let memory = memory(in: files, log)

        let mailbox = try Mailbox<AgentMessage>(limit: 1024)
        let conversation = try Conversation(
            mailbox: mailbox, queue: log.queue, generation: memory.desired?.generation ?? 0,
            audit: AuditMemory(path: files.path(.auditHead))
        ) { try access.client() }
        let jobs = try JobThread { mailbox.post(.jobDone($0)) }
        let workloads = try WorkloadSupervisor(
            bootID: try Machine.bootID(), log: log, conversation: conversation, access: access)
        let rounds = HealthRounds(
            checks: HealthChecks(caCertificate: access.caCertificate, verityName: RunningSystem.rootDeviceName),
            mailbox: mailbox
        ) { workloads.checks() }
        let makeWork: @Sendable () throws -> AgentWork = {
            try work(
                on: system, access: access, trust: trust, log: log, conversation: conversation, workloads: workloads)
        }
        let state = AgentState(
            running: AgentState.RunningSlot(
                slot: system.slot,
                deadlineSeconds: RunningSystem.deadlineSeconds().map { $0 - RunningSystem.guardianGraceSeconds }),
            record: try makeWork().record, memory: memory)
        let loop = try AgentLoop(
            system: system, files: files, mailbox: mailbox, conversation: conversation, jobs: jobs, rounds: rounds,
            workloads: workloads, log: log, state: state)
        try conversation.start()
        try rounds.start()
        try workloads.start()
        try jobs.start(makeWork: makeWork) { mailbox.post(.unable($0)) }
        try loop.run()
    }

    private static func serverAccess(_ files: NodeFiles) throws -> ServerAccess {
        let identity = try required(NodeIdentity.self, .identity, in: files)
        let trust = try required(SiteTrust.self, .trust, in: files)
        guard let ca = trust.caCertificate else { throw NodeError("'\(files.path(.trust))' names no CA certificate") }
        guard let certificate = try files.text(.certificate), let key = try files.text(.key) else {
            throw NodeError("the node's key or certificate is missing in '\(files.directory)'; provision it again")
        }
        let network = try files.value(NetworkSettings.self, .network)
        return ServerAccess(
            endpoint: identity.endpoint, caCertificate: ca,
            identity: ClientIdentity(certificatePEM: certificate, keyPEM: key), proxy: network?.proxy)
    }

    private static func required<Value: Decodable>(
        _ type: Value.Type, _ name: NodeFiles.Name, in files: NodeFiles
    ) throws -> Value {
        guard let value = try files.value(type, name) else {
            throw NodeError("'\(files.path(name))' is missing; provision the node again")
        }
        return value
    }

    /// A damaged memory is forgotten: the boot record alone decides what is started.
    private static func memory(in files: NodeFiles, _ log: NodeLog) -> AgentMemory {
        do {
            return try files.value(AgentMemory.self, .agent) ?? AgentMemory()
        } catch {
            log.log("\(error); ignoring")
            return AgentMemory()
        }
    }

    /// The effects on this machine, made on the thread that uses them.
    private static func work(
        on system: RunningSystem, access: ServerAccess, trust: SiteTrust, log: NodeLog, conversation: Conversation,
        workloads: WorkloadSupervisor
    ) throws -> AgentWork {
        let disk = try AgentDisk.find(named: system.disk)
        let use = DiskInUse(disk)
        let releases = NodeReleases(access: { access }, trust: { trust }, note: { log.log($0) })
        let effects = AgentEffects(
            record: NodeBootRecord(use), firmware: NodeFirmware(),
            slots: NodeSlots(use, releases: releases, recoveryFiles: { NodeFiles().recoveryFiles() }, alive: {}),
            releases: releases,
            power: AgentPower(conversation, workloads), report: log, clock: NodeClock())
        return try AgentWork(
            effects: effects, running: system.slot, disk: disk.facts(), sizes: try AgentDisk.sizes(of: disk))
    }
}

/// The agent restarts in good order through systemd; everything else is early boot's.
private final class AgentPower: PowerEffect {
    private let conversation: Conversation
    private let workloads: WorkloadSupervisor

    init(_ conversation: Conversation, _ workloads: WorkloadSupervisor) {
        self.conversation = conversation
        self.workloads = workloads
    }

    func reboot() throws { try MachineCommands.restart(conversation, workloads) }
    func powerOff() throws { throw Refusal("the agent's sequences do not switch the machine off") }
    func kexec(_ target: StartTarget) throws { throw Refusal("only early boot starts kernels") }
    func start(_ slot: SlotStart) throws { throw Refusal("only early boot starts slots") }
}
