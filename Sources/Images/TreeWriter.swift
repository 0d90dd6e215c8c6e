public import Contract
internal import Linux

/// A packed layer that lies on the disk and whose digest was verified.
public struct StoredLayer: Sendable, Equatable {
    /// The file.
    public var path: String
    /// How it is packed.
    public var packing: LayerPacking
    /// Its size in bytes.
    public var packedBytes: UInt64
    /// What the configuration says that it unpacks to.
    public var digest: Digest256

    /// Describes a layer.
    public init(path: String, packing: LayerPacking, packedBytes: UInt64, digest: Digest256) {
        self.path = path
        self.packing = packing
        self.packedBytes = packedBytes
        self.digest = digest
    }
}

/// Turns layers into one table, and the table into one archive, in bounded memory: each layer is unpacked twice, in a
/// stream, and never onto the disk.
public enum TreeWriter {
    /// Reads the headers of all layers and merges them.
    ///
    /// Throws `ImageError.layer` where one has something that is not accepted, and `.digestMismatch` where one is not
    /// what the configuration names.
    public static func merge(
        _ layers: [StoredLayer], limits: ImageLimits = .standard, policy: LayerPolicy = LayerPolicy()
    ) throws -> MergedTree {
        var merger = TreeMerger(rules: LayerRules(limits: limits, policy: policy))
        var budget = TreeBudget(limits: limits)
        var usedBytes: UInt64 = 0
        for (number, layer) in layers.enumerated() {
            try refusing(number) {
                var entries: [LayerEntry] = []
                let summary = try read(layer, number, limits, usedBytes) { _, entry, _ in
                    try budget.take(entry)
                    entries.append(entry)
                }
                usedBytes += summary.unpackedBytes
                try merger.apply(entries)
            }
        }
        return try refusing(nil) { try merger.finish() }
    }

    /// Writes the merged tree as one tar archive, which `mkfs.erofs --tar=f` reads; returns its size in bytes.
    ///
    /// - Parameters:
    ///   - tree: the table that `merge` made of the same layers.
    ///   - layers: the layers; each must unpack to what its digest says once more.
    ///   - output: where the bytes go, in order.
    ///   - idOffset: is added to every owner: the start of a user namespace's range.
    @discardableResult
    public static func write(
        _ tree: MergedTree, of layers: [StoredLayer], idOffset: UInt32 = 0, limits: ImageLimits = .standard,
        to output: (UnsafeRawBufferPointer) throws -> Void
    ) throws -> UInt64 {
        var total: UInt64 = 0
        func put(_ bytes: [UInt8]) throws {
            total += UInt64(bytes.count)
            try bytes.withUnsafeBytes { try output($0) }
        }
        let plan = tree.plan
        for item in plan.withoutBytes { try put(TreeTar.header(item.path, item.node, idOffset: idOffset)) }
        var usedBytes: UInt64 = 0
        for (number, layer) in layers.enumerated() {
            guard let files = plan.files[number] else { continue }
            try refusing(number) {
                var written = 0
                let summary = try read(layer, number, limits, usedBytes) { index, _, bytes in
                    guard let file = files[index], case .file(let size) = file.node.kind, let first = file.paths.first
                    else { return }
                    try put(TreeTar.header(first, file.node, idOffset: idOffset))
                    let count = try bytes.read { piece in
                        total += UInt64(piece.count)
                        try output(piece)
                    }
                    guard count == size else {
                        throw LayerRefusal(.malformed, path: first.bytes, detail: "it has \(count) of \(size) bytes")
                    }
                    try put(TreeTar.padding(afterBytes: size))
                    for path in file.paths.dropFirst() {
                        try put(TreeTar.hardLink(path, to: first, file.node, idOffset: idOffset))
                    }
                    written += 1
                }
                usedBytes += summary.unpackedBytes
                guard written == files.count else { throw LayerRefusal(.malformed, detail: "files are missing") }
            }
        }
        try put(TreeTar.end)
        return total
    }

    private static func read(
        _ layer: StoredLayer, _ number: Int, _ limits: ImageLimits, _ usedBytes: UInt64,
        _ body: (Int, LayerEntry, borrowing LayerReader.Bytes) throws -> Void
    ) throws -> LayerReader.Summary {
        let summary = try LayerReader.read(
            layer.path, packing: layer.packing, packedBytes: layer.packedBytes, limits: limits, usedBytes: usedBytes,
            body)
        guard summary.digest == layer.digest else {
            throw ImageError.digestMismatch(
                what: "layer \(number + 1), unpacked,", expected: layer.digest, found: summary.digest)
        }
        return summary
    }

    /// Says in which layer a refusal was met.
    private static func refusing<Result>(_ layer: Int?, _ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch let refusal as LayerRefusal {
            throw ImageError.layer(refusal, layer: layer)
        }
    }
}
