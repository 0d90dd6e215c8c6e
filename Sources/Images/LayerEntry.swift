/// One entry's header as an archive has it; nothing of it is believed yet.
public struct LayerEntry: Sendable, Equatable {
    /// What an entry is.
    public enum Kind: Sendable, Equatable {
        /// A file with its size in bytes.
        case file(sizeBytes: UInt64)
        /// A directory.
        case directory
        /// A symbolic link and what it points to.
        case symbolicLink(target: [UInt8])
        /// Another name of the entry with that path.
        case hardLink(target: [UInt8])
        /// A pipe.
        case fifo
        /// A character or block device.
        case device
        /// A socket, or something that is not known.
        case unknown
    }

    /// The path's bytes.
    public var path: [UInt8]
    /// What it is.
    public var kind: Kind
    /// The permission, set-id and sticky bits.
    public var mode: UInt32
    /// The owner's number.
    public var user: Int64
    /// The group's number.
    public var group: Int64
    /// When it changed last, in seconds since 1970.
    public var modifiedSeconds: Int64
    /// The extended attributes.
    public var attributes: [String: [UInt8]]

    /// Makes an entry.
    public init(
        path: [UInt8], kind: Kind, mode: UInt32 = 0o644, user: Int64 = 0, group: Int64 = 0, modifiedSeconds: Int64 = 0,
        attributes: [String: [UInt8]] = [:]
    ) {
        self.path = path
        self.kind = kind
        self.mode = mode
        self.user = user
        self.group = group
        self.modifiedSeconds = modifiedSeconds
        self.attributes = attributes
    }

    /// What this entry keeps in memory, in bytes.
    var nameBytes: Int {
        let target =
            switch kind {
            case .symbolicLink(let target), .hardLink(let target): target.count
            default: 0
            }
        return path.count + target + attributes.reduce(0) { $0 + $1.key.utf8.count + $1.value.count }
    }
}

/// What entries of all layers have used up of the limits.
public struct TreeBudget: Sendable {
    private let limits: ImageLimits
    private var entries = 0
    private var nameBytes = 0
    private var fileBytes: UInt64 = 0

    /// Starts with nothing used.
    public init(limits: ImageLimits = .standard) { self.limits = limits }

    /// Counts an entry before anything of it is kept or read.
    public mutating func take(_ entry: LayerEntry) throws(LayerRefusal) {
        entries += 1
        guard entries <= limits.entries else {
            throw LayerRefusal(.tooManyEntries, path: entry.path, detail: "more than \(limits.entries) entries")
        }
        nameBytes += entry.nameBytes
        guard nameBytes <= limits.nameBytes else {
            throw LayerRefusal(
                .tooManyEntries, path: entry.path, detail: "more than \(limits.nameBytes) bytes of names")
        }
        guard case .file(let size) = entry.kind else { return }
        // The header's word: a sparse file of a terabyte costs its archive nothing.
        guard size <= limits.unpackedBytes - fileBytes else {
            throw LayerRefusal(
                .tooLarge, path: entry.path, detail: "the files have more than \(limits.unpackedBytes) bytes")
        }
        fileBytes += size
    }
}
