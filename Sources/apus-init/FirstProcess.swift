import Linux
import Node
import Sequences

/// PID 1: never returns, because the kernel panics when it does.
enum FirstProcess {
    static func run() -> Never {
        while true {
            var seconds: Int64 = 60
            do {
                seconds = try boot()
            } catch {
                // Without a console or a thread there is no more than the kernel's log to say it in.
                KernelLog.write("apus-init: \(error); restarting in \(seconds) s", level: 2)
            }
            NodeClock.pause(milliseconds: seconds * 1000)
            // Where a restart is refused, the next round tries again.
            do { try Machine.perform(.reboot) } catch { KernelLog.write("apus-init: \(error)", level: 2) }
        }
    }

    /// One early boot from the first mount to the hand-over, which does not return.
    /// - Returns: how many seconds to wait before a restart, when it came back after all.
    private static func boot() throws -> Int64 {
        try Mounts.mountEarly()
        Machine.ignoreControlAltDelete()
        let log = try NodeLog(name: "apus-init", consoles: Consoles.paths())
        let arguments = KernelArguments(try Machine.commandLine())
        let keeper = KeeperLink()
        let context = EarlyContext(
            log: log, clock: NodeClock(whileWaiting: { keeper.tell() }),
            arguments: arguments)
        keeper.context = context
        log.log("Apus \(BootArtifact.version), \(arguments["apus.mode"] ?? "no mode")")
        do {
            try Machine.forgoHugePages(totalBytes: try Machine.memory().totalBytes)
        } catch {
            log.log("ignoring that huge pages cannot be forgone: \(error)")
        }
        let early = EarlyBoot(effects: EarlyBootMachine.effects(context))
        context.events = { [weak early] in early.map(EarlyBootMachine.events) ?? [] }
        let runner = Runner(report: EarlyReport(context), clock: context.clock)
        do {
            try runner.run(earlyBootSequence(), on: early)
            return 1
        } catch {
            return fallBackOrWait(after: error, early, runner, context)
        }
    }

    /// Starts the installed system again where provisioning was only asked for; otherwise says what failed.
    private static func fallBackOrWait(
        after error: StepError, _ early: EarlyBoot, _ runner: Runner, _ context: EarlyContext
    ) -> Int64 {
        var problem = error
        if early.canFallBack {
            context.log.log("going back to the installed system")
            do { try runner.run(fallBackSequence(), on: early) } catch { problem = error }
        }
        let seconds = Aftermath.waitSeconds(after: problem)
        context.log.show(
            block: ConsoleText.failure(problem.description, next: "the machine restarts in \(seconds) s"))
        context.log.flush()
        context.clock.wait(milliseconds: seconds * 1000)
        return 0
    }
}

/// The clock is made before the context that it tells of its waits.
private final class KeeperLink {
    weak var context: EarlyContext?

    /// This program waits on purpose; what ended meanwhile is taken in, as PID 1 must.
    func tell() {
        context?.keeper?.alive(forSeconds: 60)
        _ = Processes.reapChildren()
    }
}
