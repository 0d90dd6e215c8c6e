public import Contract
public import Decisions
public import Sequences

/// All that a simulated machine's programs do with its disk, over a `FaultyDisk`.
public protocol SimulatedStorage: DiskEffect, BootRecordEffect, SlotEffect, StateEffect {
    /// What the firmware, or kexec, finds to start at a target; nil where there is nothing that starts.
    func program(at target: StartTarget) -> SimulatedProgram?
    /// Whether a firmware would find a valid volume with a file to start, whatever the file's content.
    func isBootable(_ target: StartTarget) -> Bool
    /// Whether that file is, to the last byte, one that a release has for that target.
    func isGenuine(_ target: StartTarget) -> Bool
    /// The partition of ours that a place on the disk belongs to.
    func role(at offset: UInt64) -> PartitionRole?
    /// What the inventory says of the disk.
    func content() -> Inventory.Disk.Content
    /// Whether a slot's root and tree are, to the last byte, those of the image that its program names.
    func isIntact(_ slot: SlotName, _ image: BootArguments.SlotImage) -> Bool
    /// The node's key on the state partition, or nil.
    func key() -> UInt8?
    /// The key that `saveIdentity` writes.
    var keyToSave: UInt8 { get set }
    /// The partition that carries a target's file.
    func partition(of target: StartTarget) -> GUID?
}

/// What a UKI is.
public enum SimulatedProgram: Sendable, Equatable {
    /// A slot's system.
    case slot(BootArguments.SlotImage)
    /// The boot artifact.
    case artifact
}
