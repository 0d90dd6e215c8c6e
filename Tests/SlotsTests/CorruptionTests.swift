import CZstd
import Contract
import Decisions
import Fetch
import Foundation
import Linux
import Release
import TestSupport
import Testing

@testable import Slots

/// A pack that misbehaves: flips bits for a while or for ever, ends early, or gives more than was asked for.
private final class BadSource: PackSource {
    enum Fault { case flips(at: UInt64, times: Int), ends(at: UInt64), givesMore }
    let good: MemoryPackSource
    var fault: Fault
    private(set) var reads = 0

    init(_ pack: [UInt8], _ fault: Fault) {
        good = MemoryPackSource(pack, pieceBytes: 1009)
        self.fault = fault
    }

    func read(
        _ range: Range<UInt64>, cancellation: Cancellation, onBytes: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        reads += 1
        var position = range.lowerBound
        try good.read(range, cancellation: cancellation) { bytes in
            var copy = Array(bytes)
            switch fault {
            case .flips(let at, let times):
                if times > 0, at >= position, at < position + UInt64(copy.count) {
                    copy[Int(at - position)] ^= 1
                    fault = .flips(at: at, times: times - 1)
                }
            case .ends(let at):
                if position + UInt64(copy.count) > at { throw FetchError.interrupted("gone") }
            case .givesMore: copy += [0]
            }
            position += UInt64(bytes.count)
            try copy.withUnsafeBytes { try onBytes($0) }
        }
    }
}

/// Nothing that is not exactly the release is ever decompressed or written.
@Suite(.ownThreads) struct CorruptionTests {
    let folder: Scratch
    let release: TinyRelease
    init() throws {
        folder = try Scratch()
        release = try TinyRelease(root: SlotWriterTests.root())
    }

    private func frame(_ kind: FrameTable.Kind, _ index: Int) throws -> FrameTable.Frame {
        try #require(release.table[kind]).frames[index]
    }

    private func root(_ slot: SlotPartitions) throws -> [UInt8] {
        try slot.root.readBytes(at: 0, count: release.root.count)
    }

    @Test func aByteThatFlipsOnTheWayIsFetchedAgain() throws {
        let at = try frame(.root, 3).packOffset + 10
        let source = BadSource(release.pack, .flips(at: at, times: 2))
        let slot = try slot(folder, "a")
        _ = try release.writer(source).write(into: [slot])
        try SlotVerifier.verify(slot, holds: BootArguments.SlotImage(release.manifest))
        #expect(source.reads == 4)
    }

    @Test func aByteThatIsWrongForGoodIsRefusedByName() throws {
        let at = try frame(.root, 3).packOffset + 10
        let slot = try slot(folder, "a")
        let error = #expect(throws: SlotError.self) {
            try release.writer(BadSource(release.pack, .flips(at: at, times: 100))).write(into: [slot])
        }
        #expect(error?.description.hasPrefix("frame 3 of root: digest differs") == true)
        let range = 3 * TinyRelease.rootFrame..<4 * TinyRelease.rootFrame
        #expect(try root(slot)[range].allSatisfy { $0 == 0 }, "the frame was not written")
    }

    @Test func aPackThatEndsEarlyIsRefused() throws {
        let slot = try slot(folder, "a")
        let end = try frame(.root, 5).packOffset
        #expect(throws: FetchError.interrupted("gone")) {
            try release.writer(BadSource(release.pack, .ends(at: end))).write(into: [slot])
        }
        #expect(throws: SlotError.self) {
            try release.writer(MemoryPackSource(Array(release.pack.dropLast(9)))).write(into: [slot])
        }
        #expect(throws: SlotError.source("it gave more than was asked for")) {
            try release.writer(BadSource(release.pack, .givesMore)).write(into: [slot])
        }
    }

    /// Replaces a frame by another that is signed but holds something else.
    private func forged(_ kind: FrameTable.Kind, _ index: Int, _ compressed: [UInt8]) throws -> TinyRelease {
        var forged = release
        let artifact = try #require(forged.table.artifacts.firstIndex { $0.kind == kind })
        var frames = Array(forged.table.artifacts[artifact].frames)
        frames[index].packOffset = UInt64(forged.pack.count)
        frames[index].compressedBytes = compressed.count
        frames[index].sha256 = Digest256(hashing: compressed)
        forged.pack += compressed
        forged.table.artifacts[artifact].frames = FrameList(frames)
        return forged
    }

    @Test func aSignedFrameWithOtherContentsIsNotWritten() throws {
        let slot = try slot(folder, "a")
        let other = try forged(.root, 2, zstd(noise(TinyRelease.rootFrame, seed: 66)))
        #expect(throws: SlotError.blockDiffers(frame: 2, block: 8)) { try other.writer().write(into: [slot]) }
        let range = 2 * TinyRelease.rootFrame..<3 * TinyRelease.rootFrame
        #expect(try root(slot)[range].allSatisfy { $0 == 0 })
    }

    @Test func aDecompressionBombStaysWithinItsFrame() throws {
        let bomb = zstd([UInt8](repeating: 0, count: 64 << 20))
        let slot = try slot(folder, "a")
        for contents in [bomb, zstd([1, 2, 3]), Array("no zstd at all".utf8), []] where !contents.isEmpty {
            let error = #expect(throws: SlotError.self) { try forged(.root, 1, contents).writer().write(into: [slot]) }
            guard case .frameContents(.root, frame: 1, _) = error else {
                return #expect(Bool(false), "\(String(describing: error))")
            }
        }
    }

    @Test func aWrongTreeIsRefusedBeforeAnythingIsWritten() throws {
        let slot = try slot(folder, "a")
        var image = release.tree.image
        image[4096 + 40] ^= 1
        let error = #expect(throws: SlotError.self) { try forged(.tree, 0, zstd(image)).writer().write(into: [slot]) }
        guard case .tree = error else { return #expect(Bool(false), "\(String(describing: error))") }
        #expect(try root(slot).allSatisfy { $0 == 0 })
        #expect(try slot.tree.readBytes(at: 0, count: 4096).allSatisfy { $0 == 0 })
    }

    @Test func cancellingEndsIt() throws {
        let cancellation = Cancellation()
        let slot = try slot(folder, "a")
        let writer = try SlotWriter(
            manifest: release.manifest, table: release.table, source: MemoryPackSource(release.pack, pieceBytes: 100),
            cancellation: cancellation)
        #expect(throws: FetchError.aborted) {
            try writer.write(into: [slot]) { if $0.phase == .fetch { cancellation.cancel() } }
        }
    }
}
