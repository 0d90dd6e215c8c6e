internal import COpenSSL

/// A PKCS #10 certificate request (RFC 2986) whose sender has proven that it holds the private key.
public struct CertificateRequest: Sendable {
    /// The key that the certificate is to carry: Ed25519 or P-256.
    public let publicKey: PublicKey
    /// The common name that was asked for, at most 64 characters; the issuer need not grant it.
    public let commonName: String?

    /// Reads a request in PEM of at most 64 KiB, and checks its signature.
    public init(pem: String) throws(CryptographyError) {
        let bio = try MemoryBIO.reading(pem, what: "a certificate request")
        guard let request = PEM_read_bio_X509_REQ(bio.pointer, nil, noPassPhrase, nil) else {
            throw .openSSL("not a certificate request in PEM")
        }
        defer { X509_REQ_free(request) }
        guard let key = X509_REQ_get_pubkey(request) else {
            throw .openSSL("the certificate request has no key that can be read")
        }
        let handle = KeyHandle(key)
        let publicKey = try PublicKey(handle: handle)
        guard publicKey.kind != .other else {
            throw CryptographyError("the certificate request's key is neither Ed25519 nor on curve P-256")
        }
        guard X509_REQ_verify(request, handle.pointer) == 1 else {
            throw .openSSL("the certificate request is not signed with its own key")
        }
        self.publicKey = publicKey
        commonName = commonNameText(X509_REQ_get_subject_name(request))
    }

    /// Makes a request in PEM, signed with `key`.
    public static func make(key: P256PrivateKey, commonName: String) throws(CryptographyError) -> String {
        guard let request = X509_REQ_new() else { throw .openSSL("cannot allocate memory") }
        defer { X509_REQ_free(request) }
        try setCommonName(commonName, in: X509_REQ_get_subject_name(request))
        guard X509_REQ_set_version(request, 0) == 1, X509_REQ_set_pubkey(request, key.handle.pointer) == 1,
            X509_REQ_sign(request, key.handle.pointer, EVP_sha256()) > 0
        else { throw .openSSL("cannot make a certificate request") }
        let bio = try MemoryBIO()
        guard PEM_write_bio_X509_REQ(bio.pointer, request) == 1 else {
            throw .openSSL("cannot write a certificate request")
        }
        return bio.text()
    }
}

/// The subject's only common name; nil where there is none, or more than one, or one that is not plain UTF-8 text.
func commonNameText(_ name: OpaquePointer?) -> String? {
    guard let name else { return nil }
    let first = X509_NAME_get_index_by_NID(name, NID_commonName, -1)
    guard first >= 0, X509_NAME_get_index_by_NID(name, NID_commonName, first) == -1 else { return nil }
    var start: UnsafeMutablePointer<UInt8>?
    let count = ASN1_STRING_to_UTF8(&start, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, first)))
    guard count >= 0, let start else {
        CryptographyError.forget()
        return nil
    }
    defer { apus_openssl_free(start) }
    let bytes = UnsafeBufferPointer(start: start, count: Int(count))
    guard bytes.count <= 64, bytes.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else { return nil }
    return String(validating: bytes, as: UTF8.self)
}

/// Sets a common name of 1 to 64 characters (RFC 5280, appendix A.1, `ub-common-name`).
func setCommonName(_ text: String, in name: OpaquePointer?) throws(CryptographyError) {
    let bytes = Array(text.utf8)
    guard (1...64).contains(bytes.count), bytes.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else {
        throw CryptographyError("a common name has 1 to 64 printable characters")
    }
    guard X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, bytes, Int32(bytes.count), -1, 0) == 1 else {
        throw .openSSL("cannot set the common name")
    }
}
