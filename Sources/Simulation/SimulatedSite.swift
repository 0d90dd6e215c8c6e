public import Contract
import Decisions

/// What surrounds a simulated machine: its server, its network, the releases there are and what is wanted of the node.
public struct SimulatedSite: Sendable {
    /// The releases that the server has.
    public var releases: [SimulatedRelease]
    /// The release that a plan names.
    public var planned: SimulatedRelease
    /// The release that the node should run; nil leaves it as it is.
    public var desired: SimulatedRelease?
    /// Whether the network can start the boot artifact.
    public var bootsFromNetwork = true
    /// Whether the server can be reached.
    public var isReachable = true
    /// Whether the operator asks for provisioning again, once the node runs steadily for the first time.
    public var asksToReprovision = false
    /// Whether kexec works.
    public var kexecWorks = true
    /// How the plan hands over.
    public var handOver = HandOver.reboot
    /// The disk's sector size in bytes.
    public var sectorSizeBytes = 512
    /// The sizes that the plan wants.
    public var layout = SimulatedSite.smallLayout
    /// Whether the plan erases the state.
    public var wipesState = false
    /// Whether the plan lets data of others be overwritten.
    public var overwritesForeignData = false
    /// SHA-256 of the CA's key.
    public var authority = SimulatedRelease.digest(9, 9)

    /// Describes a site.
    public init(releases: [SimulatedRelease], planned: SimulatedRelease, desired: SimulatedRelease? = nil) {
        self.releases = releases
        self.planned = planned
        self.desired = desired
    }

    func release(_ name: Digest256) -> SimulatedRelease? { releases.first { $0.name == name } }
    func release(root: Digest256) -> SimulatedRelease? { releases.first { $0.facts.rootHash == root } }

    /// Small partitions, which still satisfy every rule of the planner.
    public static let smallLayout = DiskLayout(
        recoveryBytes: 34 << 20, bootBytes: 34 << 20, rootBytes: 1 << 20, treeBytes: 1 << 20,
        minimumStateBytes: 1 << 20)
    /// A disk on which that layout fits, in bytes.
    public static let smallDiskBytes: UInt64 = 112 << 20

    /// The same for sectors of 4096 bytes, of which FAT32 needs 65525 and more.
    public static let largeLayout = DiskLayout(
        recoveryBytes: 260 << 20, bootBytes: 260 << 20, rootBytes: 1 << 20, treeBytes: 1 << 20,
        minimumStateBytes: 1 << 20)
    /// A disk on which that layout fits, in bytes.
    public static let largeDiskBytes: UInt64 = 790 << 20

    /// Where the boot record's partition begins in this layout, in bytes.
    var recordOffset: UInt64 { PartitionPlanner.alignmentBytes + layout.recoveryBytes + 2 * layout.bootBytes }

    func plan(nodeID: NodeID, registration: String, generation: Int) -> ProvisioningPlan {
        ProvisioningPlan(
            generation: generation, nodeID: nodeID, registrationID: registration, release: planned.name,
            releaseVersion: planned.facts.version, disk: DiskRule(overwriteForeignData: overwritesForeignData),
            layout: layout, wipeState: wipesState,
            handOver: handOver, clockSeconds: 0)
    }
}
