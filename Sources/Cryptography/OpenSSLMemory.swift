internal import COpenSSL

/// Owns a `BIO`: OpenSSL's reader and writer of memory.
struct MemoryBIO: ~Copyable {
    let pointer: OpaquePointer

    /// An empty BIO to write to.
    init() throws(CryptographyError) {
        guard let pointer = BIO_new(BIO_s_mem()) else { throw .openSSL("cannot allocate memory") }
        self.pointer = pointer
    }

    /// A BIO that reads a copy of `text`, which is bounded here.
    static func reading(_ text: String, what: String) throws(CryptographyError) -> MemoryBIO {
        let bytes = Array(text.utf8)
        guard bytes.count <= CryptographyLimit.document else {
            throw CryptographyError("\(what) of \(bytes.count) bytes is larger than \(CryptographyLimit.document)")
        }
        let bio = try MemoryBIO()
        guard bytes.isEmpty || BIO_write(bio.pointer, bytes, Int32(bytes.count)) == Int32(bytes.count) else {
            throw .openSSL("cannot read \(what)")
        }
        return bio
    }

    deinit { BIO_free(pointer) }

    /// What was written to it.
    func text() -> String {
        var start: UnsafeMutablePointer<CChar>?
        let count = apus_bio_bytes(pointer, &start)
        guard let start, count > 0 else { return "" }
        return String(decoding: UnsafeRawBufferPointer(start: start, count: count), as: UTF8.self)
    }
}

/// Refuses every pass phrase, so that OpenSSL never asks for one on the terminal.
let noPassPhrase: @convention(c) (UnsafeMutablePointer<CChar>?, Int32, Int32, UnsafeMutableRawPointer?) -> Int32 = {
    _, _, _, _ in -1
}

/// Runs an `i2d` function that allocates its result, and takes the bytes over.
func derBytes(
    _ attempt: String, _ encode: (UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>) -> Int32
) throws(CryptographyError) -> [UInt8] {
    var start: UnsafeMutablePointer<UInt8>?
    let count = encode(&start)
    guard count > 0, let start else { throw .openSSL(attempt) }
    defer { apus_openssl_free(start) }
    return Array(UnsafeBufferPointer(start: start, count: Int(count)))
}
