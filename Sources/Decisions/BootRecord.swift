public import Contract

/// The node's memory of its slots: the truth on the disk, of which the firmware's variables are only a cache.
///
/// It is changed in memory by the validated transitions of `BootRecordTransitions.swift`, which write nothing; one
/// writer then makes the new value durable before the effect that it announces. The sequence number and checksum
/// belong to the adapter that stores it.
public struct BootRecord: Sendable, Equatable {
    /// How many boots in a row a slot may fail before it gives way.
    public static let failedBootLimit = 3
    /// How often the firmware, and then kexec, is asked for a start before the other way is taken.
    public static let startRequestLimit = 2
    /// How many failed versions are remembered; the oldest is forgotten first.
    public static let quarantineLimit = 16
    /// The longest reason that is kept, in characters.
    public static let reasonLimit = 512

    /// The version of this format, as it was read.
    public internal(set) var format = wireFormat
    /// What slot A holds.
    public internal(set) var a = SlotContents.empty
    /// What slot B holds.
    public internal(set) var b = SlotContents.empty
    /// The slot that the node runs from; nil until provisioning is complete.
    public internal(set) var committed: SlotName?
    /// The slot that still holds the release committed before, to which a failure after the commit goes back once.
    public internal(set) var previous: SlotName?
    /// A version being tried.
    public internal(set) var trial: Trial?
    /// Boots of each slot since it was last healthy, at most `failedBootLimit`.
    public internal(set) var bootsWithoutHealth: [SlotName: Int] = [:]
    /// A start that was asked for and has not yet happened.
    public internal(set) var request: StartRequest?
    /// The newest failure, for the report.
    public internal(set) var lastFailure: Failure?
    /// Versions that failed here and are not tried again, oldest first.
    public internal(set) var quarantine: [QuarantinedRelease] = []
    /// Whether provisioning has begun and not ended: no slot is to be relied on.
    public internal(set) var isProvisioning = false
    /// Whether the state partition was made; where not, what lies in its place is not ours.
    public internal(set) var hasState = false
    /// Whether an operator asked for provisioning again.
    public internal(set) var reprovisionRequested = false
    /// The highest epoch ever committed: releases below it are refused.
    public internal(set) var epochFloor = 0
    /// The generation of the provisioning plan that was carried out last.
    public internal(set) var planGeneration = 0
    /// SHA-256 of the public key of the site's CA that the node was provisioned by; a disk of another is not ours.
    public internal(set) var site: Digest256?
    /// The boot artifact on the recovery partition; nil while it is being replaced.
    public internal(set) var recovery: RecoveryArtifact?
    var preserved = PreservedFields()

    /// Makes the record of a disk of which nothing is known.
    public init() {}

    /// What a slot holds.
    public internal(set) subscript(slot: SlotName) -> SlotContents {
        get { slot == .a ? a : b }
        set { if slot == .a { a = newValue } else { b = newValue } }
    }

    /// The release committed and verified, if any.
    public var committedRelease: InstalledRelease? { committed.flatMap { self[$0].installed } }

    /// How often a slot was started since it was last healthy.
    public func failedBoots(of slot: SlotName) -> Int { bootsWithoutHealth[slot] ?? 0 }

    /// Why a release is quarantined, or nil.
    public func quarantineReason(of release: Digest256) -> String? {
        quarantine.first { $0.release == release }?.reason
    }

    /// A version being tried: its slot is started a bounded number of times and must prove itself.
    public struct Trial: Sendable, Equatable, Codable {
        /// The slot that holds it.
        public internal(set) var slot: SlotName
        /// How many more times it may be started; never rises.
        public internal(set) var attemptsLeft: Int
        /// How often it may be started in all.
        public internal(set) var attempts: Int
        /// Every check must hold this long without a break, in seconds.
        public internal(set) var holdSeconds: Int
        /// Counted from the start, in seconds; then it is given up.
        public internal(set) var deadlineSeconds: Int
        /// Whether a start was asked for that has not yet been counted.
        public internal(set) var isWaitingToStart: Bool

        /// The rule that it is proven by.
        public var rule: ProbationRule {
            ProbationRule(holdSeconds: holdSeconds, deadlineSeconds: deadlineSeconds, attempts: attempts)
        }
    }

    /// A start that was asked for: it tells a firmware that ignores requests from a version that fails.
    public struct StartRequest: Sendable, Equatable, Codable {
        /// What was to be started.
        public internal(set) var target: StartTarget
        /// How often the firmware was asked and started something else.
        public internal(set) var firmware: Int
        /// How often kexec was tried and the target did not come up.
        public internal(set) var kexec: Int
    }

    /// A version that failed.
    public struct Failure: Sendable, Equatable, Codable {
        /// The slot that held it.
        public internal(set) var slot: SlotName
        /// The release, where it is known.
        public internal(set) var release: Digest256?
        /// Its version.
        public internal(set) var version: String
        /// Why, as a sentence.
        public internal(set) var reason: String
        /// Whether the version is to blame, and not the firmware or an outage.
        public internal(set) var isBlamed: Bool
        /// How many times in a row this release failed without blame.
        public internal(set) var times: Int
    }

    /// The boot artifact on the recovery partition.
    public struct RecoveryArtifact: Sendable, Equatable, Codable {
        /// Its SHA-256.
        public var digest: Digest256
        /// Its size in bytes.
        public var sizeBytes: UInt64

        /// Describes an artifact.
        public init(digest: Digest256, sizeBytes: UInt64) {
            self.digest = digest
            self.sizeBytes = sizeBytes
        }
    }
}

/// What can be started from this disk.
public enum StartTarget: Hashable, Sendable, CaseIterable, Codable, CustomStringConvertible {
    /// A slot's operating system.
    case slot(SlotName)
    /// The boot artifact on the recovery partition.
    case recovery

    /// Both slots, then recovery.
    public static let allCases: [StartTarget] = [.slot(.a), .slot(.b), .recovery]

    /// `slot A`, `slot B` or `recovery`.
    public var description: String {
        switch self {
        case .slot(let slot): "slot \(slot.letter)"
        case .recovery: "recovery"
        }
    }

    /// Reads the JSON form; throws where it is not valid.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        if let slot = SlotName(rawValue: text) {
            self = .slot(slot)
        } else if text == "recovery" {
            self = .recovery
        } else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "a start target is a, b or recovery")
        }
    }

    /// Writes the JSON form.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .slot(let slot): try container.encode(slot.rawValue)
        case .recovery: try container.encode("recovery")
        }
    }
}

/// What came of reading the boot record from the disk.
public enum RecordReading: Sendable, Equatable {
    /// There is no disk of ours, or no record was ever written to it.
    case missing
    /// Neither copy can be believed; the sentence says why.
    case unreadable(String)
    /// The newest copy that holds.
    case valid(BootRecord)

    /// The record, where there is one.
    public var record: BootRecord? { if case .valid(let record) = self { record } else { nil } }
}
