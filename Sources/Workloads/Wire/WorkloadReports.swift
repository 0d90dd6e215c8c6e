public import Contract

/// What a node says of all its workloads: `POST /v1/node/workloads`, on every change and with every heartbeat.
public struct WorkloadReports: Sendable, Codable, Equatable {
    /// The version of this format.
    public var format = wireFormat
    /// The assignment that the node has stored and works on; 0 where it has none.
    public var generation: Int
    /// One report a workload, those included that are no longer wanted and not yet gone; at most twice
    /// `WorkloadLimit.workloadsPerNode`.
    public var reports: [WorkloadReport]
    /// Images on the node's disk, at most `WorkloadWireLimit.reportedImages`; nil where the node does not say.
    public var images: [NodeImage]?

    /// Makes a message.
    public init(generation: Int, reports: [WorkloadReport], images: [NodeImage]? = nil) {
        self.generation = generation
        self.reports = reports
        self.images = images
    }
}

/// An image on a node's disk.
public struct NodeImage: Sendable, Codable, Equatable {
    /// The digest of its manifest, as documents name it.
    public var digest: Digest256
    /// Where it came from, such as `registry.example/app:1`; nil where that is not known.
    public var reference: String?
    /// What it takes on the disk.
    public var bytes: UInt64

    /// Describes an image.
    public init(digest: Digest256, reference: String? = nil, bytes: UInt64) {
        self.digest = digest
        self.reference = reference
        self.bytes = bytes
    }
}
