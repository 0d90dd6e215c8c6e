import CCurl
public import Contract

/// HTTPS requests one after another over connections that are reused; blocks its thread.
///
/// HTTP/1.1, TLS 1.2 or newer, no redirects, no system CAs, no environment. A client belongs to one thread; make one
/// per thread, they are cheap. Implements what libcurl's easy interface offers (curl_easy_perform(3)).
public final class HTTPClient {
    private let configuration: HTTPConfiguration
    private let handle: UnsafeMutableRawPointer
    private let errorText: UnsafeMutablePointer<CChar>
    /// Status and headers of the last reply, whatever its status; nil where none came.
    ///
    /// For protocols in which a reply other than 2xx asks for something: a redirect, or another authorization.
    public private(set) var lastReply: HTTPReplyHead?
    private static let initialised: Bool = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK

    /// Makes a client; throws `FetchError.invalid` where libcurl cannot start.
    public init(_ configuration: HTTPConfiguration) throws(FetchError) {
        guard HTTPClient.initialised, let handle = curl_easy_init() else {
            throw FetchError.invalid("libcurl cannot start: out of memory, or its TLS library is missing")
        }
        self.configuration = configuration
        self.handle = handle
        errorText = UnsafeMutablePointer<CChar>.allocate(capacity: apus_curl_error_size)
        errorText.initialize(repeating: 0, count: apus_curl_error_size)
    }

    deinit {
        curl_easy_cleanup(handle)
        errorText.deallocate()
    }

    /// Sends a request and returns the whole reply, of at most `limitBytes`.
    ///
    /// `timeoutSeconds` covers everything; for a long poll it must be longer than the poll. Throws `FetchError`.
    public func request(
        _ method: String, _ url: String, headers: [HTTPHeader] = [], body: [UInt8]? = nil,
        limitBytes: Int = WireLimit.message, timeoutSeconds: Int = 60, cancellation: Cancellation? = nil
    ) throws -> HTTPResponse {
        let transfer = Transfer(handle: handle, sink: .memory(limitBytes: limitBytes), cancellation: cancellation)
        try prepare(method, url, transfer)
        try set(apus_curl_set_long(handle, CURLOPT_TIMEOUT, timeoutSeconds))
        guard let body else { return try perform(transfer, headers: headers, url: url) }
        try set(apus_curl_set_size(handle, CURLOPT_POSTFIELDSIZE_LARGE, body.count))
        return try body.withUnsafeBufferPointer { bytes in
            // An empty array has no address, and a null pointer would make libcurl ask the read callback instead.
            try withUnsafePointer(to: UInt8(0)) { empty in
                let start = UnsafeMutableRawPointer(mutating: bytes.baseAddress ?? empty)
                try set(apus_curl_set_pointer(handle, CURLOPT_POSTFIELDS, start))
                return try perform(transfer, headers: headers, url: url)
            }
        }
    }

    /// Fetches `url`, or a range of its bytes, and gives each piece to `onBytes` as it arrives.
    ///
    /// While `onBytes` works nothing more is read, so a slow disk slows the sender. What it throws ends the transfer
    /// and is thrown on. Throws `FetchError`; with a range, anything but exactly that range is refused.
    @discardableResult
    public func download(
        _ url: String, range: Range<UInt64>? = nil, headers: [HTTPHeader] = [], limitBytes: UInt64,
        cancellation: Cancellation? = nil, onBytes: (UnsafeRawBufferPointer) throws -> Void
    ) throws -> HTTPResponse {
        if let range, range.isEmpty { throw FetchError.invalid("an empty range of bytes") }
        return try withoutActuallyEscaping(onBytes) { onBytes in
            let limit = min(limitBytes, range.map { UInt64($0.count) } ?? limitBytes)
            let transfer = Transfer(
                handle: handle, sink: .stream(onBytes, range: range, limitBytes: limit), cancellation: cancellation)
            try prepare("GET", url, transfer)
            if let range {
                try set(apus_curl_set_text(handle, CURLOPT_RANGE, "\(range.lowerBound)-\(range.upperBound - 1)"))
            }
            try setStallLimit()
            let response = try perform(transfer, headers: headers, url: url)
            if let range, transfer.streamedBytes != UInt64(range.count) {
                throw FetchError.interrupted("\(transfer.streamedBytes) of \(range.count) bytes arrived")
            }
            return response
        }
    }

    /// Sends `sizeBytes` bytes that `source` gives piece by piece; it returns how many it put into the buffer.
    ///
    /// Without a size the body lasts until `source` returns 0 (RFC 9112, section 7.1: chunked).
    public func upload(
        _ method: String, _ url: String, headers: [HTTPHeader] = [], sizeBytes: UInt64?,
        limitBytes: Int = WireLimit.message, cancellation: Cancellation? = nil,
        from source: (UnsafeMutableRawBufferPointer) throws -> Int
    ) throws -> HTTPResponse {
        try withoutActuallyEscaping(source) { source in
            let transfer = Transfer(handle: handle, sink: .memory(limitBytes: limitBytes), cancellation: cancellation)
            transfer.source = source
            try prepare(method, url, transfer)
            try set(apus_curl_set_long(handle, CURLOPT_UPLOAD, 1))
            try set(apus_curl_set_text(handle, CURLOPT_CUSTOMREQUEST, method))
            try set(apus_curl_set_size(handle, CURLOPT_INFILESIZE_LARGE, sizeBytes.map { Int(clamping: $0) } ?? -1))
            try set(apus_curl_set_data_callback(handle, CURLOPT_READFUNCTION, Callbacks.read))
            try set(apus_curl_set_pointer(handle, CURLOPT_READDATA, Unmanaged.passUnretained(transfer).toOpaque()))
            try setStallLimit()
            return try perform(transfer, headers: headers, url: url)
        }
    }

    // MARK: - Settings

    private func set(_ code: CURLcode) throws(FetchError) {
        guard code == CURLE_OK else {
            throw FetchError.invalid("libcurl refuses a setting: \(String(cString: curl_easy_strerror(code)))")
        }
    }

    /// Without a stall limit a transfer may rest for as long as both sides like.
    private func setStallLimit() throws(FetchError) {
        try set(apus_curl_set_long(handle, CURLOPT_LOW_SPEED_LIMIT, 1))
        try set(apus_curl_set_long(handle, CURLOPT_LOW_SPEED_TIME, configuration.stallTimeoutSeconds))
    }

    private func prepare(_ method: String, _ url: String, _ transfer: Transfer) throws(FetchError) {
        let isSecure = url.hasPrefix("https://")
        guard isSecure || (configuration.allowsPlainHTTP && url.hasPrefix("http://")) else {
            throw FetchError.invalid("'\(url)' does not start with https://")
        }
        guard !isSecure || !configuration.caCertificates.isEmpty else {
            throw FetchError.invalid("no CA certificate is known for '\(url)'; give one with the endpoint")
        }
        guard url.utf8.allSatisfy({ (0x21...0x7e).contains($0) }), url.utf8.count <= 8192 else {
            throw FetchError.invalid("the address has characters that a URL cannot have, or is too long")
        }
        guard !method.isEmpty, method.utf8.allSatisfy({ (0x41...0x5a).contains($0) }) else {
            throw FetchError.invalid("'\(method)' is not an HTTP method")
        }
        // Keeps connections, TLS sessions and resolved names.
        curl_easy_reset(handle)
        errorText.pointee = 0
        try set(apus_curl_set_pointer(handle, CURLOPT_ERRORBUFFER, errorText))
        try set(apus_curl_set_text(handle, CURLOPT_URL, url))
        try set(apus_curl_set_text(handle, CURLOPT_CUSTOMREQUEST, method == "GET" ? nil : method))
        if method == "HEAD" { try set(apus_curl_set_long(handle, CURLOPT_NOBODY, 1)) }
        try set(apus_curl_allow_protocols(handle, configuration.allowsPlainHTTP ? 1 : 0))
        try set(apus_curl_require_http11_tls12(handle))
        try set(apus_curl_set_long(handle, CURLOPT_FOLLOWLOCATION, 0))
        try set(apus_curl_set_long(handle, CURLOPT_NOSIGNAL, 1))
        try set(apus_curl_set_long(handle, CURLOPT_TCP_KEEPALIVE, 1))
        try set(apus_curl_set_long(handle, CURLOPT_CONNECTTIMEOUT, configuration.connectTimeoutSeconds))
        try set(apus_curl_set_long(handle, CURLOPT_BUFFERSIZE, 128 << 10))
        // Empty, not null: null would make libcurl read http_proxy and its like from the environment.
        try set(apus_curl_set_text(handle, CURLOPT_PROXY, configuration.proxy ?? ""))
        try setTrust()
        try setCallbacks(transfer)
    }

    private func setTrust() throws(FetchError) {
        // Debian's libcurl has a directory of system CAs compiled in.
        for option in [CURLOPT_CAINFO, CURLOPT_CAPATH, CURLOPT_PROXY_CAINFO, CURLOPT_PROXY_CAPATH] {
            try set(apus_curl_set_text(handle, option, nil))
        }
        if !configuration.caCertificates.isEmpty {
            try setBlob(CURLOPT_CAINFO_BLOB, configuration.caCertificates)
            try setBlob(CURLOPT_PROXY_CAINFO_BLOB, configuration.caCertificates)
        }
        guard let identity = configuration.identity else { return }
        try set(apus_curl_set_text(handle, CURLOPT_SSLCERTTYPE, "PEM"))
        try set(apus_curl_set_text(handle, CURLOPT_SSLKEYTYPE, "PEM"))
        try setBlob(CURLOPT_SSLCERT_BLOB, identity.certificatePEM)
        try setBlob(CURLOPT_SSLKEY_BLOB, identity.keyPEM)
    }

    private func setBlob(_ option: CURLoption, _ text: String) throws(FetchError) {
        var text = text
        try set(text.withUTF8 { apus_curl_set_blob(handle, option, $0.baseAddress, $0.count) })
    }

    private func setCallbacks(_ transfer: Transfer) throws(FetchError) {
        let context = Unmanaged.passUnretained(transfer).toOpaque()
        try set(apus_curl_set_data_callback(handle, CURLOPT_HEADERFUNCTION, Callbacks.header))
        try set(apus_curl_set_pointer(handle, CURLOPT_HEADERDATA, context))
        try set(apus_curl_set_data_callback(handle, CURLOPT_WRITEFUNCTION, Callbacks.write))
        try set(apus_curl_set_pointer(handle, CURLOPT_WRITEDATA, context))
        try set(apus_curl_set_progress_callback(handle, Callbacks.progress))
        try set(apus_curl_set_pointer(handle, CURLOPT_XFERINFODATA, context))
        try set(apus_curl_set_long(handle, CURLOPT_NOPROGRESS, 0))
    }

    // MARK: - The transfer

    private func perform(_ transfer: Transfer, headers: [HTTPHeader], url: String) throws -> HTTPResponse {
        // libcurl would wait a second for "100 Continue", which none of our servers sends.
        var list = curl_slist_append(nil, "Expect:")
        defer { curl_slist_free_all(list) }
        for header in headers {
            let line = "\(header.name): \(header.value)"
            guard line.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7f }) else {
                throw FetchError.invalid("header '\(header.name)' has a control character")
            }
            guard let longer = curl_slist_append(list, line) else { throw FetchError.invalid("out of memory") }
            list = longer
        }
        try set(apus_curl_set_list(handle, CURLOPT_HTTPHEADER, list))
        lastReply = nil
        let code = withExtendedLifetime(transfer) { curl_easy_perform(handle) }
        if transfer.status > 0 { lastReply = HTTPReplyHead(status: transfer.status, headers: transfer.headers) }
        if let thrown = transfer.thrown { throw thrown }
        if code != CURLE_OK { throw failure(code, transfer, url: url) }
        let status = transfer.status
        guard (200...299).contains(status) else { throw FetchError.status(status, transfer.apiError) }
        return HTTPResponse(status: status, headers: transfer.headers, body: transfer.body)
    }

    private func failure(_ code: CURLcode, _ transfer: Transfer, url: String) -> FetchError {
        let words = String(cString: errorText)
        let detail = words.isEmpty ? String(cString: curl_easy_strerror(code)) : words
        return switch code {
        case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY, CURLE_COULDNT_CONNECT: .unreachable(detail)
        case CURLE_PEER_FAILED_VERIFICATION: .untrusted(trustFailure(detail), detail)
        case CURLE_SSL_CONNECT_ERROR: .handshake(detail)
        case CURLE_SSL_CERTPROBLEM: .invalid("the client certificate or its key cannot be used: \(detail)")
        case CURLE_SSL_CACERT_BADFILE: .invalid("the CA certificate cannot be read: \(detail)")
        case CURLE_OPERATION_TIMEDOUT: .timeout(detail)
        case CURLE_ABORTED_BY_CALLBACK: .aborted
        case CURLE_UNSUPPORTED_PROTOCOL, CURLE_URL_MALFORMAT: .invalid("'\(url)': \(detail)")
        default: .interrupted(detail)
        }
    }

    /// OpenSSL's verdict (X509_verify_cert(3), "DIAGNOSTICS"). A wrong name is libcurl's own finding, made before it
    /// asks for that verdict: then it is still 0, or 1 as libcurl presets it.
    private func trustFailure(_ detail: String) -> TrustFailure {
        var verdict = 0
        _ = apus_curl_get_long(handle, CURLINFO_SSL_VERIFYRESULT, &verdict)
        return switch verdict {
        case 0, 1: .wrongName
        case 9: .notYetValid
        case 10: .expired
        case 2, 18, 19, 20, 21, 7, 30: .wrongAuthority
        case 62, 64: .wrongName
        default: .other
        }
    }
}
