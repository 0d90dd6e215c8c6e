/// The bytes of a simulated disk, as a value: pages that hold nothing but zeros are not stored, copies share what is
/// equal, and a digest of all of it is kept up to date.
public struct DiskImage: Sendable, Equatable {
    /// Bytes of a page.
    static let pageBytes = 4096

    /// The size in bytes.
    public let sizeBytes: UInt64
    private var pages: [UInt64: [UInt8]] = [:]
    /// Equal for equal contents, within one process.
    public private(set) var digest = 0

    /// Makes a disk of zeros.
    public init(sizeBytes: UInt64) { self.sizeBytes = sizeBytes }

    /// Compares contents; the digest decides in nearly all cases.
    public static func == (left: DiskImage, right: DiskImage) -> Bool {
        left.digest == right.digest && left.sizeBytes == right.sizeBytes && left.pages == right.pages
    }

    /// Copies bytes out.
    public func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) {
        let size = UInt64(Self.pageBytes)
        var done = 0
        while done < buffer.count {
            let position = offset + UInt64(done)
            let within = Int(position % size)
            let count = min(Self.pageBytes - within, buffer.count - done)
            let piece = UnsafeMutableRawBufferPointer(rebasing: buffer[done..<done + count])
            if let page = pages[position / size] {
                page.withUnsafeBytes {
                    piece.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[within..<within + count]))
                }
            } else {
                piece.initializeMemory(as: UInt8.self, repeating: 0)
            }
            done += count
        }
    }

    /// Copies bytes out.
    public func bytes(at offset: UInt64, count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        bytes.withUnsafeMutableBytes { read(at: offset, into: $0) }
        return bytes
    }

    /// Replaces bytes.
    public mutating func write(_ bytes: some RandomAccessCollection<UInt8>, at offset: UInt64) {
        let size = UInt64(Self.pageBytes)
        var rest = bytes[...]
        var position = offset
        while !rest.isEmpty {
            let within = Int(position % size)
            let piece = rest.prefix(Self.pageBytes - within)
            change(page: position / size) { page in
                page.replaceSubrange(within..<within + piece.count, with: piece)
            }
            rest = rest.dropFirst(piece.count)
            position += UInt64(piece.count)
        }
    }

    private mutating func change(page number: UInt64, _ body: (inout [UInt8]) -> Void) {
        var page = pages[number] ?? [UInt8](repeating: 0, count: Self.pageBytes)
        if pages[number] != nil { digest ^= Self.digest(page, number) }
        body(&page)
        if Self.isZero(page) {
            pages[number] = nil
        } else {
            digest ^= Self.digest(page, number)
            pages[number] = page
        }
    }

    private static let zeros = [UInt8](repeating: 0, count: pageBytes)

    private static func isZero(_ page: [UInt8]) -> Bool { page == zeros }

    private static func digest(_ page: [UInt8], _ number: UInt64) -> Int {
        var hasher = Hasher()
        hasher.combine(number)
        page.withUnsafeBytes { hasher.combine(bytes: $0) }
        return hasher.finalize()
    }
}
