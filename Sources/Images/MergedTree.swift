/// The table of an image's files: which path is what, and which layer provides it.
public struct MergedTree: Sendable, Equatable {
    /// One path.
    public struct Item: Sendable, Equatable {
        /// The path.
        public let path: ImagePath
        /// What is there.
        public let node: TreeNode
        /// The layer that provides it, counted from 0 at the bottom.
        public let layer: Int
        /// The entry within that layer; -1 for a directory that no entry describes.
        public let entry: Int
        /// Equal for paths that are names of one file.
        let inode: Int
    }

    /// Every path, the root first and a directory before what is in it, names in the order of their bytes.
    public let items: [Item]

    /// The item at a path, written without a slash at the front.
    public subscript(path: String) -> Item? { items.first { $0.path.bytes == Array(path.utf8) } }

    /// How many files lost set-id bits or capabilities.
    public var strippedFiles: Int { items.count { $0.node.stripped } }

    /// The bytes of all files, each once however many names it has.
    public var fileBytes: UInt64 {
        var seen: Set<Int> = []
        return items.reduce(0) { sum, item in
            if case .file(let size) = item.node.kind, seen.insert(item.inode).inserted { sum + size } else { sum }
        }
    }

    /// The order in which the tree is written out: what has no bytes first, then files as their layers provide them.
    public var plan: TreePlan {
        var plan = TreePlan()
        var names: [Int: TreePlan.File] = [:]
        for item in items {
            guard case .file = item.node.kind else {
                plan.withoutBytes.append(item)
                continue
            }
            names[item.inode, default: TreePlan.File(layer: item.layer, entry: item.entry, node: item.node, paths: [])]
                .paths.append(item.path)
        }
        for file in names.values { plan.files[file.layer, default: [:]][file.entry] = file }
        return plan
    }
}

/// What is written in which order.
public struct TreePlan: Sendable, Equatable {
    /// A file and all its names, of which there is at least one.
    public struct File: Sendable, Equatable {
        /// The layer whose bytes it gets.
        public let layer: Int
        /// The entry within that layer.
        public let entry: Int
        /// What it is.
        public let node: TreeNode
        /// Its names, sorted.
        public internal(set) var paths: [ImagePath]
    }

    /// Directories, symbolic links and pipes, a directory before what is in it.
    public internal(set) var withoutBytes: [MergedTree.Item] = []
    /// Files by layer and by entry.
    public internal(set) var files: [Int: [Int: File]] = [:]
}
