internal import COpenSSL

/// A public key, from its SubjectPublicKeyInfo (RFC 5280, section 4.1.2.7).
public struct PublicKey: Sendable, Equatable {
    /// The kinds of key that this module tells apart.
    public enum Kind: Sendable, Equatable {
        /// Ed25519 (RFC 8032).
        case ed25519
        /// ECDSA on NIST's curve P-256 (FIPS 186-5).
        case p256
        /// Anything else that OpenSSL reads, such as an RSA key of a site's own CA.
        case other
    }

    /// The kind of key.
    public let kind: Kind
    /// SubjectPublicKeyInfo in DER.
    public let subjectPublicKeyInfo: [UInt8]
    let handle: KeyHandle

    /// Reads a key in PEM (`BEGIN PUBLIC KEY`).
    public init(pem: String) throws(CryptographyError) {
        let bio = try MemoryBIO.reading(pem, what: "a public key")
        guard let key = PEM_read_bio_PUBKEY(bio.pointer, nil, noPassPhrase, nil) else {
            throw .openSSL("not a public key in PEM")
        }
        self = try PublicKey(handle: KeyHandle(key))
    }

    /// Reads a SubjectPublicKeyInfo in DER, without anything after it.
    public init(subjectPublicKeyInfo der: [UInt8]) throws(CryptographyError) {
        guard der.count <= CryptographyLimit.document else { throw CryptographyError("a public key is too large") }
        let parsed: (key: OpaquePointer?, used: Int) = der.withUnsafeBufferPointer { buffer in
            var cursor = buffer.baseAddress
            let key = d2i_PUBKEY(nil, &cursor, buffer.count)
            return (key, buffer.baseAddress.flatMap { start in cursor.map { $0 - start } } ?? 0)
        }
        guard let key = parsed.key else { throw .openSSL("not a public key in DER") }
        let handle = KeyHandle(key)
        guard parsed.used == der.count else { throw CryptographyError("a public key is followed by other bytes") }
        self = try PublicKey(handle: handle)
    }

    /// Takes the 32 bytes of an Ed25519 public key (RFC 8032, section 5.1.5).
    public init(ed25519 bytes: [UInt8]) throws(CryptographyError) {
        guard bytes.count == 32 else {
            throw CryptographyError("an Ed25519 public key has 32 bytes, not \(bytes.count)")
        }
        guard let key = EVP_PKEY_new_raw_public_key_ex(nil, "ED25519", nil, bytes, bytes.count) else {
            throw .openSSL("not an Ed25519 public key")
        }
        self = try PublicKey(handle: KeyHandle(key))
    }

    init(handle: KeyHandle) throws(CryptographyError) {
        self.handle = handle
        kind = handle.kind
        subjectPublicKeyInfo = try derBytes("cannot encode a public key") { i2d_PUBKEY(handle.pointer, $0) }
    }

    /// SHA-256 of the SubjectPublicKeyInfo: 32 bytes.
    public var spkiDigest: [UInt8] { SHA256.digest(subjectPublicKeyInfo) }

    /// The key in PEM.
    public func pem() throws(CryptographyError) -> String {
        let bio = try MemoryBIO()
        guard PEM_write_bio_PUBKEY(bio.pointer, handle.pointer) == 1 else {
            throw .openSSL("cannot write a public key")
        }
        return bio.text()
    }

    /// The 32 bytes of an Ed25519 key; nil for another kind.
    public var ed25519Bytes: [UInt8]? {
        guard kind == .ed25519 else { return nil }
        var bytes = [UInt8](repeating: 0, count: 32)
        var count = bytes.count
        guard EVP_PKEY_get_raw_public_key(handle.pointer, &bytes, &count) == 1, count == 32 else { return nil }
        return bytes
    }

    /// Whether `signature` is this key's over `message`: pure Ed25519, or ECDSA in DER over SHA-256.
    public func isValid(signature: [UInt8], of message: [UInt8]) -> Bool {
        switch kind {
        case .ed25519: handle.verify(signature, of: message, digest: nil)
        case .p256, .other: handle.verify(signature, of: message, digest: "SHA256")
        }
    }

    /// Keys are equal where their SubjectPublicKeyInfo is.
    public static func == (left: PublicKey, right: PublicKey) -> Bool {
        left.subjectPublicKeyInfo == right.subjectPublicKeyInfo
    }
}
