public import Contract

/// Why a plan or a release is refused.
public enum PlanRefusal: Error, Sendable, Equatable, CustomStringConvertible {
    /// The plan is not of a format that this program reads.
    case unknownFormat(Int)
    /// It is for another node.
    case otherNode(NodeID)
    /// It answers an earlier registration.
    case otherRegistration
    /// It is not newer than the one carried out last.
    case stale(generation: Int, last: Int)
    /// The release that was fetched is not the planned one.
    case otherRelease
    /// The release is for another architecture.
    case otherArchitecture(Architecture)
    /// The release's epoch is below the one that this node committed.
    case epochTooLow(Int, floor: Int)
    /// The release's metadata has expired.
    case expired(version: String)
    /// The release's metadata contradicts itself.
    case implausible(String)
    /// The release does not fit the partitions.
    case doesNotFit(String)

    /// A sentence that says what to do.
    public var description: String {
        switch self {
        case .unknownFormat(let format):
            "the plan has format \(format), which this boot artifact does not read: publish a newer boot artifact"
        case .otherNode(let id): "the plan is for node \(id), not for this one"
        case .otherRegistration: "the plan answers an earlier registration; register again"
        case .stale(let generation, let last):
            "the plan's generation \(generation) is not above \(last), which was carried out last"
        case .otherRelease: "the release is not the one that the plan names"
        case .otherArchitecture(let architecture):
            "the release is for \(architecture.rawValue) and this machine is \(Architecture.current.rawValue)"
        case .epochTooLow(let epoch, let floor):
            "the release's epoch \(epoch) is below \(floor), which this node has committed: build it with epoch "
                + "\(floor) or higher"
        case .expired(let version):
            "the metadata of release \(version) has expired: sign it again, or check the machine's clock"
        case .implausible(let what): "the release's metadata is not plausible: \(what)"
        case .doesNotFit(let what): "the release does not fit: \(what)"
        }
    }
}

/// Checks a plan and a release against this machine, before anything is changed. The signatures were verified before.
public enum PlanValidation {
    /// What the node knows of itself when it judges a plan.
    public struct Expectation: Sendable, Equatable {
        /// The id that the server gave at admission.
        public var nodeID: NodeID
        /// The registration of this boot.
        public var registrationID: String
        /// The generation of the plan that was carried out last; 0 without one.
        public var lastGeneration: Int
        /// The highest epoch that this node committed, where its state is kept.
        public var epochFloor: Int
        /// The machine's architecture.
        public var architecture: Architecture
        /// A time that is certainly past, in seconds since 1970.
        public var clockSeconds: Int64

        /// Gathers what is known.
        public init(
            nodeID: NodeID, registrationID: String, lastGeneration: Int, epochFloor: Int, architecture: Architecture,
            clockSeconds: Int64
        ) {
            self.nodeID = nodeID
            self.registrationID = registrationID
            self.lastGeneration = lastGeneration
            self.epochFloor = epochFloor
            self.architecture = architecture
            self.clockSeconds = clockSeconds
        }
    }

    /// Checks that a plan is meant for this node and this registration, and is a new one.
    ///
    /// A plan that an interrupted provisioning had begun is not stale: `lastGeneration` counts those that ended.
    public static func check(_ plan: ProvisioningPlan, against node: Expectation) throws(PlanRefusal) {
        guard (wireFormat - 1...wireFormat + 1).contains(plan.format) else { throw .unknownFormat(plan.format) }
        guard plan.nodeID == node.nodeID else { throw .otherNode(plan.nodeID) }
        guard plan.registrationID == node.registrationID else { throw .otherRegistration }
        guard plan.generation > node.lastGeneration else {
            throw .stale(generation: plan.generation, last: node.lastGeneration)
        }
    }

    /// Checks that a release may be installed here.
    public static func check(
        _ release: ReleaseFacts, expected: Digest256, architecture: Architecture, epochFloor: Int, clockSeconds: Int64
    ) throws(PlanRefusal) {
        guard release.release == expected else { throw .otherRelease }
        guard release.architecture == architecture else { throw .otherArchitecture(release.architecture) }
        guard release.epoch >= epochFloor else { throw .epochTooLow(release.epoch, floor: epochFloor) }
        guard release.expiresSeconds > clockSeconds else { throw .expired(version: release.version) }
        guard release.blocks >= 16, release.blocks <= 1 << 40 else {
            throw .implausible("a root filesystem of \(release.blocks) blocks")
        }
        guard release.treeBytes >= treeBytes(blocks: release.blocks) else {
            throw .implausible("a hash tree of \(release.treeBytes) bytes cannot cover \(release.blocks) blocks")
        }
        for (name, bytes) in [("UKI", release.ukiBytes), ("boot artifact", release.recovery.sizeBytes)] {
            guard bytes >= 1 << 16, bytes <= 1 << 32 else { throw .implausible("a \(name) of \(bytes) bytes") }
        }
    }

    /// The least size of a dm-verity tree of SHA-256 hashes in blocks of 4096 bytes, without its superblock
    /// (cryptsetup wiki, "DMVerity": hash tree).
    static func treeBytes(blocks: UInt64) -> UInt64 {
        var level = blocks
        var total: UInt64 = 0
        while level > 1 {
            level = (level + 127) / 128
            total += level
        }
        return total * 4096
    }

    /// Checks that a release fits partitions of these sizes.
    public static func checkFit(_ release: ReleaseFacts, in layout: DiskLayout) throws(PartitionRefusal) {
        try checkFit(
            release, rootBytes: layout.rootBytes, treeBytes: layout.treeBytes, bootBytes: layout.bootBytes,
            recoveryBytes: layout.recoveryBytes)
    }

    /// Checks that a release fits partitions of these sizes, in bytes.
    public static func checkFit(
        _ release: ReleaseFacts, rootBytes: UInt64, treeBytes: UInt64, bootBytes: UInt64, recoveryBytes: UInt64
    ) throws(PartitionRefusal) {
        let parts: [(String, UInt64, UInt64)] = [
            ("root filesystem", release.blocks, rootBytes / 4096), ("hash tree", release.treeBytes, treeBytes),
            ("UKI", release.ukiBytes, fileSpace(bootBytes)),
            ("boot artifact", release.recovery.sizeBytes, fileSpace(recoveryBytes)),
        ]
        for (name, needed, room) in parts where needed > room {
            let unit = name == "root filesystem" ? "blocks of 4096 bytes" : "bytes"
            throw PartitionRefusal(
                "the \(name) of release \(release.version) has \(needed) \(unit) and the plan leaves room for \(room): "
                    + "plan larger partitions or build a smaller release")
        }
    }

    /// What a FAT leaves for one file: all but its tables, of which 1 MiB and one part in 32 is more than enough.
    private static func fileSpace(_ bytes: UInt64) -> UInt64 {
        let overhead = bytes / 32 + 1 << 20
        return bytes > overhead ? bytes - overhead : 0
    }
}
