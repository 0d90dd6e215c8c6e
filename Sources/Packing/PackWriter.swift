internal import Contract
internal import Cryptography
internal import Foundation
internal import Release

/// One artifact after its frames were put into the pack.
struct PackedArtifact {
    let artifact: FrameTable.Artifact
    /// SHA-256 of the plain bytes.
    let sha256: Digest256
    /// Bytes that were new in the pack.
    let addedBytes: UInt64
}

/// Appends compressed frames to a pack; a frame that is there already is not put there twice.
///
/// Frames are compressed on all cores and appended in order, so that the pack does not depend on timing.
struct PackWriter: ~Copyable {
    private var file: OutputFile
    private var places: [Digest256: UInt64] = [:]
    private let totalBytes: UInt64
    private var doneBytes: UInt64 = 0
    private let report: @Sendable (UInt64, UInt64) -> Void
    private let width = max(1, ProcessInfo.processInfo.activeProcessorCount) * 2

    init(path: String, totalBytes: UInt64, report: @escaping @Sendable (UInt64, UInt64) -> Void) throws {
        file = try OutputFile(path)
        self.totalBytes = totalBytes
        self.report = report
    }

    /// Adds all frames of an artifact.
    mutating func add(
        _ kind: FrameTable.Kind, path: String, frameBytes: Int, compressor: FrameCompressor
    ) async throws -> PackedArtifact {
        let input = try InputFile(path)
        guard input.sizeBytes > 0 else { throw PackingError("'\(path)' is empty") }
        let before = file.sizeBytes
        var hasher = SHA256Hasher()
        var frames: [FrameTable.Frame] = []
        var offset: UInt64 = 0
        while offset < input.sizeBytes {
            var batch: [[UInt8]] = []
            while batch.count < width * 8, offset < input.sizeBytes {
                let plain = try input.read(at: offset, count: Int(min(UInt64(frameBytes), input.sizeBytes - offset)))
                hasher.update(plain)
                offset += UInt64(plain.count)
                batch.append(plain)
            }
            for (frame, plain) in zip(try await Self.compress(batch, compressor, width: width), batch) {
                frames.append(try place(frame, plainBytes: plain.count))
            }
            report(doneBytes, totalBytes)
        }
        let artifact = FrameTable.Artifact(
            kind: kind, framePlainBytes: frameBytes, plainBytes: input.sizeBytes, frames: frames)
        guard let sha256 = Digest256(bytes: hasher.finish()) else { throw PackingError("SHA-256 failed") }
        return PackedArtifact(artifact: artifact, sha256: sha256, addedBytes: file.sizeBytes - before)
    }

    /// Flushes the pack; its size in bytes.
    consuming func finish() throws -> UInt64 {
        try file.flush()
        return file.sizeBytes
    }

    private mutating func place(_ frame: [UInt8], plainBytes: Int) throws -> FrameTable.Frame {
        let digest = Digest256(hashing: frame)
        let offset = places[digest] ?? file.sizeBytes
        if offset == file.sizeBytes {
            places[digest] = offset
            try file.write(frame)
        }
        doneBytes += UInt64(plainBytes)
        return FrameTable.Frame(
            packOffset: offset, compressedBytes: frame.count, plainBytes: plainBytes, sha256: digest)
    }

    /// Compresses some frames, at most `width` at a time, and returns them in order.
    private static func compress(
        _ batch: [[UInt8]], _ compressor: FrameCompressor, width: Int
    ) async throws -> [[UInt8]] {
        try await withThrowingTaskGroup(of: (Int, [UInt8]).self) { group in
            var results = [[UInt8]](repeating: [], count: batch.count)
            var next = 0
            func submit() {
                guard next < batch.count else { return }
                let index = next
                let plain = batch[index]
                next += 1
                group.addTask { (index, try compressor.compress(plain)) }
            }
            for _ in 0..<width { submit() }
            while let (index, frame) = try await group.next() {
                results[index] = frame
                submit()
            }
            return results
        }
    }
}
