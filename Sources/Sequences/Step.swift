public import Decisions

/// One named step of a sequence, with the condition under which it is needed and what follows when it fails.
///
/// Its body does only the work: the `Runner` alone logs, times, reports, repeats and wraps errors.
public struct Step<Context: AnyObject> {
    /// The name in reports, such as `stream-image`.
    public let name: String
    let skipReason: (Context) -> String?
    let retry: Retry
    let otherwise: String
    let run: (Context, StepProgress) throws -> Void

    /// Makes a step.
    ///
    /// - Parameters:
    ///   - name: Names it in reports.
    ///   - skip: Why it is not needed, or nil where it is.
    ///   - retry: Whether it is repeated after an error.
    ///   - otherwise: What happens next when it fails for good, as the end of a sentence.
    ///   - run: The work; it may tell its progress.
    public init(
        _ name: String, skip: @escaping (Context) -> String? = { _ in nil }, retry: Retry = .never,
        otherwise: String = "", run: @escaping (Context, StepProgress) throws -> Void
    ) {
        self.name = name
        skipReason = skip
        self.retry = retry
        self.otherwise = otherwise
        self.run = run
    }

    /// Makes a step that tells no progress.
    public init(
        _ name: String, skip: @escaping (Context) -> String? = { _ in nil }, retry: Retry = .never,
        otherwise: String = "", run: @escaping (Context) throws -> Void
    ) {
        self.init(name, skip: skip, retry: retry, otherwise: otherwise) { context, _ in try run(context) }
    }
}

/// Whether a failed step is repeated: after 1 s, 2 s, 4 s … up to a minute, each with jitter.
public enum Retry: Sendable, Equatable {
    /// Not at all.
    case never
    /// As often as that, the first time included.
    case times(Int)
    /// For as long as it takes, where waiting is right.
    case forever

    /// The wait before the next attempt in milliseconds: doubling from 1 s to 60 s, of which the latter half is random.
    static func delayMilliseconds(afterAttempt attempt: Int, random: (Int64) -> Int64) -> Int64 {
        let full: Int64 = min(60_000, 1000 << Int64(min(max(attempt - 1, 0), 6)))
        return full / 2 + random(full / 2 + 1)
    }

    func allows(attempt: Int) -> Bool {
        switch self {
        case .never: attempt <= 1
        case .times(let count): attempt <= count
        case .forever: true
        }
    }
}

/// An error that no repetition will cure, such as a wrong signature or a disk that is too small.
public protocol PermanentError: Error {}

extension PlanRefusal: PermanentError {}
extension PartitionRefusal: PermanentError {}
extension DiskChoice.NoneFits: PermanentError {}
extension RecordTransitionError: PermanentError {}

/// A refusal with a sentence that says what to do.
public struct Refusal: PermanentError, Sendable, Equatable, CustomStringConvertible {
    /// The sentence.
    public var description: String

    /// Makes a refusal from its sentence.
    public init(_ sentence: String) { description = sentence }
}

/// A list of steps in their order.
public struct StepSequence<Context: AnyObject> {
    /// The name in reports, such as `provision`.
    public let name: String
    /// The steps.
    public let steps: [Step<Context>]
    /// Whether the rest of the steps is not to be run, asked after each step.
    let isOver: (Context) -> Bool

    /// Makes a sequence; `isOver` may end it early without an error.
    public init(
        _ name: String, endsWhen isOver: @escaping (Context) -> Bool = { _ in false }, _ steps: [Step<Context>]
    ) {
        self.name = name
        self.isOver = isOver
        self.steps = steps
    }
}

/// A step that failed for good: what, why, and what happens next.
public struct StepError: Error, CustomStringConvertible {
    /// The sequence.
    public var sequence: String
    /// The step.
    public var step: String
    /// The error that the step threw.
    public var cause: any Error
    /// What happens next, or an empty string.
    public var next: String

    /// A sentence for the console.
    public var description: String {
        "\(sequence): \(step) failed: \(cause)" + (next.isEmpty ? "" : "; \(next)")
    }
}
