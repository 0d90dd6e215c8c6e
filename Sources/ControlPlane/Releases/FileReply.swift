import Foundation
import HTTPTypes
import Hummingbird

/// Serves a file as it lies on the disk, whole or in part, a chunk at a time.
struct FileReply: Sendable {
    private let files = FileIO()

    /// The reply for a file with a strong entity tag.
    ///
    /// - Parameter isImmutable: whether the address always names these bytes.
    func callAsFunction(
        _ path: String, tag: String, mediaType: String, isImmutable: Bool, request: Request,
        context: some RequestContext
    ) async throws -> Response {
        guard let size = Self.size(of: path) else {
            throw APIFailure.notFound("there is no such file here")
        }
        let quoted = "\"\(tag)\""
        var fields: HTTPFields = [
            .contentType: mediaType, .acceptRanges: "bytes", .eTag: quoted,
            .cacheControl: isImmutable ? "private, max-age=31536000, immutable" : "no-cache",
        ]
        if let known = request.headers[.ifNoneMatch], Self.matches(known, quoted) {
            return Response(status: .notModified, headers: fields)
        }
        // A part of another version of the file is of no use: `If-Range` then asks for all of this one.
        let isSame = request.headers[.ifRange].map { $0 == quoted } ?? true
        switch isSame ? ByteRange.parse(request.headers[.range], size: size) : .whole {
        case .whole:
            let body = try await files.loadFile(path: path, context: context)
            return Response(status: .ok, headers: fields, body: body)
        case .part(let range):
            fields[.contentRange] = "bytes \(range.lowerBound)-\(range.upperBound)/\(size)"
            let body = try await files.loadFile(
                path: path, range: Int(range.lowerBound)...Int(range.upperBound), context: context)
            return Response(status: .partialContent, headers: fields, body: body)
        case .unsatisfiable:
            throw APIFailure(
                .rangeNotSatisfiable, "range-unsatisfiable", "the file has \(size) bytes; ask for one range within it",
                headers: [.contentRange: "bytes */\(size)"])
        }
    }

    /// The size of a regular file in bytes; nil for anything else, links included.
    static func size(of path: String) -> Int64? {
        var facts = stat()
        guard lstat(path, &facts) == 0, facts.st_mode & S_IFMT == S_IFREG else { return nil }
        return Int64(facts.st_size)
    }

    private static func matches(_ header: String, _ tag: String) -> Bool {
        header == "*"
            || header.split(separator: ",").contains { candidate in
                let bare = candidate.drop { $0 == " " }
                return bare == tag || bare == "W/" + tag
            }
    }
}
