public import Contract
internal import Cryptography

/// A document with detached signatures in the form of The Update Framework (specification 1.0.34, section 4.2.1):
/// `{"signed": …, "signatures": [{"keyid": …, "sig": …}]}`.
public struct SignedEnvelope: Sendable, Equatable {
    /// What was signed. Nothing in it may be believed before `verify` returned.
    public let signed: JSONValue
    /// The signatures, as they stand.
    public let signatures: [Signature]

    /// One signature.
    public struct Signature: Sendable, Equatable {
        /// The signing key's TUF key id.
        public let keyID: Digest256
        /// The signature's bytes.
        public let bytes: [UInt8]
    }

    private static let maximumSignatures = 64

    /// Parses an envelope of at most `limit` bytes.
    ///
    /// Members of the envelope that are not known are left aside, as TUF asks; what is not signed decides nothing.
    public init(parsing bytes: [UInt8], limit: Int = WireLimit.manifest) throws(ReleaseError) {
        let document = try JSONValue(parsing: bytes, limit: limit)
        guard case .object? = document["signed"], let signed = document["signed"] else {
            throw ReleaseError("the envelope has no object 'signed'")
        }
        guard case .array(let entries)? = document["signatures"] else {
            throw ReleaseError("the envelope has no array 'signatures'")
        }
        guard entries.count <= Self.maximumSignatures else {
            throw ReleaseError("the envelope has \(entries.count) signatures, more than \(Self.maximumSignatures)")
        }
        self.signed = signed
        var signatures: [Signature] = []
        for entry in entries { signatures.append(try Self.signature(entry)) }
        self.signatures = signatures
    }

    /// Signs a document with each of the keys.
    public init(signing signed: JSONValue, with keys: [SigningKey]) throws(ReleaseError) {
        guard case .object = signed else { throw ReleaseError("only an object can be signed") }
        let message = signed.canonical
        self.signed = signed
        var signatures: [Signature] = []
        for key in keys {
            signatures.append(Signature(keyID: try key.releaseKey().keyID, bytes: try key.sign(message)))
        }
        self.signatures = signatures
    }

    /// The bytes that the signatures are over.
    public var canonicalSigned: [UInt8] { signed.canonical }

    /// SHA-256 of `canonicalSigned`: a release's name.
    public var name: Digest256 { Digest256(hashing: canonicalSigned) }

    /// The envelope as JSON.
    public var encoded: [UInt8] {
        let entries = signatures.map { signature in
            JSONValue.object([
                "keyid": .string(signature.keyID.description), "sig": .string(signature.bytes.lowercaseHex),
            ])
        }
        return JSONValue.object(["signed": signed, "signatures": .array(entries)]).encoded
    }

    /// Returns when at least `threshold` of `keys` have signed, each counted once however often and under however
    /// many ids it stands there; throws otherwise.
    ///
    /// Signatures by keys that are not listed are left aside (TUF specification 1.0.34, section 4.2.1).
    public func verify(keys: [ReleaseKey], threshold: Int) throws(ReleaseError) {
        guard threshold >= 1 else { throw ReleaseError("a signature threshold must be at least 1") }
        guard keys.count <= Self.maximumSignatures else {
            throw ReleaseError("more than \(Self.maximumSignatures) keys are trusted")
        }
        let message = canonicalSigned
        var valid: Set<[UInt8]> = []
        for key in keys {
            let publicKey = try key.publicKey()
            let keyID = key.keyID
            for signature in signatures where signature.keyID == keyID {
                if publicKey.isValid(signature: signature.bytes, of: message) {
                    valid.insert(publicKey.subjectPublicKeyInfo)
                }
            }
        }
        guard valid.count >= threshold else {
            throw ReleaseError(
                "\(valid.count) of the \(threshold) signatures that are needed are valid; "
                    + "the document is not signed by keys that are trusted here")
        }
    }

    private static func signature(_ entry: JSONValue) throws(ReleaseError) -> Signature {
        guard case .string(let keyID)? = entry["keyid"], let keyID = Digest256(hex: keyID),
            case .string(let text)? = entry["sig"], text.utf8.count <= 1024,
            let bytes = [UInt8](lowercaseHex: text)
        else { throw ReleaseError("a signature is not a 'keyid' and a 'sig' in lower-case hexadecimal digits") }
        return Signature(keyID: keyID, bytes: bytes)
    }
}
