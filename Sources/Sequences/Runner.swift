import Contract

/// Runs sequences. It alone logs, times, reports, repeats and wraps errors.
public final class Runner {
    private let report: any ReportEffect
    private let clock: any ClockEffect
    /// Progress is reported at most this often, in milliseconds.
    private let progressIntervalMilliseconds: Int64 = 1000

    /// Makes a runner over where reports go and a clock.
    public init(report: any ReportEffect, clock: any ClockEffect) {
        self.report = report
        self.clock = clock
    }

    /// Runs the steps in order and ends at the first that fails for good.
    public func run<Context>(_ sequence: StepSequence<Context>, on context: Context) throws(StepError) {
        for step in sequence.steps {
            try run(step, of: sequence.name, on: context)
            if sequence.isOver(context) { return }
        }
    }

    private func run<Context>(_ step: Step<Context>, of sequence: String, on context: Context) throws(StepError) {
        let began = clock.uptimeMilliseconds
        func tell(_ state: StepReport.State, done: UInt64? = nil, total: UInt64? = nil, detail: String = "") {
            report.step(
                StepReport(
                    sequence: sequence, step: step.name, state: state, done: done, total: total,
                    unit: done == nil ? nil : "bytes", milliseconds: clock.uptimeMilliseconds - began, detail: detail))
        }
        if let reason = step.skipReason(context) {
            tell(.skipped, detail: reason)
            return
        }
        tell(.started)
        var lastProgress = began
        for attempt in 1... {
            do {
                try step.run(context) { done, total in
                    let now = clock.uptimeMilliseconds
                    guard now - lastProgress >= progressIntervalMilliseconds || done == total else { return }
                    lastProgress = now
                    tell(.progress, done: done, total: total)
                }
                tell(.finished)
                return
            } catch {
                guard !(error is any PermanentError), step.retry.allows(attempt: attempt + 1) else {
                    let failure = StepError(sequence: sequence, step: step.name, cause: error, next: step.otherwise)
                    tell(.failed, detail: failure.description)
                    report.log(failure.description)
                    throw failure
                }
                let delay = Retry.delayMilliseconds(afterAttempt: attempt, random: clock.random(below:))
                report.log("\(sequence): \(step.name): \(error); trying again in \((delay + 999) / 1000) s")
                tell(.progress, detail: "\(error); trying again in \((delay + 999) / 1000) s")
                clock.wait(milliseconds: delay)
            }
        }
    }
}
