import CZstd

/// Decompresses zstd frames (RFC 8878) into memory of a known size, never beyond it.
final class Decompressor {
    private let context: OpaquePointer

    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    init() throws {
        guard let context = ZSTD_createDCtx() else { throw Failure(description: "no memory for decompression") }
        self.context = context
    }

    deinit { ZSTD_freeDCtx(context) }

    /// Fills `plain` exactly; throws where the frame holds less, more or nonsense.
    func decompress(_ compressed: UnsafeRawBufferPointer, into plain: UnsafeMutableRawBufferPointer) throws {
        let result = ZSTD_decompressDCtx(
            context, plain.baseAddress, plain.count, compressed.baseAddress, compressed.count)
        if ZSTD_isError(result) != 0 { throw Failure(description: String(cString: ZSTD_getErrorName(result))) }
        guard result == plain.count else {
            throw Failure(description: "it holds \(result) bytes where \(plain.count) are named")
        }
    }
}
