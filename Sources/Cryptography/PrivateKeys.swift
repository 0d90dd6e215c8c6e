/// An Ed25519 private key (RFC 8032): signs releases.
public struct Ed25519PrivateKey: Sendable {
    /// The public half.
    public let publicKey: PublicKey
    let handle: KeyHandle

    /// Generates a key.
    public init() throws(CryptographyError) {
        try self.init(handle: try KeyHandle.generate("ED25519", curve: nil))
    }

    /// Reads a key in unencrypted PKCS #8 PEM (RFC 8410).
    public init(pem: String) throws(CryptographyError) {
        try self.init(handle: try KeyHandle.privateKey(pem: pem))
    }

    private init(handle: KeyHandle) throws(CryptographyError) {
        guard handle.kind == .ed25519 else { throw CryptographyError("the private key is not an Ed25519 key") }
        self.handle = handle
        publicKey = try PublicKey(handle: handle)
    }

    /// The key in PKCS #8 PEM: a secret, for a file that only its owner reads.
    public func pem() throws(CryptographyError) -> String { try handle.privatePEM() }

    /// The 64 bytes of the signature over `message`.
    public func sign(_ message: [UInt8]) throws(CryptographyError) -> [UInt8] {
        try handle.sign(message, digest: nil)
    }
}

/// An ECDSA private key on NIST's curve P-256: certificates, their requests, and the server's plans.
public struct P256PrivateKey: Sendable {
    /// The public half.
    public let publicKey: PublicKey
    let handle: KeyHandle

    /// Generates a key.
    public init() throws(CryptographyError) {
        try self.init(handle: try KeyHandle.generate("EC", curve: "P-256"))
    }

    /// Reads a key in unencrypted PEM: PKCS #8 or SEC 1.
    public init(pem: String) throws(CryptographyError) {
        try self.init(handle: try KeyHandle.privateKey(pem: pem))
    }

    private init(handle: KeyHandle) throws(CryptographyError) {
        guard handle.kind == .p256 else { throw CryptographyError("the private key is not an EC key on curve P-256") }
        self.handle = handle
        publicKey = try PublicKey(handle: handle)
    }

    /// The key in PKCS #8 PEM: a secret, for a file that only its owner reads.
    public func pem() throws(CryptographyError) -> String { try handle.privatePEM() }

    /// The signature over SHA-256 of `message`, in DER (RFC 3279, section 2.2.3).
    public func sign(_ message: [UInt8]) throws(CryptographyError) -> [UInt8] {
        try handle.sign(message, digest: "SHA256")
    }
}
