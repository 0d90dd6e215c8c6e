public import Fetch

/// Where the bytes of a release's pack come from. They are trusted for nothing: every frame is checked.
///
/// Used by one thread at a time, not always the one that made it.
public protocol PackSource: AnyObject {
    /// Gives the bytes of `range`, in order and without gaps, piece by piece; throws where it cannot. What `onBytes`
    /// throws is thrown on.
    func read(
        _ range: Range<UInt64>, cancellation: Cancellation, onBytes: (UnsafeRawBufferPointer) throws -> Void) throws
}

/// A pack over HTTPS: resumes where a connection broke, with bounded attempts.
public final class HTTPPackSource: PackSource {
    private let configuration: HTTPConfiguration
    private let url: String
    private let headers: [HTTPHeader]
    private let backoff: Backoff
    private let onRetry: @Sendable (RetryNotice) -> Void
    private var client: HTTPClient?

    /// Describes the pack at `url`, such as `…/v1/releases/NAME/pack`; connects when it is first read.
    public init(
        _ configuration: HTTPConfiguration, url: String, headers: [HTTPHeader] = [], backoff: Backoff = Backoff(),
        onRetry: @escaping @Sendable (RetryNotice) -> Void = { _ in }
    ) {
        self.configuration = configuration
        self.url = url
        self.headers = headers
        self.backoff = backoff
        self.onRetry = onRetry
    }

    /// Fetches a range; throws `FetchError`.
    public func read(
        _ range: Range<UInt64>, cancellation: Cancellation, onBytes: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        let client = try self.client ?? HTTPClient(configuration)
        self.client = client
        try client.downloadResuming(
            url, range: range, headers: headers, backoff: backoff, cancellation: cancellation, onRetry: onRetry,
            onBytes: onBytes)
    }
}

/// A pack in memory, as tests and the simulation have it.
public final class MemoryPackSource: PackSource {
    private let bytes: [UInt8]
    private let pieceBytes: Int
    /// The ranges that were read, in order.
    public private(set) var ranges: [Range<UInt64>] = []

    /// Wraps the pack; gives it in pieces of `pieceBytes`.
    public init(_ bytes: [UInt8], pieceBytes: Int = 16 << 10) {
        self.bytes = bytes
        self.pieceBytes = max(1, pieceBytes)
    }

    /// Copies a range out; throws `SlotError.source` where the pack is shorter.
    public func read(
        _ range: Range<UInt64>, cancellation: Cancellation, onBytes: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        ranges.append(range)
        guard range.upperBound <= UInt64(bytes.count) else { throw SlotError.source("it ends at \(bytes.count)") }
        try bytes.withUnsafeBytes { all in
            var start = Int(range.lowerBound)
            while start < Int(range.upperBound) {
                if cancellation.isCancelled { throw FetchError.aborted }
                let end = min(start + pieceBytes, Int(range.upperBound))
                try onBytes(UnsafeRawBufferPointer(rebasing: all[start..<end]))
                start = end
            }
        }
    }
}
