import Contract
import Release
import Testing

@Suite struct FrameTableTests {
    static let packBytes: UInt64 = 10_000

    static func table() -> FrameTable {
        let digest = Digest256(hashing: Array("frame".utf8))
        func artifact(_ kind: FrameTable.Kind, _ plain: UInt64) -> FrameTable.Artifact {
            let count = Int((plain + 4095) / 4096)
            let frames = (0..<count).map { index in
                FrameTable.Frame(
                    packOffset: UInt64(index) * 100, compressedBytes: 100,
                    plainBytes: Int(min(4096, plain - UInt64(index) * 4096)), sha256: digest)
            }
            return FrameTable.Artifact(kind: kind, framePlainBytes: 4096, plainBytes: plain, frames: frames)
        }
        return FrameTable(artifacts: [artifact(.tree, 8192), artifact(.root, 10_000)])
    }

    @Test func aTableSurvivesARoundTrip() throws {
        let table = Self.table()
        let bytes = table.encoded
        #expect(bytes.count == 12 + 2 * 24 + 5 * 48)
        #expect(try FrameTable(parsing: bytes, packBytes: Self.packBytes) == table)
        #expect(table[.root]?.frames.last?.plainBytes == 10_000 - 8192)
        #expect(table[.boot] == nil)
    }

    @Test func framesAreFoundByTheBytesTheyHold() throws {
        let root = try #require(Self.table()[.root])
        #expect(root.frameIndices(covering: 0..<1) == 0..<1)
        #expect(root.frameIndices(covering: 4095..<4097) == 0..<2)
        #expect(root.frameIndices(covering: 4096..<8192) == 1..<2)
        #expect(root.frameIndices(covering: 0..<UInt64.max) == 0..<3)
        #expect(root.frameIndices(covering: 5..<5).isEmpty)
        #expect(root.frameIndices(covering: 10_000..<20_000).isEmpty)
        #expect(root.plainOffset(2) == 8192)
    }

    @Test func truncationAtEachByteAndWhatFollowsIsRefused() {
        let bytes = Self.table().encoded
        for count in bytes.indices {
            #expect(throws: ReleaseError.self) {
                try FrameTable(parsing: Array(bytes.prefix(count)), packBytes: Self.packBytes)
            }
        }
        #expect(throws: ReleaseError.self) { try FrameTable(parsing: bytes + [0], packBytes: Self.packBytes) }
    }

    /// Offsets in the encoded table: header 0, artifact headers 12 and 36, entries from 60.
    static let mutations: [(what: String, offset: Int, bytes: [UInt8])] = [
        ("magic", 0, [0]), ("no artifact", 8, [0]), ("too many artifacts", 8, [9]), ("huge count", 11, [0xFF]),
        ("unknown kind", 12, [5]), ("kind zero", 12, [0]), ("kind twice", 36, [1]), ("frame size zero", 16, [0, 0]),
        ("frame size odd", 16, [1]), ("frame size huge", 19, [0x7F]), ("plain size zero", 20, [0, 0]),
        ("plain size huge", 27, [0xFF]), ("plain size off", 20, [1]), ("too few frames", 28, [1]),
        ("too many frames", 28, [3]), ("frame count huge", 31, [0xFF]), ("reserved", 32, [1]),
        ("offset behind the pack", 62, [1]), ("offset overflows", 60, [UInt8](repeating: 0xFF, count: 8)),
        ("compressed zero", 68, [0]), ("compressed huge", 70, [1]), ("compressed overflows", 71, [0xFF]),
        ("plain too small", 72, [0xFF, 0x0F]), ("plain too large", 72, [1]),
        ("last frame too long", 60 + 4 * 48 + 12, [0xFF]),
    ]

    @Test(arguments: mutations.indices) func numbersThatCannotBeAreRefused(index: Int) {
        let mutation = Self.mutations[index]
        var bytes = Self.table().encoded
        bytes.replaceSubrange(mutation.offset..<mutation.offset + mutation.bytes.count, with: mutation.bytes)
        #expect(throws: ReleaseError.self, "\(mutation.what)") {
            try FrameTable(parsing: bytes, packBytes: Self.packBytes)
        }
    }

    @Test func thePackBoundsEveryFrame() throws {
        let bytes = Self.table().encoded
        _ = try FrameTable(parsing: bytes, packBytes: 300)
        #expect(throws: ReleaseError.self) { try FrameTable(parsing: bytes, packBytes: 299) }
    }

    @Test func aTableForAnotherReleaseIsRefused() throws {
        let bytes = Self.table().encoded
        let manifest = try Manifest(validating: try ManifestTests.document())
        #expect(throws: ReleaseError.self) { try FrameTable.verified(bytes, manifest: manifest) }
        #expect(throws: ReleaseError.self) { try Self.table().check(against: manifest) }
    }

    @Test func anyChangedByteIsParsedOrRefusedButNeverCrashes() {
        let bytes = Self.table().encoded
        for index in bytes.indices {
            for value: UInt8 in [0, 1, 0x7F, 0x80, 0xFF] {
                var changed = bytes
                changed[index] = value
                guard let table = try? FrameTable(parsing: changed, packBytes: Self.packBytes) else { continue }
                for artifact in table.artifacts {
                    for frame in artifact.frames { #expect(frame.packRange.upperBound <= Self.packBytes) }
                }
            }
        }
    }
}
