/// Puts layers on top of one another: a pure function over their entries' headers
/// (OCI image specification, "applying changesets").
///
/// Nothing is ever unpacked onto a file system: the merged table decides which layer's bytes each path gets, and the
/// bytes then flow from the layers into the image. So no path, link or whiteout of a layer is ever resolved by a kernel.
public struct TreeMerger: Sendable {
    private let rules: LayerRules
    private var places: [Place]
    private var inodes: [Inode] = []
    private var layers = 0
    private var tableBytes = 0

    /// A name in the tree. `inode` is what has that name.
    private struct Place {
        var inode: Int
        var depth = 0
        var children: [[UInt8]: Int] = [:]
    }

    /// What one or several names mean, and where it comes from.
    struct Inode {
        var node: TreeNode
        /// The layer, and the entry within it; -1 for a directory that no entry describes.
        var layer: Int
        var entry: Int
    }

    /// Starts with an empty root.
    public init(rules: LayerRules = LayerRules()) {
        self.rules = rules
        inodes = [Inode(node: .implied, layer: 0, entry: -1)]
        places = [Place(inode: 0)]
    }

    /// Puts the next layer on top: first its whiteouts, wherever they stand in it, then the rest in order.
    public mutating func apply(_ entries: [LayerEntry]) throws(LayerRefusal) {
        // Judged twice rather than kept twice: a layer has hundreds of thousands of entries.
        for entry in entries where entry.kind == .file(sizeBytes: 0) {
            switch try rules.judge(entry) {
            case .whiteout(let path): try hide(path, entry.path)
            case .opaque(let path):
                if let place = try find(path, entry.path) { places[place].children = [:] }
            case .put, .link: break
            }
        }
        for (index, entry) in entries.enumerated() {
            switch try rules.judge(entry) {
            case .put(let path, let node):
                try put(path, Inode(node: node, layer: layers, entry: index), entry.path)
            case .link(let path, let target): try link(path, target, entry.path)
            case .whiteout, .opaque: break
            }
        }
        layers += 1
    }

    /// The finished tree, once every layer was applied.
    ///
    /// `/dev`, `/proc` and `/sys` are made where they are missing: the tree is read-only, and the runtime mounts there.
    ///
    /// - Parameter isRoot: false for a tree that is no root file system: nothing is mounted in it.
    public mutating func finish(isRoot: Bool = true) throws(LayerRefusal) -> MergedTree {
        for name in isRoot ? ["dev", "proc", "sys"] : [] {
            let name = Array(name.utf8)
            if let place = places[0].children[name] {
                guard inodes[places[place].inode].node.kind == .directory else {
                    throw LayerRefusal(.notADirectory, path: name)
                }
            } else {
                try add(Inode(node: .implied, layer: 0, entry: -1), name, to: 0)
            }
        }
        return collect()
    }

    // MARK: - Steps

    /// The place of a path, or nil where nothing is there; a path through a link or a file is refused.
    private func find(_ path: ImagePath, _ raw: [UInt8]) throws(LayerRefusal) -> Int? {
        var place = 0
        for (depth, name) in path.components.enumerated() {
            guard let next = places[place].children[name] else { return nil }
            if depth < path.components.count - 1 { try checkDirectory(next, raw) }
            place = next
        }
        return place
    }

    private func checkDirectory(_ place: Int, _ raw: [UInt8]) throws(LayerRefusal) {
        switch inodes[places[place].inode].node.kind {
        case .directory: return
        case .symbolicLink: throw LayerRefusal(.throughLink, path: raw)
        case .file, .fifo: throw LayerRefusal(.throughFile, path: raw)
        }
    }

    private mutating func hide(_ path: ImagePath, _ raw: [UInt8]) throws(LayerRefusal) {
        guard let name = path.name, let parent = try find(path.parent, raw) else { return }
        try checkDirectory(parent, raw)
        places[parent].children[name] = nil
    }

    /// The directory that a path lies in, made where it is missing.
    private mutating func makeParent(_ path: ImagePath, _ raw: [UInt8]) throws(LayerRefusal) -> Int {
        var place = 0
        for name in path.parent.components {
            if let next = places[place].children[name] {
                try checkDirectory(next, raw)
                place = next
            } else {
                place = try add(Inode(node: .implied, layer: layers, entry: -1), name, to: place)
            }
        }
        return place
    }

    @discardableResult
    private mutating func add(_ inode: Inode, _ name: [UInt8], to parent: Int) throws(LayerRefusal) -> Int {
        inodes.append(inode)
        return try addName(of: inodes.count - 1, name, to: parent)
    }

    /// A short path may imply many directories: they are counted by what they will take in the finished table.
    private mutating func addName(
        of inode: Int, _ name: [UInt8], to parent: Int
    ) throws(LayerRefusal) -> Int {
        let depth = places[parent].depth + 1
        tableBytes += 64 + name.count + depth * MemoryLayout<[UInt8]>.stride
        guard tableBytes <= rules.limits.tableBytes else {
            throw LayerRefusal(.tooManyEntries, path: name, detail: "the table of files is too large")
        }
        places.append(Place(inode: inode, depth: depth))
        places[parent].children[name] = places.count - 1
        return places.count - 1
    }

    private mutating func put(_ path: ImagePath, _ inode: Inode, _ raw: [UInt8]) throws(LayerRefusal) {
        guard let name = path.name else {
            inodes[places[0].inode] = inode
            return
        }
        let parent = try makeParent(path, raw)
        if inode.node.kind == .directory, let old = places[parent].children[name],
            inodes[places[old].inode].node.kind == .directory
        {
            // A directory on a directory: new attributes, old content.
            inodes[places[old].inode] = inode
            return
        }
        try add(inode, name, to: parent)
    }

    private mutating func link(_ path: ImagePath, _ target: ImagePath, _ raw: [UInt8]) throws(LayerRefusal) {
        func refuse(_ detail: String) -> LayerRefusal { LayerRefusal(.badHardLink, path: raw, detail: detail) }
        guard let place = try find(target, raw) else { throw refuse("'\(target)' is not in the image") }
        let inode = places[place].inode
        guard inodes[inode].node.kind != .directory else { throw refuse("'\(target)' is a directory") }
        guard path != target else { throw refuse("it links to itself") }
        guard let name = path.name else { throw LayerRefusal(.notADirectory, detail: "the root is a link") }
        let parent = try makeParent(path, raw)
        _ = try addName(of: inode, name, to: parent)
    }

    // MARK: - The result

    private func collect() -> MergedTree {
        var items: [MergedTree.Item] = []
        var open: [(place: Int, path: ImagePath)] = [(0, .root)]
        while let (place, path) = open.popLast() {
            let inode = inodes[places[place].inode]
            items.append(
                MergedTree.Item(
                    path: path, node: inode.node, layer: inode.layer, entry: inode.entry, inode: places[place].inode))
            let children = places[place].children.sorted { $0.key.lexicographicallyPrecedes($1.key) }
            for (name, child) in children.reversed() { open.append((child, path.appending(name))) }
        }
        return MergedTree(items: items)
    }
}
