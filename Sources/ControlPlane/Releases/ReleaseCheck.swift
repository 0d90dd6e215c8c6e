import Contract
import Cryptography
import Foundation
import HTTPTypes
import Release

/// Checks uploaded files before a release is published: nothing that a node would refuse gets past it.
struct ReleaseCheck {
    /// Where the three files lie.
    let directory: String

    /// Runs all checks; blocks its thread while it reads.
    func run(name: Digest256, keys: [ReleaseKey], threshold: Int) throws -> Manifest {
        let envelope = try read(.manifest)
        let manifest: Manifest
        let table: FrameTable
        do {
            manifest = try Manifest.verified(envelope: envelope, keys: keys, threshold: threshold)
            guard manifest.name == name else {
                throw ReleaseError("the manifest's name is \(manifest.name), not \(name)")
            }
            try manifest.checkExpiry(nowSeconds: Int64(Date().timeIntervalSince1970))
            try manifest.check(fits: .standard)
            table = try FrameTable.verified(try read(.frames), manifest: manifest)
        } catch let error as ReleaseError {
            throw refusal(error.description)
        }
        try checkPack(manifest, table)
        return manifest
    }

    private func read(_ file: ReleaseShelf.File) throws -> [UInt8] {
        guard let bytes = try DurableFile.read("\(directory)/\(file.rawValue)", limit: Int(file.limit)) else {
            throw missing(file)
        }
        return bytes
    }

    /// Hashes every frame where it lies in the pack; frames that artifacts share are hashed once.
    private func checkPack(_ manifest: Manifest, _ table: FrameTable) throws {
        let path = "\(directory)/\(ReleaseShelf.File.pack.rawValue)"
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw errno == ENOENT ? missing(.pack) : DurableFile.failure("open", path) }
        defer { close(descriptor) }
        let size = lseek(descriptor, 0, SEEK_END)
        guard size >= 0, UInt64(size) == manifest.packBytes else {
            throw refusal("the pack has \(size) bytes, the manifest says \(manifest.packBytes)")
        }
        var checked: [UInt64: Digest256] = [:]
        var buffer = [UInt8](repeating: 0, count: FrameLimit.compressedBytes(forPlain: FrameLimit.largestPlainBytes))
        for artifact in table.artifacts {
            for frame in artifact.frames where checked[frame.packOffset] != frame.sha256 {
                guard frame.compressedBytes <= buffer.count else { throw refusal("a frame is larger than any may be") }
                try readFully(descriptor, &buffer, count: frame.compressedBytes, at: frame.packOffset, path: path)
                let digest = buffer.withUnsafeBytes {
                    SHA256.digest(UnsafeRawBufferPointer(rebasing: $0[..<frame.compressedBytes]))
                }
                guard digest == frame.sha256.bytes else {
                    throw refusal("the frame at byte \(frame.packOffset) of the pack is not what the frame table says")
                }
                checked[frame.packOffset] = frame.sha256
            }
        }
    }

    private func readFully(
        _ descriptor: Int32, _ buffer: inout [UInt8], count: Int, at offset: UInt64, path: String
    ) throws {
        var filled = 0
        while filled < count {
            let got = buffer[filled..<count].withUnsafeMutableBytes {
                pread(descriptor, $0.baseAddress, $0.count, off_t(offset) + off_t(filled))
            }
            guard got > 0 else { throw DurableFile.failure("read", path) }
            filled += got
        }
    }

    private func missing(_ file: ReleaseShelf.File) -> APIFailure {
        APIFailure(
            .conflict, "release-incomplete",
            "'\(file.rawValue)' was not uploaded yet; PUT all three files, then publish")
    }

    private func refusal(_ sentence: String) -> APIFailure {
        APIFailure(
            .unprocessableContent, "release-refused", "this release is refused: \(sentence); build and upload it again")
    }
}
