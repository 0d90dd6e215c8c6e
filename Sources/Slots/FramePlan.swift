import Contract
import Release

/// Which bytes of the pack to fetch for a set of frames, and what to do with them: pure.
struct FramePlan: Equatable {
    /// A frame's place in an artifact.
    struct Use: Equatable {
        var kind: FrameTable.Kind
        var index: Int
    }

    /// Compressed bytes that one or several frames share.
    struct Piece: Equatable {
        var range: Range<UInt64>
        var plainBytes: Int
        var sha256: Digest256
        var uses: [Use]
    }

    /// Pieces that are near enough to each other to be fetched in one request, in the pack's order.
    struct Request: Equatable {
        var range: Range<UInt64>
        var pieces: [Int]
    }

    /// Bytes that nobody needs cost less than another request, up to this many.
    static let gapBytes: UInt64 = 16 << 10

    private(set) var pieces: [Piece] = []
    private(set) var requests: [Request] = []

    /// Plans for the frames of `uses`; frames that are equal are fetched once.
    init(_ table: FrameTable, uses: [Use]) throws(SlotError) {
        var known: [UInt64: Int] = [:]
        for use in uses {
            guard let artifact = table[use.kind], artifact.frames.indices.contains(use.index) else {
                throw .source("the frame table has no frame \(use.index) of \(use.kind)")
            }
            let frame = artifact.frames[use.index]
            let piece = Piece(
                range: frame.packRange, plainBytes: frame.plainBytes, sha256: frame.sha256, uses: [use])
            if let index = known[frame.packOffset] {
                guard pieces[index].range == piece.range, pieces[index].sha256 == piece.sha256,
                    pieces[index].plainBytes == piece.plainBytes
                else { throw .source("frame \(use.index) of \(use.kind) overlaps another frame") }
                pieces[index].uses.append(use)
            } else {
                known[frame.packOffset] = pieces.count
                pieces.append(piece)
            }
        }
        pieces.sort { $0.range.lowerBound < $1.range.lowerBound }
        for (index, piece) in pieces.enumerated() {
            if let last = requests.last, piece.range.lowerBound >= last.range.upperBound,
                piece.range.lowerBound - last.range.upperBound <= Self.gapBytes
            {
                requests[requests.count - 1].range = last.range.lowerBound..<piece.range.upperBound
                requests[requests.count - 1].pieces.append(index)
            } else {
                requests.append(Request(range: piece.range, pieces: [index]))
            }
        }
    }
}
