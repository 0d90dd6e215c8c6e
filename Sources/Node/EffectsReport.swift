public import Contract
public import Sequences

/// Reports in early boot: to the log, and to the watchdog's keeper, for which a step is a sign of life.
public final class EarlyReport: ReportEffect {
    /// How long a step may take without another sign of life, in seconds.
    public static let stepSeconds: Int64 = 120

    private let context: EarlyContext

    /// Makes it over the log of this boot.
    public init(_ context: EarlyContext) { self.context = context }

    /// A step's state changed.
    public func step(_ report: StepReport) {
        context.keeper?.alive(forSeconds: Self.stepSeconds)
        context.log.step(report)
    }

    /// A line for people.
    public func log(_ line: String) { context.log.log(line) }

    /// Hands on what is still queued, waiting a bounded time.
    public func flush() { context.log.flush() }
}
