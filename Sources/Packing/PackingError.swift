internal import Glibc

/// Why a release could not be built.
public struct PackingError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What was attempted, what was wrong and what to do, as a sentence.
    public var description: String

    /// Makes an error from a sentence.
    public init(_ description: String) { self.description = description }

    /// Names the attempt and the system's reason (errno(3)).
    static func system(_ attempt: String, _ code: Int32 = errno) -> PackingError {
        PackingError("\(attempt): \(String(cString: strerror(code)))")
    }
}
