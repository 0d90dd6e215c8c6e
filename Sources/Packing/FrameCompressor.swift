internal import CZstd
internal import Contract
internal import Glibc
internal import Release

/// Compresses frames with zstd (RFC 8878), each for itself: the same bytes and level give the same frame.
struct FrameCompressor: Sendable {
    /// zstd's level, 1 to 22.
    let level: Int
    /// Where frames are kept by what they hold, so that the next version compresses only what is new.
    let cacheDirectory: String?

    /// The compressed frame.
    func compress(_ plain: [UInt8]) throws(PackingError) -> [UInt8] {
        guard let cacheDirectory else { return try compressAnew(plain) }
        let name = "\(Digest256(hashing: plain))-\(level)-\(ZSTD_versionNumber())"
        let folder = "\(cacheDirectory)/\(name.prefix(2))"
        let path = "\(folder)/\(name).zst"
        if let kept = try? Files.read(path, limit: FrameLimit.compressedBytes(forPlain: plain.count)),
            (try? Self.decompress(kept, plainBytes: plain.count)) == plain
        {
            return kept
        }
        let frame = try compressAnew(plain)
        try Files.makeDirectory(folder)
        let partial = "\(path).\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
        try Files.write(frame, to: partial)
        guard rename(partial, path) == 0 else { throw .system("cannot keep the frame '\(path)'") }
        return frame
    }

    private func compressAnew(_ plain: [UInt8]) throws(PackingError) -> [UInt8] {
        guard let context = ZSTD_createCCtx() else { throw PackingError("zstd has no memory") }
        defer { ZSTD_freeCCtx(context) }
        ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, Int32(level))
        var result = 0
        let frame = [UInt8](unsafeUninitializedCapacity: ZSTD_compressBound(plain.count)) { buffer, count in
            result = ZSTD_compress2(context, buffer.baseAddress, buffer.count, plain, plain.count)
            count = ZSTD_isError(result) == 0 ? result : 0
        }
        guard ZSTD_isError(result) == 0 else {
            throw PackingError("zstd cannot compress: \(String(cString: ZSTD_getErrorName(result)))")
        }
        return frame
    }

    /// The plain bytes of a frame, which must be exactly `plainBytes`.
    static func decompress(_ frame: [UInt8], plainBytes: Int) throws(PackingError) -> [UInt8] {
        var result = 0
        let plain = [UInt8](unsafeUninitializedCapacity: plainBytes) { buffer, count in
            result = ZSTD_decompress(buffer.baseAddress, plainBytes, frame, frame.count)
            count = ZSTD_isError(result) == 0 ? result : 0
        }
        guard ZSTD_isError(result) == 0, plain.count == plainBytes else {
            throw PackingError("a frame does not hold the \(plainBytes) bytes that it should")
        }
        return plain
    }
}
