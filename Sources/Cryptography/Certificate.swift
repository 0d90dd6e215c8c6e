internal import COpenSSL

/// An X.509 certificate (RFC 5280), read once and never changed.
public struct Certificate: Sendable {
    let handle: CertificateHandle
    /// The certificate in DER.
    public let der: [UInt8]
    /// The key that it certifies.
    public let publicKey: PublicKey
    /// The subject's common name, where it has exactly one.
    public let subjectCommonName: String?
    /// Start of its validity in seconds since 1970.
    public let notBeforeSeconds: Int64
    /// End of its validity in seconds since 1970.
    public let notAfterSeconds: Int64

    /// Reads the first certificate of a text in PEM of at most 64 KiB.
    public init(pem: String) throws(CryptographyError) {
        let bio = try MemoryBIO.reading(pem, what: "a certificate")
        guard let certificate = PEM_read_bio_X509(bio.pointer, nil, noPassPhrase, nil) else {
            throw .openSSL("not a certificate in PEM")
        }
        self = try Certificate(handle: CertificateHandle(certificate))
    }

    /// Reads a certificate in DER, without anything after it.
    public init(der: [UInt8]) throws(CryptographyError) {
        guard der.count <= CryptographyLimit.document else { throw CryptographyError("a certificate is too large") }
        let parsed: (certificate: OpaquePointer?, used: Int) = der.withUnsafeBufferPointer { buffer in
            var cursor = buffer.baseAddress
            let certificate = d2i_X509(nil, &cursor, buffer.count)
            return (certificate, buffer.baseAddress.flatMap { start in cursor.map { $0 - start } } ?? 0)
        }
        guard let certificate = parsed.certificate else { throw .openSSL("not a certificate in DER") }
        let handle = CertificateHandle(certificate)
        guard parsed.used == der.count else { throw CryptographyError("a certificate is followed by other bytes") }
        self = try Certificate(handle: handle)
    }

    init(handle: CertificateHandle) throws(CryptographyError) {
        self.handle = handle
        der = try derBytes("cannot encode a certificate") { i2d_X509(handle.pointer, $0) }
        guard let key = X509_get_pubkey(handle.pointer) else { throw .openSSL("a certificate's key cannot be read") }
        publicKey = try PublicKey(handle: KeyHandle(key))
        subjectCommonName = commonNameText(X509_get_subject_name(handle.pointer))
        notBeforeSeconds = try secondsSince1970(X509_get0_notBefore(handle.pointer))
        notAfterSeconds = try secondsSince1970(X509_get0_notAfter(handle.pointer))
    }

    /// SHA-256 of the certified key's SubjectPublicKeyInfo: 32 bytes.
    public var spkiDigest: [UInt8] { publicKey.spkiDigest }

    /// The certificate in PEM.
    public func pem() throws(CryptographyError) -> String {
        let bio = try MemoryBIO()
        guard PEM_write_bio_X509(bio.pointer, handle.pointer) == 1 else { throw .openSSL("cannot write a certificate") }
        return bio.text()
    }

    /// Whether it may sign other certificates.
    public var isAuthority: Bool { X509_check_ca(handle.pointer) == 1 }

    /// Whether its extended key usage names TLS clients (RFC 5280, section 4.2.1.12); false where it has none.
    public var isForClients: Bool { hasExtendedUsage(UInt32(XKU_SSL_CLIENT)) }

    /// Whether its extended key usage names TLS servers; false where it has none.
    public var isForServers: Bool { hasExtendedUsage(UInt32(XKU_SSL_SERVER)) }

    /// Whether `seconds` since 1970 lies within its validity.
    public func isValid(atSeconds seconds: Int64) -> Bool { (notBeforeSeconds...notAfterSeconds).contains(seconds) }

    /// Whether the issuer's name and its key's signature are on this certificate.
    public func isSigned(by issuer: Certificate) -> Bool {
        defer { CryptographyError.forget() }
        let issuerName = X509_get_subject_name(issuer.handle.pointer)
        guard X509_NAME_cmp(X509_get_issuer_name(handle.pointer), issuerName) == 0 else { return false }
        return X509_verify(handle.pointer, issuer.publicKey.handle.pointer) == 1
    }

    /// Whether its subject alternative names cover a host's name or IP address (RFC 6125).
    public func covers(host: String) -> Bool {
        defer { CryptographyError.forget() }
        guard !host.isEmpty, host.utf8.count <= 253, !host.utf8.contains(0) else { return false }
        if X509_check_ip_asc(handle.pointer, host, 0) == 1 { return true }
        return X509_check_host(handle.pointer, host, 0, UInt32(X509_CHECK_FLAG_NEVER_CHECK_SUBJECT), nil) == 1
    }

    private func hasExtendedUsage(_ bit: UInt32) -> Bool {
        // OpenSSL answers with every bit set where the extension is absent.
        let usage = X509_get_extended_key_usage(handle.pointer)
        return usage != UInt32.max && usage & bit != 0
    }
}

/// Owns an `X509`.
///
/// Sendable without checking: nothing changes a certificate after it was made, and the extensions that OpenSSL
/// caches in it are guarded by a lock of its own.
final class CertificateHandle: @unchecked Sendable {
    let pointer: OpaquePointer

    /// Takes the certificate over.
    init(_ pointer: OpaquePointer) { self.pointer = pointer }

    deinit { X509_free(pointer) }
}

/// A time of a certificate in seconds since 1970.
func secondsSince1970(_ time: UnsafePointer<ASN1_TIME>?) throws(CryptographyError) -> Int64 {
    guard let time, let epoch = ASN1_TIME_set(nil, 0) else { throw .openSSL("a certificate has no validity") }
    defer { ASN1_TIME_free(epoch) }
    var days: Int32 = 0
    var seconds: Int32 = 0
    guard ASN1_TIME_diff(&days, &seconds, epoch, time) == 1 else {
        throw .openSSL("a certificate's validity cannot be read")
    }
    return Int64(days) * 86_400 + Int64(seconds)
}
