public import Contract
public import Sequences

/// Reports in early boot: to the log, and to the watchdog's keeper, for which a step is a sign of life.
public final class EarlyReport: ReportEffect {
    /// How long a step may take without another sign of life, in seconds; the watchdog's own time comes on top.
    ///
    /// Short where a boot has not been counted yet: a version that hangs there is started several times before it is
    /// given up.
    static func silenceSeconds(ofStep name: String) -> Int64 {
        ["mount-filesystems", "arm-watchdog", "load-drivers", "decide"].contains(name) ? 30 : 120
    }

    private let context: EarlyContext

    /// Makes it over the log of this boot.
    public init(_ context: EarlyContext) { self.context = context }

    /// A step's state changed.
    public func step(_ report: StepReport) {
        context.keeper?.alive(forSeconds: Self.silenceSeconds(ofStep: report.step))
        context.log.step(report)
    }

    /// A line for people.
    public func log(_ line: String) { context.log.log(line) }

    /// Hands on what is still queued, waiting a bounded time.
    public func flush() { context.log.flush() }
}
