public import Contract
public import Decisions

/// A tiny release and how its system behaves once it is started.
public struct SimulatedRelease: Sendable, Equatable {
    /// What happens after the kernel was started.
    public enum Behaviour: Sendable, Hashable {
        /// Every check holds.
        case healthy
        /// It runs, and a check fails.
        case unhealthy
        /// It panics or hangs after its start was counted.
        case dies
        /// Its kernel dies before `apus-init` could count the start.
        case diesEarly
    }

    /// What the planners know of it.
    public var facts: ReleaseFacts
    /// How it behaves.
    public var behaviour: Behaviour

    /// Makes one of the releases that `PlainStorage` writes, told apart by their numbers.
    public init(_ number: UInt8, _ behaviour: Behaviour = .healthy) {
        self.init(
            ReleaseFacts(
                release: Self.digest(1, number), version: "\(number)", epoch: 1, architecture: .current,
                rootHash: Self.digest(2, number), salt: [1, 2, 3], blocks: 16, treeBytes: 8192,
                ukiDigest: Self.digest(3, number), ukiBytes: 1 << 16,
                recovery: BootRecord.RecoveryArtifact(digest: Self.digest(4, number), sizeBytes: 1 << 16),
                expiresSeconds: 1 << 40), behaviour)
    }

    /// Makes a release of real artifacts.
    public init(_ facts: ReleaseFacts, _ behaviour: Behaviour = .healthy) {
        self.facts = facts
        self.behaviour = behaviour
    }

    static func digest(_ kind: UInt8, _ number: UInt8) -> Digest256 {
        guard let digest = Digest256(bytes: [kind, number] + [UInt8](repeating: 0xa5, count: 30)) else {
            preconditionFailure("a SHA-256 has 32 bytes")
        }
        return digest
    }

    /// Its name.
    public var name: Digest256 { facts.release }

    /// What its UKI's command line says.
    public var image: BootArguments.SlotImage {
        BootArguments.SlotImage(
            rootHash: facts.rootHash, salt: facts.salt, blocks: facts.blocks, version: facts.version)
    }
}
