internal import COpenSSL

/// A certificate in the making: version 3, a random serial number, subject, key and validity are set at once.
struct CertificateDraft {
    private let handle: CertificateHandle
    private var issuer: Certificate?

    private var pointer: OpaquePointer { handle.pointer }

    init(
        commonName: String, key: PublicKey, notBeforeSeconds: Int64, notAfterSeconds: Int64
    ) throws(CryptographyError) {
        // 9999-12-31T23:59:59Z is the last time that a certificate can name (RFC 5280, section 4.1.2.5).
        guard notBeforeSeconds >= 0, notBeforeSeconds < notAfterSeconds, notAfterSeconds <= 253_402_300_799 else {
            throw CryptographyError("a certificate's validity must start before it ends, between 1970 and 9999")
        }
        guard let pointer = X509_new() else { throw .openSSL("cannot allocate memory") }
        handle = CertificateHandle(pointer)
        guard X509_set_version(pointer, 2) == 1, X509_set_pubkey(pointer, key.handle.pointer) == 1,
            ASN1_TIME_set(X509_getm_notBefore(pointer), time_t(notBeforeSeconds)) != nil,
            ASN1_TIME_set(X509_getm_notAfter(pointer), time_t(notAfterSeconds)) != nil
        else { throw .openSSL("cannot make a certificate") }
        try setCommonName(commonName, in: X509_get_subject_name(pointer))
        try setSerial()
        try add(NID_subject_key_identifier, "hash")
    }

    /// Sets the issuer; nil makes the certificate its own.
    mutating func setIssuer(_ issuer: Certificate?) throws(CryptographyError) {
        self.issuer = issuer
        let name = X509_get_subject_name(issuer?.handle.pointer ?? pointer)
        guard X509_set_issuer_name(pointer, name) == 1 else { throw .openSSL("cannot set the issuer") }
    }

    /// Adds an extension in the syntax of x509v3_config(5).
    func add(_ identifier: Int32, _ value: String) throws(CryptographyError) {
        var context = X509V3_CTX()
        X509V3_set_ctx(&context, issuer?.handle.pointer ?? pointer, pointer, nil, nil, 0)
        guard let made = X509V3_EXT_conf_nid(nil, &context, identifier, value) else {
            throw .openSSL("cannot make the certificate extension '\(value.prefix(80))'")
        }
        defer { X509_EXTENSION_free(made) }
        guard X509_add_ext(pointer, made, -1) == 1 else { throw .openSSL("cannot add a certificate extension") }
    }

    /// Signs with ECDSA over SHA-256.
    func sign(with key: P256PrivateKey) throws(CryptographyError) -> Certificate {
        guard X509_sign(pointer, key.handle.pointer, EVP_sha256()) > 0 else { throw .openSSL("cannot sign") }
        return try Certificate(der: try derBytes("cannot encode a certificate") { i2d_X509(pointer, $0) })
    }

    /// 127 random bits: unique without a counter that a restored backup would set back (RFC 5280, section 4.1.2.2).
    private func setSerial() throws(CryptographyError) {
        var bytes = try randomBytes(16)
        bytes[0] = bytes[0] & 0x7F | 0x40
        guard let number = BN_bin2bn(bytes, Int32(bytes.count), nil) else { throw .openSSL("cannot make a number") }
        defer { BN_free(number) }
        guard BN_to_ASN1_INTEGER(number, X509_get_serialNumber(pointer)) != nil else {
            throw .openSSL("cannot set the serial number")
        }
    }
}
