internal import COpenSSL

/// SHA-256 (FIPS 180-4) of bytes that are at hand.
public enum SHA256 {
    /// The 32 bytes of the digest.
    public static func digest(_ bytes: some Sequence<UInt8>) -> [UInt8] {
        let direct = bytes.withContiguousStorageIfAvailable { digest(UnsafeRawBufferPointer($0)) }
        if let direct { return direct }
        return Array(bytes).withUnsafeBytes { digest($0) }
    }

    /// The 32 bytes of the digest.
    public static func digest(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
        var hasher = SHA256Hasher()
        hasher.update(bytes)
        return hasher.finish()
    }
}

/// SHA-256 (FIPS 180-4) of bytes that come in pieces.
public struct SHA256Hasher: ~Copyable {
    private let context: DigestContext

    /// Starts an empty digest.
    public init() {
        context = DigestContext()
        context.start()
    }

    /// Appends bytes.
    public mutating func update(_ bytes: UnsafeRawBufferPointer) { context.update(bytes) }

    /// Appends bytes.
    public mutating func update(_ bytes: some Sequence<UInt8>) {
        let context = context
        let done: Void? = bytes.withContiguousStorageIfAvailable { context.update(UnsafeRawBufferPointer($0)) }
        if done == nil { Array(bytes).withUnsafeBytes { context.update($0) } }
    }

    /// The 32 bytes of the digest of all that was appended; starts anew.
    public mutating func finish() -> [UInt8] {
        let digest = [UInt8](unsafeUninitializedCapacity: 32) { buffer, count in
            context.finish(into: UnsafeMutableRawBufferPointer(buffer))
            count = 32
        }
        context.start()
        return digest
    }
}

/// SHA-256 of `salt ‖ block`, block after block, as dm-verity's hash type 1 wants it
/// (Linux Documentation/admin-guide/device-mapper/verity.rst).
///
/// One context serves all blocks: initialising is a reset, nothing is looked up or allocated for a block.
public struct SaltedBlockHasher: ~Copyable {
    private let context: DigestContext
    private let salt: [UInt8]

    /// Takes the salt, which may be empty.
    public init(salt: [UInt8]) {
        context = DigestContext()
        self.salt = salt
    }

    /// Writes the 32 bytes of the block's digest into `digest`, which has room for at least that many.
    public mutating func hash(_ block: UnsafeRawBufferPointer, into digest: UnsafeMutableRawBufferPointer) {
        context.start()
        salt.withUnsafeBytes { context.update($0) }
        context.update(block)
        context.finish(into: digest)
    }

    /// The 32 bytes of the block's digest.
    public mutating func hash(_ block: UnsafeRawBufferPointer) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: 32)
        digest.withUnsafeMutableBytes { hash(block, into: $0) }
        return digest
    }

    /// The 32 bytes of the block's digest.
    public mutating func hash(_ block: [UInt8]) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: 32)
        digest.withUnsafeMutableBytes { digest in block.withUnsafeBytes { hash($0, into: digest) } }
        return digest
    }
}

/// Owns an `EVP_MD_CTX` for SHA-256.
///
/// Its calls fail only where memory or OpenSSL's own providers are missing. Nothing can be verified then, and an
/// answer that is not a digest must not be given, so they stop the program.
final class DigestContext {
    private let context: OpaquePointer
    private let algorithm: OpaquePointer

    init() {
        guard let context = EVP_MD_CTX_new(), let algorithm = EVP_MD_fetch(nil, "SHA256", nil) else {
            preconditionFailure("OpenSSL has no SHA-256: check its configuration file and providers")
        }
        self.context = context
        self.algorithm = algorithm
    }

    deinit {
        EVP_MD_CTX_free(context)
        EVP_MD_free(algorithm)
    }

    func start() {
        precondition(EVP_DigestInit_ex2(context, algorithm, nil) == 1, "OpenSSL cannot start SHA-256")
    }

    func update(_ bytes: UnsafeRawBufferPointer) {
        guard let start = bytes.baseAddress, bytes.count > 0 else { return }
        precondition(EVP_DigestUpdate(context, start, bytes.count) == 1, "OpenSSL cannot continue SHA-256")
    }

    func finish(into digest: UnsafeMutableRawBufferPointer) {
        precondition(digest.count >= 32, "a SHA-256 digest has 32 bytes")
        let start = digest.baseAddress?.assumingMemoryBound(to: UInt8.self)
        precondition(EVP_DigestFinal_ex(context, start, nil) == 1, "OpenSSL cannot finish SHA-256")
    }
}
