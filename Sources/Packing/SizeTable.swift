internal import Contract
public import Release

/// What an image may weigh. Firmware gives a starting image five minutes, and small machines little memory.
public struct ImageBudget: Sendable, Equatable {
    /// Beyond this, in bytes, a build fails.
    public var limitBytes: UInt64
    /// Beyond this, in bytes, a build says so.
    public var aimBytes: UInt64

    /// Makes a budget.
    public init(limitBytes: UInt64, aimBytes: UInt64) {
        self.limitBytes = limitBytes
        self.aimBytes = aimBytes
    }

    /// 28 MB, with the aim of 24.
    public static let standard = ImageBudget(limitBytes: 28_000_000, aimBytes: 24_000_000)

    /// Sentences about images that are above the aim.
    ///
    /// - Throws: where one is above the limit.
    public func check(_ paths: [String]) throws(PackingError) -> [String] {
        var notes: [String] = []
        for path in paths {
            let size = try InputFile(path).sizeBytes
            let name = path.split(separator: "/").last ?? ""
            guard size <= limitBytes else {
                throw PackingError(
                    "\(name) has \(size) bytes, over its budget of \(limitBytes): leave out drivers or firmware, "
                        + "or lift the budget on purpose")
            }
            if size > aimBytes { notes.append("\(name) has \(size) bytes, above the aim of \(aimBytes)") }
        }
        return notes
    }
}

/// A release that was built.
public struct BuiltRelease: Sendable, Equatable {
    /// Its manifest.
    public let manifest: Manifest
    /// The folder that holds it.
    public let directory: String
    /// What it weighs, part by part, for people.
    public let sizes: [SizeRow]

    init(packed: PackedRelease, base: BaseArtifacts, directory: String) throws(PackingError) {
        let manifest = packed.manifest
        self.manifest = manifest
        self.directory = directory
        let transport = packed.addedBytes
        var rows: [SizeRow] = [
            SizeRow(part: "kernel", bytes: try InputFile(base.kernel).sizeBytes),
            SizeRow(part: "base initramfs", bytes: try InputFile(base.initrd).sizeBytes),
        ]
        let artifacts: [(String, FrameTable.Kind)] = [
            ("slot image", .uki), ("boot artifact", .boot), ("hash tree", .tree), ("root file system", .root),
        ]
        for (part, kind) in artifacts {
            rows.append(SizeRow(part: part, bytes: manifest.bytes(of: kind), transportBytes: transport[kind]))
        }
        let total = artifacts.reduce(0) { $0 + manifest.bytes(of: $1.1) }
        rows.append(SizeRow(part: "release", bytes: total, transportBytes: manifest.packBytes))
        sizes = rows
    }
}

/// One row of a size table.
public struct SizeRow: Sendable, Equatable {
    /// What it is.
    public var part: String
    /// Its size in bytes.
    public var bytes: UInt64
    /// What it adds to a release's pack, compressed and without what it shares with the rows before it, in bytes.
    public var transportBytes: UInt64?

    /// Makes a row.
    public init(part: String, bytes: UInt64, transportBytes: UInt64? = nil) {
        self.part = part
        self.bytes = bytes
        self.transportBytes = transportBytes
    }
}

extension [SizeRow] {
    /// The rows as a table in megabytes (10^6 bytes).
    public var table: String {
        func megabytes(_ bytes: UInt64?) -> String {
            guard let bytes else { return "" }
            let tenths = (bytes + 50_000) / 100_000
            return "\(tenths / 10).\(tenths % 10)"
        }
        func right(_ text: String, _ width: Int) -> String {
            String(repeating: " ", count: Swift.max(0, width - text.count)) + text
        }
        let rows = [("part", "MB", "MB sent")] + map { ($0.part, megabytes($0.bytes), megabytes($0.transportBytes)) }
        return rows.map { row in
            row.0 + String(repeating: " ", count: Swift.max(1, 18 - row.0.count)) + right(row.1, 9) + right(row.2, 10)
        }.joined(separator: "\n")
    }
}
