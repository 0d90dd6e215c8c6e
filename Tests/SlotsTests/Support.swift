import CZstd
import Contract
import Cryptography
import Linux
import Release
import Slots
import TestSupport
import Testing

extension Scratch {
    /// A real file as a device, sparse.
    func device(_ name: String, _ sizeBytes: UInt64, sector: Int = 512) throws -> FileBlockDevice {
        try FileBlockDevice(path: try sparseFile(name, sizeBytes: sizeBytes), sectorSizeBytes: sector)
    }
}

/// A device that loses power: after a number of writes it fails, and what was not flushed never reached the file.
final class CutDevice: BlockDevice {
    struct PowerLost: Error {}
    final class Fuse {
        var writesLeft: Int
        init(_ writes: Int) { writesLeft = writes }
    }
    let device: any BlockDevice
    let fuse: Fuse
    private var unsynced: [(offset: UInt64, bytes: [UInt8])] = []
    var sizeBytes: UInt64 { device.sizeBytes }
    var sectorSizeBytes: Int { device.sectorSizeBytes }
    private(set) var writtenBytes: UInt64 = 0

    init(_ device: any BlockDevice, fuse: Fuse) {
        self.device = device
        self.fuse = fuse
    }

    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws {
        if fuse.writesLeft < 0 { throw PowerLost() }
        try device.read(at: offset, into: buffer)
        for write in unsynced {
            let start = max(offset, write.offset)
            let end = min(offset + UInt64(buffer.count), write.offset + UInt64(write.bytes.count))
            guard start < end else { continue }
            let piece = write.bytes[Int(start - write.offset)..<Int(end - write.offset)]
            UnsafeMutableRawBufferPointer(rebasing: buffer[Int(start - offset)..<Int(end - offset)]).copyBytes(
                from: piece)
        }
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws {
        fuse.writesLeft -= 1
        if fuse.writesLeft < 0 { throw PowerLost() }
        writtenBytes += UInt64(bytes.count)
        unsynced.append((offset, Array(bytes)))
    }

    func flush() throws {
        if fuse.writesLeft < 0 { throw PowerLost() }
        try apply(unsynced.count)
        try device.flush()
    }

    /// Every other unsynced write happens to have reached the medium.
    func losePower() throws {
        for (index, write) in unsynced.enumerated() where index.isMultiple(of: 2) {
            try write.bytes.withUnsafeBytes { try device.write($0, at: write.offset) }
        }
        unsynced = []
        try device.flush()
    }

    private func apply(_ count: Int) throws {
        for write in unsynced.prefix(count) {
            try write.bytes.withUnsafeBytes { try device.write($0, at: write.offset) }
        }
        unsynced = []
    }
}

func zstd(_ plain: [UInt8]) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: ZSTD_compressBound(plain.count)) { buffer, count in
        count = ZSTD_compress(buffer.baseAddress, buffer.count, plain, plain.count, 3)
    }
}

/// A release of a few blocks, made in memory.
struct TinyRelease {
    var manifest: Manifest
    var table: FrameTable
    var pack: [UInt8]
    var root: [UInt8]
    var tree: VerityTree
    var uki: [UInt8]
    var boot: [UInt8]

    static let salt = [UInt8](repeating: 7, count: 32)
    static let rootFrame = 16 << 10
    static let otherFrame = 64 << 10

    init(root: [UInt8], version: String = "1", ukiFor rootHash: Digest256? = nil, machine: UInt16 = 0x8664) throws {
        self.root = root
        var builder = try VerityBuilder(dataBlocks: UInt64(root.count / 4096), salt: Self.salt)
        try root.withUnsafeBytes { try builder.append($0) }
        tree = try builder.finish()
        let line =
            "quiet apus.mode=slot apus.root=\(rootHash ?? tree.rootHash) apus.salt=\(Self.salt.lowercaseHex) "
            + "apus.blocks=\(root.count / 4096) apus.version=\(version)"
        let kernel = noise(150_000, seed: 99)
        uki = kernelImage(machine: machine, [(".linux", kernel), (".cmdline", Array(line.utf8))])
        boot = kernelImage([(".linux", kernel), (".cmdline", Array("apus.mode=provision".utf8))])
        var pack: [UInt8] = []
        var places: [[UInt8]: FrameTable.Frame] = [:]
        func cut(_ kind: FrameTable.Kind, _ bytes: [UInt8], _ frameBytes: Int) -> FrameTable.Artifact {
            var frames: [FrameTable.Frame] = []
            for start in stride(from: 0, to: bytes.count, by: frameBytes) {
                let plain = Array(bytes[start..<min(start + frameBytes, bytes.count)])
                let compressed = zstd(plain)
                let frame =
                    places[compressed]
                    ?? FrameTable.Frame(
                        packOffset: UInt64(pack.count), compressedBytes: compressed.count, plainBytes: plain.count,
                        sha256: Digest256(hashing: compressed))
                if places[compressed] == nil { pack += compressed }
                places[compressed] = frame
                frames.append(frame)
            }
            return FrameTable.Artifact(
                kind: kind, framePlainBytes: frameBytes, plainBytes: UInt64(bytes.count), frames: frames)
        }
        table = FrameTable(artifacts: [
            cut(.tree, tree.image, Self.otherFrame), cut(.uki, uki, Self.otherFrame),
            cut(.boot, boot, Self.otherFrame), cut(.root, root, Self.rootFrame),
        ])
        self.pack = pack
        manifest = try Self.manifest(tree, root, uki, boot, table, pack, version)
    }

    static func manifest(
        _ tree: VerityTree, _ root: [UInt8], _ uki: [UInt8], _ boot: [UInt8], _ table: FrameTable, _ pack: [UInt8],
        _ version: String
    ) throws -> Manifest {
        func file(_ bytes: [UInt8]) -> Manifest.File {
            Manifest.File(bytes: UInt64(bytes.count), sha256: Digest256(hashing: bytes))
        }
        return try Manifest(
            validating: Manifest.document(
                version: 1, expiresSeconds: 4_000_000_000, product: "test", releaseVersion: version, epoch: 0,
                architecture: .amd64,
                root: Manifest.Root(
                    blocks: UInt64(root.count / 4096), rootHash: tree.rootHash, salt: salt,
                    treeBytes: UInt64(tree.image.count)),
                uki: file(uki), boot: file(boot), frames: file(table.encoded), packBytes: UInt64(pack.count)))
    }

    func writer(_ source: (any PackSource)? = nil) throws -> SlotWriter {
        try SlotWriter(manifest: manifest, table: table, source: source ?? MemoryPackSource(pack, pieceBytes: 3001))
    }
}

/// A slot on two files.
func slot(_ folder: Scratch, _ name: String, rootBytes: UInt64 = 4 << 20) throws -> SlotPartitions {
    SlotPartitions(
        name: "slot \(name)", root: try folder.device("root-\(name)", rootBytes),
        tree: try folder.device("tree-\(name)", 1 << 20))
}
