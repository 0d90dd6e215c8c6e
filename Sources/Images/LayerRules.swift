/// What an entry of a layer asks for, once its header has been judged.
public enum LayerChange: Sendable, Equatable {
    /// Something to be put at a path.
    case put(ImagePath, TreeNode)
    /// Another name for what is at `target`.
    case link(ImagePath, target: ImagePath)
    /// What lower layers have at this path goes.
    case whiteout(ImagePath)
    /// What lower layers have in this directory goes.
    case opaque(ImagePath)
}

/// What is at a path of the tree.
public struct TreeNode: Sendable, Equatable {
    /// What it is.
    public enum Kind: Sendable, Equatable {
        /// A file with its size in bytes.
        case file(sizeBytes: UInt64)
        /// A directory.
        case directory
        /// A symbolic link and what it points to.
        case symbolicLink(target: [UInt8])
        /// A pipe.
        case fifo
    }

    /// What it is.
    public var kind: Kind
    /// The permission bits, and set-id bits where the policy keeps them.
    public var mode: UInt32
    /// The owner's number, within the user namespace's range.
    public var user: UInt32
    /// The group's number, within the user namespace's range.
    public var group: UInt32
    /// When it changed last, in seconds since 1970; never before.
    public var modifiedSeconds: UInt64
    /// The extended attributes that are kept.
    public var attributes: [String: [UInt8]]
    /// Whether set-id bits or file capabilities were left out.
    public var stripped: Bool

    /// Makes a node.
    public init(
        kind: Kind, mode: UInt32, user: UInt32 = 0, group: UInt32 = 0, modifiedSeconds: UInt64 = 0,
        attributes: [String: [UInt8]] = [:], stripped: Bool = false
    ) {
        self.kind = kind
        self.mode = mode
        self.user = user
        self.group = group
        self.modifiedSeconds = modifiedSeconds
        self.attributes = attributes
        self.stripped = stripped
    }

    /// A directory that no layer describes, such as one above an entry.
    static let implied = TreeNode(kind: .directory, mode: 0o755)
}

/// Judges one entry's header by itself; what depends on other entries is `TreeMerger`'s business.
public struct LayerRules: Sendable {
    /// The limits of paths and attributes.
    public let limits: ImageLimits
    /// What may be kept.
    public let policy: LayerPolicy

    private static let whiteout = Array(".wh.".utf8)
    private static let opaque = Array(".wh..wh..opq".utf8)

    /// Makes rules.
    public init(limits: ImageLimits = .standard, policy: LayerPolicy = LayerPolicy()) {
        self.limits = limits
        self.policy = policy
    }

    /// What the entry asks for, or why it is refused.
    public func judge(_ entry: LayerEntry) throws(LayerRefusal) -> LayerChange {
        let path = try ImagePath(archived: entry.path, limits: limits)
        guard !path.parent.components.contains(where: { $0.starts(with: Self.whiteout) }) else {
            throw LayerRefusal(.whiteoutTrick, path: entry.path, detail: "a directory has a whiteout's name")
        }
        if let name = path.name, name.starts(with: Self.whiteout) { return try judgeWhiteout(entry, path, name) }
        if case .hardLink(let target) = entry.kind { return .link(path, target: try judgeTarget(entry, target)) }
        return .put(path, try judgeNode(entry, path))
    }

    /// The specification's two forms and nothing else; AUFS's own files, which share the prefix, are long gone.
    private func judgeWhiteout(
        _ entry: LayerEntry, _ path: ImagePath, _ name: [UInt8]
    ) throws(LayerRefusal) -> LayerChange {
        guard entry.kind == .file(sizeBytes: 0) else {
            throw LayerRefusal(.whiteoutTrick, path: entry.path, detail: "a whiteout is an empty file")
        }
        if name == Self.opaque { return .opaque(path.parent) }
        let hidden = Array(name.dropFirst(Self.whiteout.count))
        guard !hidden.isEmpty, hidden != ImagePath.dot, hidden != ImagePath.dotDot,
            !hidden.starts(with: Self.whiteout)
        else { throw LayerRefusal(.whiteoutTrick, path: entry.path, detail: "it names nothing that can be hidden") }
        return .whiteout(path.parent.appending(hidden))
    }

    private func judgeTarget(_ entry: LayerEntry, _ target: [UInt8]) throws(LayerRefusal) -> ImagePath {
        let path: ImagePath
        do throws(LayerRefusal) {
            path = try ImagePath(archived: target, limits: limits)
        } catch {
            throw LayerRefusal(
                .badHardLink, path: entry.path,
                detail: "its target '\(error.path)' is refused: \(error.reason.rawValue)")
        }
        guard !path.components.contains(where: { $0.starts(with: Self.whiteout) }) else {
            throw LayerRefusal(.whiteoutTrick, path: entry.path, detail: "a hard link to a whiteout")
        }
        return path
    }

    private func judgeNode(_ entry: LayerEntry, _ path: ImagePath) throws(LayerRefusal) -> TreeNode {
        let kind = try judgeKind(entry, path)
        let owners = Int64(policy.owners)
        guard (0..<owners).contains(entry.user), (0..<owners).contains(entry.group) else {
            throw LayerRefusal(
                .ownerOutOfRange, path: entry.path,
                detail: "\(entry.user):\(entry.group), and owners below \(owners) are accepted")
        }
        var attributes = try judgeAttributes(entry)
        var mode = entry.mode & 0o7777
        // On a directory set-group-id only says which group new files get, and nothing is ever new in this tree.
        let isSetID = kind != .directory && (mode & 0o6000 != 0 || attributes[Self.capability] != nil)
        if isSetID {
            switch policy.setID {
            case .refuse: throw LayerRefusal(.setID, path: entry.path)
            case .strip:
                mode &= 0o1777
                attributes[Self.capability] = nil
            case .keep: break
            }
        }
        return TreeNode(
            kind: kind, mode: mode, user: UInt32(entry.user), group: UInt32(entry.group),
            modifiedSeconds: UInt64(min(max(0, entry.modifiedSeconds), 1 << 33 - 1)), attributes: attributes,
            stripped: isSetID && policy.setID == .strip)
    }

    private func judgeKind(_ entry: LayerEntry, _ path: ImagePath) throws(LayerRefusal) -> TreeNode.Kind {
        switch entry.kind {
        case .file(let size):
            guard path != .root else { throw LayerRefusal(.notADirectory, detail: "the root is a file") }
            return .file(sizeBytes: size)
        case .directory: return .directory
        case .symbolicLink(let target):
            guard path != .root else { throw LayerRefusal(.notADirectory, detail: "the root is a link") }
            guard !target.isEmpty, target.count <= limits.pathBytes, !target.contains(0) else {
                throw LayerRefusal(.escapingLink, path: entry.path, detail: "its target is empty or too long")
            }
            // An absolute target starts at the image's root, as every program inside sees it.
            guard target.first == UInt8(ascii: "/") || !path.parent.climbsAboveRoot(target) else {
                throw LayerRefusal(.escapingLink, path: entry.path, detail: "it points above the image's root")
            }
            return .symbolicLink(target: target)
        case .fifo:
            guard path != .root else { throw LayerRefusal(.notADirectory, detail: "the root is a pipe") }
            return .fifo
        case .device: throw LayerRefusal(.deviceNode, path: entry.path)
        case .hardLink, .unknown: throw LayerRefusal(.unknownKind, path: entry.path)
        }
    }

    private static let capability = "security.capability"

    /// Keeps `user.*` and file capabilities. Labels and lists of access-control modules mean nothing on another system,
    /// and what steers overlayfs must not come from outside.
    private func judgeAttributes(_ entry: LayerEntry) throws(LayerRefusal) -> [String: [UInt8]] {
        var kept: [String: [UInt8]] = [:]
        var bytes = 0
        for (name, value) in entry.attributes {
            guard !name.hasPrefix("trusted.overlay."), !name.hasPrefix("user.overlay.") else {
                throw LayerRefusal(.overlayAttribute, path: entry.path, detail: ImagePath.printable(name.utf8))
            }
            bytes += name.utf8.count + value.count
            guard bytes <= limits.attributeBytes, name.utf8.count <= 255, !name.utf8.contains(0) else {
                throw LayerRefusal(.tooManyAttributes, path: entry.path)
            }
            let isPlain = !name.utf8.contains(UInt8(ascii: "=")) && !name.utf8.contains(UInt8(ascii: "\n"))
            if name == Self.capability || (name.hasPrefix("user.") && isPlain) { kept[name] = value }
        }
        return kept
    }
}
