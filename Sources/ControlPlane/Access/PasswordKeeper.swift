import Cryptography
import Dispatch
import HTTPTypes
import Synchronization

/// Hashes passwords one after the other on a thread of its own: each takes 32 MiB and a processor for a while, and
/// whoever sends many must not take the server's.
final class PasswordKeeper: Sendable {
    private static let waitingLimit = 16
    private let queue = DispatchQueue(label: "passwords")
    private let waiting = Mutex(0)

    /// The text that is kept of a password.
    func make(_ password: String) async throws -> String {
        try await run { try PasswordHash.make(Array(password.utf8)) }
    }

    /// Whether a password is the one that was kept; where none was, it is not, and takes as long.
    func matches(_ password: String, _ kept: String?) async throws -> Bool {
        try await run { try PasswordHash.matches(Array(password.utf8), kept ?? PasswordHash.ofNobody) }
    }

    private func run<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        let isFull = waiting.withLock { waiting in
            guard waiting < Self.waitingLimit else { return true }
            waiting += 1
            return false
        }
        guard !isFull else {
            throw APIFailure(
                .serviceUnavailable, "busy", "too many passwords are checked at once; try again in a while",
                headers: [.retryAfter: "5"])
        }
        defer { waiting.withLock { $0 -= 1 } }
        return try await withCheckedThrowingContinuation { done in
            queue.async { done.resume(with: Result(catching: body)) }
        }
    }
}
