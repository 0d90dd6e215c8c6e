internal import COpenSSL

/// Owns an `EVP_PKEY`.
///
/// Sendable without checking: nothing here changes a key after it was made, and OpenSSL lets several threads use one
/// that is not changed (openssl-threads(7)).
final class KeyHandle: @unchecked Sendable {
    let pointer: OpaquePointer

    /// Takes the key over.
    init(_ pointer: OpaquePointer) { self.pointer = pointer }

    deinit { EVP_PKEY_free(pointer) }

    /// What kind of key it is.
    var kind: PublicKey.Kind {
        if EVP_PKEY_is_a(pointer, "ED25519") == 1 { return .ed25519 }
        guard EVP_PKEY_is_a(pointer, "EC") == 1 else { return .other }
        var name = [CChar](repeating: 0, count: 64)
        var length = 0
        guard EVP_PKEY_get_group_name(pointer, &name, name.count, &length) == 1 else {
            CryptographyError.forget()
            return .other
        }
        let text = String(decoding: name.prefix(length).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return text == "prime256v1" || text == "P-256" ? .p256 : .other
    }

    /// Generates a key of OpenSSL's algorithm `name`, on an elliptic curve where one is given.
    static func generate(_ name: String, curve: String?) throws(CryptographyError) -> KeyHandle {
        guard let context = EVP_PKEY_CTX_new_from_name(nil, name, nil) else {
            throw .openSSL("cannot make a key of type \(name)")
        }
        defer { EVP_PKEY_CTX_free(context) }
        guard EVP_PKEY_keygen_init(context) == 1 else { throw .openSSL("cannot make a key of type \(name)") }
        if let curve, EVP_PKEY_CTX_set_group_name(context, curve) != 1 {
            throw .openSSL("cannot make a key on curve \(curve)")
        }
        var key: OpaquePointer?
        guard EVP_PKEY_generate(context, &key) == 1, let key else { throw .openSSL("cannot make a key") }
        return KeyHandle(key)
    }

    /// Reads an unencrypted private key in PEM (RFC 7468; PKCS #8 or the older forms).
    static func privateKey(pem: String) throws(CryptographyError) -> KeyHandle {
        let bio = try MemoryBIO.reading(pem, what: "a private key")
        guard let key = PEM_read_bio_PrivateKey(bio.pointer, nil, noPassPhrase, nil) else {
            throw .openSSL("not an unencrypted private key in PEM")
        }
        return KeyHandle(key)
    }

    /// The private key in PKCS #8 PEM (RFC 5958).
    func privatePEM() throws(CryptographyError) -> String {
        let bio = try MemoryBIO()
        guard PEM_write_bio_PKCS8PrivateKey(bio.pointer, pointer, nil, nil, 0, nil, nil) == 1 else {
            throw .openSSL("cannot write the private key")
        }
        return bio.text()
    }

    /// Signs with the digest named, or with none for Ed25519.
    func sign(_ message: [UInt8], digest: String?) throws(CryptographyError) -> [UInt8] {
        guard let context = EVP_MD_CTX_new() else { throw .openSSL("cannot allocate memory") }
        defer { EVP_MD_CTX_free(context) }
        guard EVP_DigestSignInit_ex(context, nil, digest, nil, nil, pointer, nil) == 1 else {
            throw .openSSL("cannot sign")
        }
        var count = 0
        guard EVP_DigestSign(context, nil, &count, message, message.count) == 1 else { throw .openSSL("cannot sign") }
        var signature = [UInt8](repeating: 0, count: count)
        guard EVP_DigestSign(context, &signature, &count, message, message.count) == 1 else {
            throw .openSSL("cannot sign")
        }
        return Array(signature.prefix(count))
    }

    /// Whether the signature is this key's; false for whatever is not even a signature.
    func verify(_ signature: [UInt8], of message: [UInt8], digest: String?) -> Bool {
        guard !signature.isEmpty, let context = EVP_MD_CTX_new() else { return false }
        defer {
            EVP_MD_CTX_free(context)
            CryptographyError.forget()
        }
        guard EVP_DigestVerifyInit_ex(context, nil, digest, nil, nil, pointer, nil) == 1 else { return false }
        return EVP_DigestVerify(context, signature, signature.count, message, message.count) == 1
    }
}
