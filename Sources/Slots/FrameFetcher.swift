import Contract
import Cryptography
import Fetch
import Linux
import Release

/// Fetches the frames of a plan and hands each on once it is authenticated and decompressed.
///
/// One thread fetches and compares each frame's SHA-256; the caller's decompresses and does the rest. What waits
/// between them is bounded, so a slow disk slows the network and memory stays small.
struct FrameFetcher {
    /// How often a frame is fetched before it is refused.
    static let attempts = 3
    /// Compressed bytes that may wait for the disk.
    static let waitingBytes = 4 << 20

    let source: any PackSource
    let cancellation: Cancellation?

    private struct Arrival: Sendable {
        var piece: Int
        var bytes: [UInt8]
    }

    /// Calls `onFrame` with each piece of the plan and its plain bytes, in no particular order, and `onWait` about
    /// once a second while nothing arrives, so that the caller can show that it lives, or give up.
    ///
    /// Returns how many bytes were fetched. Throws `SlotError`, what the source throws, or what `onFrame` throws.
    func run(
        _ plan: FramePlan, onWait: () throws -> Void,
        onFrame: (FramePlan.Piece, UnsafeRawBufferPointer) throws -> Void
    ) throws -> UInt64 {
        guard !plan.pieces.isEmpty else { return 0 }
        let queue = HandOff<Arrival>(limitBytes: Self.waitingBytes)
        let stop = Cancellation(parent: cancellation)
        let counter = Counter()
        // The source is the other thread's alone until that has ended, which `join` below waits for.
        nonisolated(unsafe) let source = source
        let pieces = plan.pieces
        let requests = plan.requests
        let thread = try WorkerThread {
            queue.finish(
                Result {
                    try Self.fetch(
                        pieces, requests, from: source, cancellation: stop, counter: counter,
                        send: { try queue.send($0, bytes: $0.bytes.count) })
                })
        }
        let outcome = Result { try process(queue, pieces, onWait, onFrame) }
        queue.close()
        stop.cancel()
        thread.join()
        try outcome.get()
        return counter.bytes
    }

    private func process(
        _ queue: HandOff<Arrival>, _ pieces: [FramePlan.Piece], _ onWait: () throws -> Void,
        _ onFrame: (FramePlan.Piece, UnsafeRawBufferPointer) throws -> Void
    ) throws {
        let decompressor = try Decompressor()
        let plain = AlignedBuffer(count: pieces.map(\.plainBytes).max() ?? 0)
        receiving: while true {
            if cancellation?.isCancelled == true { throw FetchError.aborted }
            let arrival: Arrival
            switch try queue.receive() {
            case .element(let element): arrival = element
            case .nothingYet:
                try onWait()
                continue receiving
            case .end: return
            }
            let piece = pieces[arrival.piece]
            let bytes = plain.prefix(piece.plainBytes)
            do {
                try arrival.bytes.withUnsafeBytes { try decompressor.decompress($0, into: bytes) }
            } catch let error as Decompressor.Failure {
                let use = piece.uses[0]
                throw SlotError.frameContents(use.kind, frame: use.index, error.description)
            }
            try onFrame(piece, UnsafeRawBufferPointer(bytes))
        }
    }

    // MARK: - On the fetching thread

    /// Written by the fetching thread, read after it was joined.
    private final class Counter: @unchecked Sendable {
        var bytes: UInt64 = 0
    }

    private static func fetch(
        _ pieces: [FramePlan.Piece], _ requests: [FramePlan.Request], from source: any PackSource,
        cancellation: Cancellation, counter: Counter, send: (Arrival) throws -> Void
    ) throws {
        var refused: [(piece: Int, found: Digest256)] = []
        func read(_ request: FramePlan.Request) throws {
            var assembler = Assembler(request: request, pieces: pieces)
            try source.read(request.range, cancellation: cancellation) { bytes in
                counter.bytes += UInt64(bytes.count)
                try assembler.append(bytes) { piece, bytes in
                    let found = Digest256(hashing: bytes)
                    if found == pieces[piece].sha256 {
                        try send(Arrival(piece: piece, bytes: bytes))
                    } else {
                        refused.append((piece, found))
                    }
                }
            }
            guard assembler.isComplete else { throw SlotError.source("it gave less than was asked for") }
        }
        for request in requests { try read(request) }
        // What was damaged on the way is fetched again by itself.
        for _ in 1..<attempts {
            let again = refused
            refused = []
            for (piece, _) in again {
                try read(FramePlan.Request(range: pieces[piece].range, pieces: [piece]))
            }
        }
        guard let (piece, found) = refused.first else { return }
        let use = pieces[piece].uses[0]
        throw SlotError.frameDigest(use.kind, frame: use.index, expected: pieces[piece].sha256, found: found)
    }

    /// Cuts the bytes of a request into its pieces.
    private struct Assembler {
        let request: FramePlan.Request
        let pieces: [FramePlan.Piece]
        var position: UInt64
        var next = 0
        var partial: [UInt8] = []

        init(request: FramePlan.Request, pieces: [FramePlan.Piece]) {
            self.request = request
            self.pieces = pieces
            position = request.range.lowerBound
        }

        var isComplete: Bool { next == request.pieces.count && position == request.range.upperBound }

        mutating func append(_ bytes: UnsafeRawBufferPointer, _ onPiece: (Int, [UInt8]) throws -> Void) throws {
            guard UInt64(bytes.count) <= request.range.upperBound - position else {
                throw SlotError.source("it gave more than was asked for")
            }
            var rest = bytes[...]
            while !rest.isEmpty, next < request.pieces.count {
                let range = pieces[request.pieces[next]].range
                if position < range.lowerBound {
                    let skipped = Int(min(range.lowerBound - position, UInt64(rest.count)))
                    rest = rest.dropFirst(skipped)
                    position += UInt64(skipped)
                    continue
                }
                let wanted = Int(range.upperBound - position)
                if partial.isEmpty { partial.reserveCapacity(wanted) }
                let taken = rest.prefix(wanted)
                partial.append(contentsOf: UnsafeRawBufferPointer(rebasing: taken))
                rest = rest.dropFirst(taken.count)
                position += UInt64(taken.count)
                guard position == range.upperBound else { continue }
                let whole = partial
                partial = []
                next += 1
                try onPiece(request.pieces[next - 1], whole)
            }
        }
    }
}
