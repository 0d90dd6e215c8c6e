public import Contract
internal import Cryptography

/// Why a release, a plan or a part of one was refused.
public struct ReleaseError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What was wrong and where, as a sentence.
    public var description: String

    /// Makes an error from a sentence.
    public init(_ description: String) { self.description = description }
}

extension Digest256 {
    /// The SHA-256 of bytes.
    public init(hashing bytes: some Sequence<UInt8>) {
        self.init(unchecked: SHA256.digest(bytes))
    }

    /// Takes a digest's 32 bytes from where they are known to be 32.
    init(unchecked bytes: some Collection<UInt8>) {
        guard let digest = Digest256(bytes: bytes) else { preconditionFailure("a SHA-256 digest has 32 bytes") }
        self = digest
    }
}
