public import Contract
public import Cryptography

extension ReleaseKey {
    /// A key for an Ed25519 public key.
    public init(ed25519 key: PublicKey) throws(ReleaseError) {
        guard let bytes = key.ed25519Bytes else { throw ReleaseError("the key is not an Ed25519 key") }
        self.init(keytype: "ed25519", scheme: "ed25519", public: bytes.lowercaseHex)
    }

    /// A key for a P-256 public key, such as the server's CA, which signs plans.
    public init(p256 key: PublicKey) throws(ReleaseError) {
        guard key.kind == .p256 else { throw ReleaseError("the key is not on curve P-256") }
        do {
            self.init(keytype: "ecdsa", scheme: "ecdsa-sha2-nistp256", public: try key.pem())
        } catch {
            throw ReleaseError(error.description)
        }
    }

    /// TUF's key id: SHA-256 of the canonical JSON of the key object (TUF specification 1.0.34, section 4.2).
    public var keyID: Digest256 {
        let object: JSONValue = .object([
            "keytype": .string(keytype), "scheme": .string(scheme),
            "keyval": .object(["public": .string(keyval.public)]),
        ])
        return Digest256(hashing: object.canonical)
    }

    /// The key itself.
    ///
    /// - Throws: where the type, the scheme and the value do not fit together.
    public func publicKey() throws(ReleaseError) -> PublicKey {
        do {
            switch (keytype, scheme) {
            case ("ed25519", "ed25519"):
                guard let bytes = [UInt8](lowercaseHex: keyval.public), bytes.count == 32 else {
                    throw CryptographyError("an Ed25519 public key is 64 lower-case hexadecimal digits")
                }
                return try PublicKey(ed25519: bytes)
            case ("ecdsa", "ecdsa-sha2-nistp256"):
                let key = try PublicKey(pem: keyval.public)
                guard key.kind == .p256 else { throw CryptographyError("the key is not on curve P-256") }
                return key
            default:
                throw CryptographyError(
                    "keys of type '\(keytype.prefix(32))' with scheme '\(scheme.prefix(32))' are not supported")
            }
        } catch {
            throw ReleaseError("a release key cannot be used: \((error as? CryptographyError)?.description ?? "")")
        }
    }
}

/// A private key that signs envelopes.
public enum SigningKey: Sendable {
    /// Signs releases.
    case ed25519(Ed25519PrivateKey)
    /// Signs plans: the CA's key.
    case p256(P256PrivateKey)

    /// The public half in TUF's form.
    public func releaseKey() throws(ReleaseError) -> ReleaseKey {
        switch self {
        case .ed25519(let key): try ReleaseKey(ed25519: key.publicKey)
        case .p256(let key): try ReleaseKey(p256: key.publicKey)
        }
    }

    func sign(_ message: [UInt8]) throws(ReleaseError) -> [UInt8] {
        do {
            switch self {
            case .ed25519(let key): return try key.sign(message)
            case .p256(let key): return try key.sign(message)
            }
        } catch {
            throw ReleaseError("cannot sign: \(error)")
        }
    }
}
