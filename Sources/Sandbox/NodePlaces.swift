internal import Contract
internal import Workloads

/// Where a node keeps what belongs to workloads.
public struct NodePlaces: Sendable, Hashable {
    /// What survives a restart of the machine: assignment, secrets, records, volumes. Owner-only.
    public var state: String
    /// The directory of all image stores; it belongs to the user that fetches images.
    public var images: String
    /// What lives in memory: bundles, secrets' files, network namespaces.
    public var run: String

    /// The places of the installed system.
    public init(
        state: String = "/var/lib/apus", images: String = "/var/lib/apus-images", run: String = "/run/apus"
    ) {
        self.state = state
        self.images = images
        self.run = run
    }

    /// The store's name below `images`. One store serves all workloads: each reads an image through a device and a file
    /// system of its own, so that two workloads share neither an inode nor a page of the cache.
    public static let imageOwner = "node"

    var imageStore: String { images + "/" + Self.imageOwner }
    var assignment: String { state + "/workloads.json" }
    var secrets: String { state + "/workload-secrets.json" }
    var records: String { state + "/workload-records.json" }
    var documents: String { state + "/workload-documents" }
    var volumes: String { state + "/volumes" }
    var roots: String { state + "/roots" }
    var machines: String { state + "/machines" }
    var bundles: String { run + "/bundles" }
    var secretFiles: String { run + "/secrets" }
    /// Roots and networks of functions' instances.
    var functions: String { run + "/functions" }
    var namespaces: String { run + "/netns" }

    /// The name of all that belongs to one revision of one workload.
    func name(_ key: RevisionKey) -> String { "\(key.workload)-\("\(key.revision)".prefix(12))" }

    func bundle(_ key: RevisionKey) -> String { bundles + "/" + name(key) }

    /// What the sandbox is told. Its volumes are shown inside the bundle, because nobody but root may look below
    /// `state`, and the runtime mounts them as the workload's own user.
    func sandbox(_ key: RevisionKey) -> SandboxPaths {
        var paths = SandboxPaths(workload: key.workload, revision: key.revision)
        paths.bundle = bundle(key)
        paths.root = paths.bundle + "/rootfs"
        paths.volumes = paths.bundle + "/volumes"
        paths.secrets = secretFiles + "/" + name(key)
        paths.names = paths.bundle + "/names"
        paths.task = paths.bundle + "/task"
        return paths
    }

    /// The namespace of a wire.
    func namespace(_ wire: NetworkPlan) -> String { namespaces + "/" + wire.hostInterface }
}
