/// What happens during a build, for whoever shows it.
public enum BuildEvent: Sendable, Equatable {
    /// A step begins: its name, its number from 1 and the number of steps.
    case started(step: String, number: Int, of: Int)
    /// How far a step is, in bytes.
    case progress(step: String, doneBytes: UInt64, totalBytes: UInt64)
    /// A step ended, after so many seconds.
    case finished(step: String, seconds: Double)
    /// Something that the builder should know, as a sentence.
    case note(String)
}

/// Receives the events of a build, in order.
public typealias BuildProgress = @Sendable (BuildEvent) -> Void

/// Runs named steps in order, and does all the reporting and timing.
struct StepRunner {
    let total: Int
    let progress: BuildProgress
    private var number = 0

    init(total: Int, progress: @escaping BuildProgress) {
        self.total = total
        self.progress = progress
    }

    mutating func run<Result>(
        _ step: String, _ body: (_ report: @escaping @Sendable (UInt64, UInt64) -> Void) async throws -> Result
    ) async throws -> Result {
        number += 1
        progress(.started(step: step, number: number, of: total))
        let start = ContinuousClock.now
        let progress = progress
        let result: Result
        do {
            result = try await body { progress(.progress(step: step, doneBytes: $0, totalBytes: $1)) }
        } catch {
            throw PackingError("cannot \(step): \(error)")
        }
        let elapsed = (ContinuousClock.now - start).components
        progress(.finished(step: step, seconds: Double(elapsed.seconds) + Double(elapsed.attoseconds) * 1e-18))
        return result
    }
}
