import Contract
import Testing

struct StreamFrameTests {
    @Test(arguments: [1, 2, 3, 5, 7, 1000])
    func framesAreFoundWhateverPiecesTheyArriveIn(_ size: Int) throws {
        let frames = [
            StreamFrame(.output, Array("hello".utf8)), StreamFrame(.input), StreamFrame.window(columns: 132, rows: 43),
            StreamFrame(.error, [UInt8](repeating: 9, count: 300)), StreamFrame(.exit, Array("137".utf8)),
        ]
        let bytes = frames.flatMap(\.encoded)
        var reader = StreamFrameReader()
        var found: [StreamFrame] = []
        for start in stride(from: 0, to: bytes.count, by: size) {
            found += try reader.take(bytes[start..<min(start + size, bytes.count)])
        }
        #expect(found == frames && !reader.isMidFrame)
        #expect(found[2].windowSize.map { [$0.columns, $0.rows] } == [132, 43])
        #expect(found[4].exitStatus == 137)
    }

    @Test func aCutStreamIsNoticed() throws {
        var reader = StreamFrameReader()
        #expect(try reader.take(StreamFrame(.output, [1, 2]).encoded.dropLast()).isEmpty)
        #expect(reader.isMidFrame)
    }

    @Test func strangeFramesAreRefused() {
        var reader = StreamFrameReader()
        #expect(throws: WireError.self) { try reader.take([9, 0, 0, 0, 0]) }
        var other = StreamFrameReader()
        #expect(throws: WireError.self) { try other.take([1, 0, 1, 0, 1]) }
    }
}
