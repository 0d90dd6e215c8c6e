import Contract
import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import _NIOFileSystem

/// Streams a body to a file that appears only when it is whole and flushed.
enum Upload {
    /// Takes a body of a known length up to `limit` into a file.
    static func take(_ request: Request, to path: String, limit: UInt64) async throws {
        guard let length = request.headers[.contentLength].flatMap(UInt64.init) else {
            throw APIFailure(.lengthRequired, "length-required", "an upload states its size: send 'Content-Length'")
        }
        guard length <= limit else {
            throw APIFailure(
                .contentTooLarge, "body-too-large", "the file has \(length) bytes; at most \(limit) are accepted")
        }
        try demandRoom(for: length, at: path)
        // A name of its own, so that two uploads of one file do not mix.
        let partial = "\(path).\(try Secrets.word(characters: 8)).partial"
        do {
            try await write(request.body, to: partial, length: length)
            try DurableFile.move(partial, to: path)
        } catch {
            unlink(partial)
            throw failure(error)
        }
    }

    private static func write(_ body: RequestBody, to path: String, length: UInt64) async throws {
        try await FileSystem.shared.withFileHandle(
            forWritingAt: FilePath(path),
            options: .newFile(replaceExisting: false, permissions: [.ownerRead, .ownerWrite])
        ) { handle in
            var offset: Int64 = 0
            for try await buffer in body {
                guard UInt64(offset) + UInt64(buffer.readableBytes) <= length else { throw truncated }
                offset += try await handle.write(contentsOf: buffer, toAbsoluteOffset: offset)
            }
            guard UInt64(offset) == length else { throw truncated }
            try await handle.synchronize()
        }
    }

    private static let truncated = APIFailure(
        .badRequest, "upload-truncated", "the upload does not have as many bytes as it said; send it again")

    /// Refuses early what the disk has no room for, and keeps some for the database.
    private static func demandRoom(for bytes: UInt64, at path: String) throws {
        var facts = statvfs()
        guard statvfs(DurableFile.parent(of: path), &facts) == 0 else { return }
        let free = UInt64(facts.f_bavail) * UInt64(facts.f_frsize)
        guard free < bytes + (64 << 20) else { return }
        throw APIFailure.diskFull
    }

    private static func failure(_ error: any Error) -> any Error {
        if let error = error as? FileSystemError, "\(error)".contains("No space left") { return APIFailure.diskFull }
        return error
    }
}
