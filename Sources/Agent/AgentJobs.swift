internal import Contract
internal import Decisions
internal import Linux
internal import Sequences

/// Work on slots, record and firmware that the agent hands to its one working thread.
enum AgentJob: Sendable, Equatable {
    /// Write a release into a slot.
    case install(Digest256, into: SlotName)
    /// Record a trial and restart into it.
    case startTrial(SlotName, ProbationRule)
    /// Restart into the version on trial once more.
    case retryTrial
    /// Commit the version that runs.
    case commit
    /// End the trial, and restart where the version on trial runs.
    case rollBack(reason: String, isBlamed: Bool)
    /// Go back to the release before the committed one.
    case goBack(reason: String)
    /// Restart into a slot, or into recovery to be provisioned again.
    case restart(StartTarget)
    /// Clear the count of boots.
    case confirmHealth
    /// Let failed versions be tried again.
    case clearQuarantine
    /// Recreate lost boot entries of ours, remove duplicates.
    case repairEntries
    /// Bring the recovery partition up to date.
    case refreshRecovery

    /// What the node's status says meanwhile; nil leaves it as it is.
    var phase: NodeStatus.Phase? {
        switch self {
        case .install: .installing
        case .startTrial, .retryTrial, .rollBack, .goBack, .restart: .restarting
        case .commit, .confirmHealth, .clearQuarantine, .repairEntries, .refreshRecovery: nil
        }
    }
}

/// How a job ended.
struct JobOutcome: Sendable {
    /// The job.
    var job: AgentJob
    /// The record as it is on the disk now.
    var record: BootRecord
    /// Why it failed, or nil.
    var failure: JobFailure?
    /// Whether a restart has begun.
    var isRestarting: Bool
}

/// Why a job failed.
struct JobFailure: Sendable, Equatable {
    /// A sentence.
    var reason: String
    /// Whether the same would fail again: a wrong signature, another architecture.
    var isPermanent: Bool
}

/// The one thread that changes slots, record and boot entries.
final class JobThread: Sendable {
    private let jobs: Mailbox<AgentJob>
    private let done: @Sendable (JobOutcome) -> Void

    init(done: @escaping @Sendable (JobOutcome) -> Void) throws {
        jobs = try Mailbox(limit: 16)
        self.done = done
    }

    /// Starts the thread, which makes its own `AgentWork` so that nothing of it is shared.
    func start(
        makeWork: @escaping @Sendable () throws -> AgentWork, failed: @escaping @Sendable (String) -> Void
    ) throws {
        try WorkerThread {
            do {
                let work = try makeWork()
                let runner = Runner(report: work.effects.report, clock: work.effects.clock)
                while true {
                    for job in self.jobs.take(waitingMilliseconds: 60_000) {
                        self.done(Self.perform(job, with: work, runner))
                    }
                }
            } catch {
                failed("\(error)")
            }
        }.detach()
    }

    /// Hands a job over; they are done in order.
    func post(_ job: AgentJob) { jobs.post(job) }

    private static func perform(_ job: AgentJob, with work: AgentWork, _ runner: Runner) -> JobOutcome {
        var failure: JobFailure?
        do {
            switch job {
            case .confirmHealth: try work.confirmHealth()
            case .clearQuarantine: try work.clearQuarantine()
            default: if let sequence = sequence(for: job) { try runner.run(sequence, on: work) }
            }
        } catch let error as StepError {
            failure = JobFailure(
                reason: "\(error.step): \(error.cause)", isPermanent: error.cause is any PermanentError)
        } catch {
            failure = JobFailure(reason: "\(error)", isPermanent: error is any PermanentError)
        }
        return JobOutcome(job: job, record: work.record, failure: failure, isRestarting: work.isRestarting)
    }

    private static func sequence(for job: AgentJob) -> StepSequence<AgentWork>? {
        switch job {
        case .install(let release, let slot): installSequence(release, into: slot)
        case .startTrial(let slot, let rule): startTrialSequence(slot, rule: rule)
        case .retryTrial: retryTrialSequence()
        case .commit: commitSequence()
        case .rollBack(let reason, let isBlamed): rollBackSequence(reason: reason, isBlamed: isBlamed)
        case .goBack(let reason): goBackSequence(reason: reason)
        case .restart(let target): restartSequence(into: target)
        case .repairEntries: repairSequence()
        case .refreshRecovery: refreshRecoverySequence()
        case .confirmHealth, .clearQuarantine: nil
        }
    }
}
