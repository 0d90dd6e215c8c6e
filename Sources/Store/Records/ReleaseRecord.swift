public import Contract

/// A published release. Its files lie beside the store, under its name.
public struct ReleaseRecord: Sendable, Equatable {
    /// The SHA-256 of its manifest.
    public var name: Digest256
    /// Its product line.
    public var product: String
    /// Its version.
    public var version: String
    /// Its epoch.
    public var epoch: Int
    /// Its architecture.
    public var architecture: Architecture
    /// Size of its pack in bytes.
    public var packBytes: UInt64
    /// Size of its root filesystem in bytes.
    public var rootBytes: UInt64
    /// Size of its verity tree in bytes.
    public var treeBytes: UInt64
    /// Size of its slot UKI in bytes.
    public var ukiBytes: UInt64
    /// Size of its boot artifact in bytes.
    public var bootBytes: UInt64
    /// When it was published, in seconds since 1970.
    public var publishedSeconds: Int64

    /// Makes a record from its parts.
    public init(
        name: Digest256, product: String, version: String, epoch: Int, architecture: Architecture, packBytes: UInt64,
        rootBytes: UInt64, treeBytes: UInt64, ukiBytes: UInt64, bootBytes: UInt64, publishedSeconds: Int64
    ) {
        self.name = name
        self.product = product
        self.version = version
        self.epoch = epoch
        self.architecture = architecture
        self.packBytes = packBytes
        self.rootBytes = rootBytes
        self.treeBytes = treeBytes
        self.ukiBytes = ukiBytes
        self.bootBytes = bootBytes
        self.publishedSeconds = publishedSeconds
    }
}

/// The releases and the keys that sign them.
public protocol ReleaseTable {
    /// The release with a name.
    func release(_ name: Digest256) throws -> ReleaseRecord?

    /// All releases, in the order of their publication.
    func releases() throws -> [ReleaseRecord]

    /// Inserts a release; one that is there already stays as it is.
    func insert(_ release: ReleaseRecord) throws

    /// Removes a release; one that is not there is fine.
    func removeRelease(_ name: Digest256) throws

    /// The trusted keys, in the order of their arrival.
    func releaseKeys() throws -> [ReleaseKey]

    /// Trusts a key from now on, under its TUF key id; one that is there already stays.
    func insert(_ key: ReleaseKey, id: String) throws
}
