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

    /// Describes a site.
    public init(releases: [SimulatedRelease], planned: SimulatedRelease, desired: SimulatedRelease? = nil) {
        self.releases = releases
        self.planned = planned
        self.desired = desired
    }

    func release(_ name: Digest256) -> SimulatedRelease? { releases.first { $0.name == name } }
    func release(root: Digest256) -> SimulatedRelease? { releases.first { $0.facts.rootHash == root } }

    /// The site's CA.
    static let authority = SimulatedRelease.digest(9, 9)

    /// Small partitions, which still satisfy every rule of the planner.
    public static let layout = DiskLayout(
        recoveryBytes: 34 << 20, bootBytes: 34 << 20, rootBytes: 1 << 20, treeBytes: 1 << 20,
        minimumStateBytes: 1 << 20)
    /// A disk on which that layout fits.
    public static let diskBytes: UInt64 = 112 << 20

    func plan(nodeID: NodeID, registration: String, generation: Int) -> ProvisioningPlan {
        ProvisioningPlan(
            generation: generation, nodeID: nodeID, registrationID: registration, release: planned.name,
            releaseVersion: planned.facts.version, disk: DiskRule(), layout: Self.layout, wipeState: false,
            handOver: handOver, clockSeconds: 0)
    }
}
