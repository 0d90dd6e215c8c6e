import Glibc

/// The bytes of a simulated disk, as a value: pages that hold nothing but zeros are not stored, copies share what is
/// equal, and a digest of all of it is kept up to date.
public struct DiskImage: Sendable, Equatable {
    /// Bytes of a page.
    static let pageBytes = 4096

    /// The size in bytes.
    public let sizeBytes: UInt64
    private var pages: [UInt64: Page] = [:]
    /// The pages' digests, taken together by mebibyte, as partitions begin on one.
    private var digests: [UInt64: Int] = [:]
    /// Equal for equal contents, within one process.
    public private(set) var digest = 0

    private struct Page: Sendable, Equatable {
        var bytes: [UInt8]
        var digest: Int
    }

    private static let pagesPerDigest: UInt64 = 256

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
                page.bytes.withUnsafeBytes {
                    piece.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[within..<within + count]))
                }
            } else {
                if let start = piece.baseAddress { memset(start, 0, piece.count) }
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
    public mutating func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) {
        // Old signatures are wiped by the mebibyte, mostly where there are none.
        if changesNothing(bytes, at: offset) { return }
        let size = UInt64(Self.pageBytes)
        var done = 0
        while done < bytes.count {
            let position = offset + UInt64(done)
            let within = Int(position % size)
            let count = min(Self.pageBytes - within, bytes.count - done)
            let piece = UnsafeRawBufferPointer(rebasing: bytes[done..<done + count])
            change(page: position / size, within: within, to: piece)
            done += count
        }
    }

    /// Replaces bytes.
    public mutating func write(_ bytes: [UInt8], at offset: UInt64) {
        bytes.withUnsafeBytes { write($0, at: offset) }
    }

    private mutating func change(page number: UInt64, within: Int, to piece: UnsafeRawBufferPointer) {
        let isZero = Self.zeros.withUnsafeBytes {
            UnsafeRawBufferPointer(rebasing: $0[..<piece.count]).isSame(as: piece)
        }
        let before = pages[number]
        guard var bytes = before?.bytes ?? (isZero ? nil : Self.zeros) else { return }
        pages[number] = nil
        bytes.withUnsafeMutableBytes {
            UnsafeMutableRawBufferPointer(rebasing: $0[within..<within + piece.count]).copyMemory(from: piece)
        }
        var page: Page?
        if !isZero || !Self.isZero(bytes) { page = Page(bytes: bytes, digest: Self.digest(bytes, number)) }
        pages[number] = page
        let change = (before?.digest ?? 0) ^ (page?.digest ?? 0)
        digest ^= change
        let group = (digests[number / Self.pagesPerDigest] ?? 0) ^ change
        digests[number / Self.pagesPerDigest] = group == 0 ? nil : group
    }

    /// Equal for equal contents of whole mebibytes, within one process.
    func digest(of range: Range<UInt64>) -> Int {
        let size = Self.pagesPerDigest * UInt64(Self.pageBytes)
        let groups = range.lowerBound / size..<range.upperBound / size
        return digests.reduce(0) { groups.contains($1.key) ? $0 ^ $1.value : $0 }
    }

    /// The digest of the page at an offset, 0 for one of zeros.
    func digest(ofPageAt offset: UInt64) -> Int { pages[offset / UInt64(Self.pageBytes)]?.digest ?? 0 }

    /// Gives each page that differs from another image's, with its place.
    func forEachDifference(from other: DiskImage, _ body: (UInt64, [UInt8]) throws -> Void) rethrows {
        for (number, page) in pages where other.pages[number]?.digest != page.digest {
            try body(number * UInt64(Self.pageBytes), page.bytes)
        }
        for number in other.pages.keys where pages[number] == nil {
            try body(number * UInt64(Self.pageBytes), Self.zeros)
        }
    }

    /// Whether zeros are written where there are only zeros.
    private func changesNothing(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) -> Bool {
        guard bytes.count > Self.pageBytes, bytes.first == 0,
            UnsafeRawBufferPointer(rebasing: bytes[1...]).isSame(
                as: UnsafeRawBufferPointer(rebasing: bytes[..<(bytes.count - 1)]))
        else { return false }
        let size = UInt64(Self.pageBytes)
        let numbers = offset / size...(offset + UInt64(bytes.count) - 1) / size
        return !pages.keys.contains { numbers.contains($0) }
    }

    private static let zeros = [UInt8](repeating: 0, count: pageBytes)

    private static func isZero(_ page: [UInt8]) -> Bool {
        page.withUnsafeBytes { page in zeros.withUnsafeBytes { $0.isSame(as: page) } }
    }

    private static func digest(_ page: [UInt8], _ number: UInt64) -> Int {
        var hasher = Hasher()
        hasher.combine(number)
        page.withUnsafeBytes { hasher.combine(bytes: $0) }
        return hasher.finalize()
    }
}

extension UnsafeRawBufferPointer {
    /// Compares by memcmp: a debug build compares arrays element by element, which would take most of a run's time.
    func isSame(as other: UnsafeRawBufferPointer) -> Bool {
        guard count == other.count else { return false }
        guard let mine = baseAddress, let theirs = other.baseAddress else { return true }
        return memcmp(mine, theirs, count) == 0
    }
}
