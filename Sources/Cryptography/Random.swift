internal import COpenSSL

/// Bytes from the operating system's random source through OpenSSL's generator (`RAND_bytes`(3)).
///
/// It throws where the source fails, so that no key is ever made of anything else.
public func randomBytes(_ count: Int) throws(CryptographyError) -> [UInt8] {
    guard count >= 0, count <= 1 << 20 else {
        throw CryptographyError("cannot make \(count) random bytes: ask for 0 to 1048576")
    }
    var bytes = [UInt8](repeating: 0, count: count)
    let made = bytes.withUnsafeMutableBufferPointer { RAND_bytes($0.baseAddress, Int32($0.count)) }
    guard count == 0 || made == 1 else { throw .openSSL("cannot make random bytes") }
    return bytes
}

/// Whether two secrets are equal, in a time that depends on their lengths only (`CRYPTO_memcmp`(3)).
public func constantTimeEqual(_ left: some Sequence<UInt8>, _ right: some Sequence<UInt8>) -> Bool {
    let left = Array(left)
    let right = Array(right)
    guard left.count == right.count else { return false }
    return left.isEmpty || CRYPTO_memcmp(left, right, left.count) == 0
}
