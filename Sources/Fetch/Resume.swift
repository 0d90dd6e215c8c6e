import Glibc

/// What happens between two attempts at a download.
public struct RetryNotice: Sendable, CustomStringConvertible {
    /// Why the attempt ended.
    public var error: FetchError
    /// How many bytes of the range have arrived, over all attempts.
    public var arrivedBytes: UInt64
    /// The delay before the next attempt, in milliseconds.
    public var delayMilliseconds: Int

    /// What happened and what happens next, as a sentence.
    public var description: String {
        "\(error); \(arrivedBytes) bytes arrived, going on in \(delayMilliseconds) ms"
    }
}

extension HTTPClient {
    /// Fetches a range of bytes and, when the connection breaks, goes on from where it stopped.
    ///
    /// Attempts are counted from the last byte that arrived. `pause` waits for a number of milliseconds. Throws the
    /// last `FetchError`, or what `onBytes` threw.
    public func downloadResuming(
        _ url: String, range: Range<UInt64>, headers: [HTTPHeader] = [], backoff: Backoff = Backoff(),
        cancellation: Cancellation? = nil, pause: (Int, Cancellation?) throws -> Void = HTTPClient.pause,
        onRetry: (RetryNotice) -> Void = { _ in }, onBytes: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        var backoff = backoff
        var next = range.lowerBound
        while next < range.upperBound {
            let before = next
            do {
                try download(
                    url, range: next..<range.upperBound, headers: headers, limitBytes: UInt64(range.count),
                    cancellation: cancellation
                ) { bytes in
                    try onBytes(bytes)
                    next += UInt64(bytes.count)
                }
            } catch let error as FetchError where error.isTransient {
                if next > before { backoff.reset() }
                guard let delay = backoff.next(random: UInt64.random(in: 0...UInt64.max)) else { throw error }
                onRetry(RetryNotice(error: error, arrivedBytes: next - range.lowerBound, delayMilliseconds: delay))
                try pause(delay, cancellation)
            }
        }
    }

    /// Waits, and throws `FetchError.aborted` when cancelled meanwhile.
    public static func pause(milliseconds: Int, cancellation: Cancellation?) throws {
        var left = milliseconds
        while left > 0 {
            if cancellation?.isCancelled == true { throw FetchError.aborted }
            let piece = min(left, 100)
            usleep(UInt32(piece) * 1000)
            left -= piece
        }
        if cancellation?.isCancelled == true { throw FetchError.aborted }
    }
}
