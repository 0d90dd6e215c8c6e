public import Contract
public import Decisions

/// The boot record on the disk in use.
public protocol BootRecordEffect: AnyObject {
    /// Reads the newest copy that holds. Never throws: what cannot be read is `.unreadable` and says why.
    func load() -> RecordReading
    /// Makes `record` durable before it returns; a power cut leaves the old one or the new one.
    func store(_ record: BootRecord) throws
}

/// The firmware's boot variables. Each change is atomic.
public protocol BootVariableEffect: AnyObject {
    /// Reads them all. Never throws: without UEFI it is `.absent`.
    func snapshot() -> FirmwareSnapshot
    /// Carries out one change and reads it back; throws where the firmware refuses (read-only, full).
    func apply(_ change: BootVariableChange) throws
}

/// Disks as a whole.
public protocol DiskEffect: AnyObject {
    /// The disk that carries our partitions, and takes it into use: from then on record, slots and state are those on
    /// it. Nil where there is none. Among several disks of ours, the one that the running program was loaded from.
    func findInstalled() throws -> DiskFacts?
    /// The partitions on a disk of that kernel name, ours and others'; empty without a valid GPT.
    func partitions(of disk: String) throws -> [ExistingPartition]
    /// Makes the disk's table the plan's, flushed and read back, unless `plan.keepsTable`; then takes that disk into
    /// use as `findInstalled` does.
    func apply(_ plan: PartitionPlan, to disk: String) throws
}

/// The slots and the recovery partition of the disk in use.
public protocol SlotEffect: AnyObject {
    /// Makes a target unbootable: zeroes its FAT's boot sector and that sector's copy, and flushes.
    func invalidate(_ target: StartTarget) throws
    /// Streams root and tree into all the slots in one download, verifying each block before it is written, and
    /// flushes. Blocks that the disk already holds need not be fetched.
    func write(_ release: ReleaseFacts, into slots: [SlotName], progress: StepProgress) throws
    /// Reads root and tree back past the page cache and compares them with the release's root hash.
    func readBack(_ release: ReleaseFacts, in slot: SlotName, progress: StepProgress) throws
    /// Writes a slot's UKI, or the boot artifact for recovery, in a new FAT whose boot sector comes last, and reads the
    /// file back.
    func activate(_ target: StartTarget, from release: ReleaseFacts) throws
    /// Whether a target's FAT is valid and its file has this SHA-256.
    func holds(_ digest: Digest256, at target: StartTarget) -> Bool
}

/// Tells how far a step is: units done and units in all.
public typealias StepProgress = (_ done: UInt64, _ total: UInt64) -> Void

/// Releases at the server.
public protocol ReleaseEffect: AnyObject {
    /// Fetches a release's manifest and frame table and verifies signatures, name and digests.
    func metadata(of release: Digest256) throws -> ReleaseFacts
}

/// The state partition of the disk in use, and the identity on it.
public protocol StateEffect: AnyObject {
    /// Makes the file system; or, where `keeps` is true, checks and repairs it, and makes it only where there is none.
    func prepare(keeps: Bool) throws
    /// Reads the node's key and certificate from the disk in use, so that a node that is provisioned again stays the
    /// node that it was. False where there are none; never throws, as a new identity can always be made.
    func loadIdentity() -> Bool
    /// Writes key, certificate, trust, node id and the network settings that worked, and flushes.
    func saveIdentity(plan: ProvisioningPlan) throws
}
