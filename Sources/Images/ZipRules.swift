/// Judges a zip's entries and makes the table of its files: a pure function over their headers.
///
/// The rules are those of layers. Beyond them a zip is one tree without owners, which nothing lies below: it has no
/// whiteouts, no set-id bits, and no name twice.
public enum ZipRules {
    /// Where a function finds its zip's files (Lambda developer guide, `LAMBDA_TASK_ROOT`).
    static let directory = "/var/task"

    /// The table of the files, in the order of `entries`, or why they are refused.
    public static func merge(
        _ entries: [LayerEntry], limits: ImageLimits = .zip
    ) throws(LayerRefusal) -> MergedTree {
        let rules = LayerRules(limits: limits, policy: LayerPolicy(setID: .refuse))
        let entries = entries.map(plain)
        for entry in entries {
            switch try rules.judge(entry) {
            case .put: break
            case .link: throw LayerRefusal(.unknownKind, path: entry.path, detail: "a zip has no hard links")
            case .whiteout, .opaque:
                throw LayerRefusal(.whiteoutTrick, path: entry.path, detail: "there is nothing that it could hide")
            }
        }
        var merger = TreeMerger(rules: rules)
        try merger.apply(entries)
        let tree = try merger.finish(isRoot: false)
        try checkNames(entries, tree, limits)
        try checkBootstrap(tree)
        return tree
    }

    /// Owners and attributes of whoever packed it mean nothing here, and what may be read or executed by one may be by
    /// all: the zip is one function's own.
    private static func plain(_ entry: LayerEntry) -> LayerEntry {
        var entry = entry
        (entry.user, entry.group, entry.attributes) = (0, 0, [:])
        switch entry.kind {
        case .directory: entry.mode = entry.mode & 0o777 | 0o555
        case .file: entry.mode |= entry.mode & 0o111 == 0 ? 0o444 : 0o555
        default: break
        }
        return entry
    }

    /// Programs differ in which of two entries with one name they take.
    private static func checkNames(
        _ entries: [LayerEntry], _ tree: MergedTree, _ limits: ImageLimits
    ) throws(LayerRefusal) {
        let kept = Dictionary(tree.items.map { ($0.path, $0.entry) }) { first, _ in first }
        for (index, entry) in entries.enumerated() where entry.kind != .directory {
            guard kept[try ImagePath(archived: entry.path, limits: limits)] == index else {
                throw LayerRefusal(.duplicateEntry, path: entry.path)
            }
        }
    }

    /// What runs must be there and executable, or every call would fail.
    private static func checkBootstrap(_ tree: MergedTree) throws(LayerRefusal) {
        func refuse(_ detail: String) -> LayerRefusal {
            LayerRefusal(.noBootstrap, path: "bootstrap".utf8, detail: detail)
        }
        var path = ImagePath(components: [Array("bootstrap".utf8)])
        for _ in 0..<8 {
            guard let item = tree.items.first(where: { $0.path == path }) else {
                let deeper = tree.items.first { $0.path.components.count == 2 && $0.path.name == path.name }
                throw refuse(
                    deeper.map { "it lies in '\($0.path.parent)': zip what is in that directory, not the directory" }
                        ?? "there is none at the zip's top, or it is a link to what is not in the zip")
            }
            switch item.node.kind {
            case .file:
                guard item.node.mode & 0o111 != 0 else {
                    throw refuse("it cannot be executed: 'chmod 755 bootstrap' before zipping, on a system with modes")
                }
                return
            case .symbolicLink(let target): path = try follow(target, from: path.parent, refuse)
            case .directory, .fifo: throw refuse("it is no file")
            }
        }
        throw refuse("it is a link that leads to itself")
    }

    /// Where a link leads that lies in a directory, as its function sees it.
    private static func follow(
        _ target: [UInt8], from directory: ImagePath, _ refuse: (String) -> LayerRefusal
    ) throws(LayerRefusal) -> ImagePath {
        var components = directory.components
        var rest = target[...]
        if target.first == UInt8(ascii: "/") {
            let own = Array((Self.directory + "/").utf8)
            guard target.starts(with: own) else { throw refuse("it is a link to what is not in the zip") }
            components = []
            rest = target.dropFirst(own.count)
        }
        for part in rest.split(separator: UInt8(ascii: "/")) where !part.elementsEqual(ImagePath.dot) {
            if part.elementsEqual(ImagePath.dotDot) { _ = components.popLast() } else { components.append(Array(part)) }
        }
        return ImagePath(components: components)
    }
}
