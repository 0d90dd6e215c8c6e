import CCurl
import Contract

/// What one request has received so far; libcurl's callbacks end here.
final class Transfer {
    /// Where the bytes of a body go.
    enum Sink {
        case memory(limitBytes: Int)
        case stream((UnsafeRawBufferPointer) throws -> Void, range: Range<UInt64>?, limitBytes: UInt64)
    }

    /// Bounds against a server that never ends its headers.
    static let headerLimitBytes = 64 << 10
    /// How much of an error's body is read.
    static let errorBodyLimitBytes = 64 << 10

    let handle: UnsafeMutableRawPointer
    let sink: Sink
    let cancellation: Cancellation?
    var source: ((UnsafeMutableRawBufferPointer) throws -> Int)?
    private(set) var headers: [String: String] = [:]
    private(set) var body: [UInt8] = []
    private(set) var streamedBytes: UInt64 = 0
    /// What a callback threw; it is thrown on once libcurl has returned.
    private(set) var thrown: (any Error)?
    private var headerBytes = 0
    private var begun = false

    init(handle: UnsafeMutableRawPointer, sink: Sink, cancellation: Cancellation?) {
        self.handle = handle
        self.sink = sink
        self.cancellation = cancellation
    }

    var status: Int {
        var code = 0
        _ = apus_curl_get_long(handle, CURLINFO_RESPONSE_CODE, &code)
        return code
    }

    /// Takes one header line; a new status line starts over (100 Continue, a proxy's answer).
    func receiveHeader(_ line: UnsafeRawBufferPointer) -> Bool {
        headerBytes += line.count
        guard headerBytes <= Transfer.headerLimitBytes else {
            thrown = FetchError.tooLarge(limitBytes: UInt64(Transfer.headerLimitBytes))
            return false
        }
        let text = String(decoding: line, as: UTF8.self)
        if text.hasPrefix("HTTP/") {
            headers = [:]
            return true
        }
        guard let colon = text.firstIndex(of: ":") else { return true }
        let isSpace: (Character) -> Bool = { $0 == " " || $0 == "\t" || $0 == "\r" || $0 == "\n" || $0 == "\r\n" }
        var value = text[text.index(after: colon)...]
        while let first = value.first, isSpace(first) { value.removeFirst() }
        while let last = value.last, isSpace(last) { value.removeLast() }
        let name = text[..<colon].lowercased()
        // One challenge a line is as good as a list of them (RFC 9110, section 11.6.1), and the last is not the best.
        if name == "www-authenticate", let earlier = headers[name] {
            headers[name] = earlier + ", " + value
        } else {
            headers[name] = String(value)
        }
        return true
    }

    /// Takes a piece of the body; false ends the transfer.
    func receiveBody(_ bytes: UnsafeRawBufferPointer) -> Bool {
        do {
            try take(bytes)
            return true
        } catch {
            thrown = error
            return false
        }
    }

    private func take(_ bytes: UnsafeRawBufferPointer) throws {
        if cancellation?.isCancelled == true { throw FetchError.aborted }
        guard (200...299).contains(status) else {
            body.append(contentsOf: bytes.prefix(Transfer.errorBodyLimitBytes - body.count))
            return
        }
        switch sink {
        case .memory(let limit):
            guard bytes.count <= limit - body.count else { throw FetchError.tooLarge(limitBytes: UInt64(limit)) }
            body.append(contentsOf: bytes)
        case .stream(let take, let range, let limit):
            if !begun, let range { try checkRange(range) }
            begun = true
            guard UInt64(bytes.count) <= limit - streamedBytes else { throw FetchError.tooLarge(limitBytes: limit) }
            try take(bytes)
            streamedBytes += UInt64(bytes.count)
        }
    }

    /// A reply that holds the whole file where a part was asked for would silently cost the difference.
    private func checkRange(_ range: Range<UInt64>) throws {
        let wanted = "bytes \(range.lowerBound)-\(range.upperBound - 1)/"
        guard status == 206, let got = headers["content-range"], got.hasPrefix(wanted) else {
            throw FetchError.rangeNotServed(
                "asked for \(wanted.dropLast()), got status \(status) with \(headers["content-range"] ?? "no range")")
        }
    }

    /// Gives bytes of an upload; nil ends the transfer.
    func giveBody(_ buffer: UnsafeMutableRawBufferPointer) -> Int? {
        do {
            if cancellation?.isCancelled == true { throw FetchError.aborted }
            return try source?(buffer) ?? 0
        } catch {
            thrown = error
            return nil
        }
    }

    /// The server's error message, where it sent one.
    var apiError: APIError? {
        try? Wire.decode(APIError.self, from: body, limit: Transfer.errorBodyLimitBytes)
    }
}

/// The functions that libcurl calls. `context` is the `Transfer`, which the caller of `perform` keeps alive.
enum Callbacks {
    static let header: apus_curl_data_callback = { bytes, size, count, context in
        guard let bytes, let context else { return 0 }
        let transfer = Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue()
        return transfer.receiveHeader(UnsafeRawBufferPointer(start: bytes, count: size * count)) ? size * count : 0
    }

    static let write: apus_curl_data_callback = { bytes, size, count, context in
        guard let bytes, let context else { return 0 }
        let transfer = Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue()
        return transfer.receiveBody(UnsafeRawBufferPointer(start: bytes, count: size * count)) ? size * count : 0
    }

    static let read: apus_curl_data_callback = { bytes, size, count, context in
        guard let bytes, let context else { return apus_curl_reader_abort }
        let transfer = Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue()
        let buffer = UnsafeMutableRawBufferPointer(start: bytes, count: size * count)
        return transfer.giveBody(buffer) ?? apus_curl_reader_abort
    }

    static let progress: apus_curl_progress_callback = { context, _, _, _, _ in
        guard let context else { return 1 }
        let transfer = Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue()
        return transfer.cancellation?.isCancelled == true ? 1 : 0
    }
}
