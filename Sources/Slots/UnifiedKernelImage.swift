/// Reads the sections of a unified kernel image: a PE file whose sections hold kernel, initrd and command line.
///
/// Bounded and safe for hostile files. Implements what it needs of Microsoft's "PE Format" and of the UAPI group's
/// specification "Unified Kernel Image".
public struct UnifiedKernelImage {
    /// Where a section's bytes lie in the file.
    public struct Section: Sendable, Equatable {
        /// The name, such as `.linux`.
        public var name: String
        /// Where it starts in the file, in bytes.
        public var offset: UInt64
        /// Its size in bytes, without padding.
        public var sizeBytes: UInt64
    }

    /// Why a file is not a unified kernel image.
    public enum Failure: Error, Sendable, Equatable, CustomStringConvertible {
        /// The file's structure is wrong.
        case malformed(String)
        /// A section is missing.
        case missing(String)
        /// A section is larger than accepted.
        case tooLarge(String, sizeBytes: UInt64)

        /// What is wrong, as a sentence.
        public var description: String {
            switch self {
            case .malformed(let detail): "not a unified kernel image: \(detail)"
            case .missing(let name): "the unified kernel image has no section '\(name)'"
            case .tooLarge(let name, let size): "section '\(name)' of the unified kernel image has \(size) bytes"
            }
        }
    }

    /// The COFF machine type: 0x8664 for amd64, 0xaa64 for arm64.
    public let machine: UInt16
    /// All sections, in the file's order.
    public let sections: [Section]
    private let file: any ReadableBytes

    /// Reads the headers; throws `Failure`, or what the file throws.
    public init(_ file: any ReadableBytes) throws {
        self.file = file
        guard file.sizeBytes >= 64 else { throw Failure.malformed("it is shorter than a header") }
        let stub = try file.read(at: 0, count: 64)
        guard stub[0] == UInt8(ascii: "M"), stub[1] == UInt8(ascii: "Z") else {
            throw Failure.malformed("it does not start with 'MZ'")
        }
        let headerOffset = UInt64(stub.little(UInt32.self, at: 0x3c))
        guard headerOffset <= 1 << 20, headerOffset + 24 <= file.sizeBytes else {
            throw Failure.malformed("its header lies outside the file")
        }
        let header = try file.read(at: headerOffset, count: 24)
        guard Array(header[..<4]) == [0x50, 0x45, 0, 0] else { throw Failure.malformed("it has no PE signature") }
        machine = header.little(UInt16.self, at: 4)
        let count = Int(header.little(UInt16.self, at: 6))
        let tableOffset = headerOffset + 24 + UInt64(header.little(UInt16.self, at: 20))
        guard (1...96).contains(count), tableOffset + UInt64(count * 40) <= file.sizeBytes else {
            throw Failure.malformed("its section table lies outside the file or is too long")
        }
        let table = try file.read(at: tableOffset, count: count * 40)
        sections = try (0..<count).map { try Self.section(table, at: $0 * 40, fileBytes: file.sizeBytes) }
    }

    private static func section(_ table: [UInt8], at start: Int, fileBytes: UInt64) throws -> Section {
        let name = String(decoding: table[start..<start + 8].prefix { $0 != 0 }, as: UTF8.self)
        let virtualSize = UInt64(table.little(UInt32.self, at: start + 8))
        let rawSize = UInt64(table.little(UInt32.self, at: start + 16))
        let offset = UInt64(table.little(UInt32.self, at: start + 20))
        guard rawSize == 0 || offset + rawSize <= fileBytes else {
            throw Failure.malformed("section '\(name)' lies outside the file")
        }
        return Section(name: name, offset: offset, sizeBytes: min(virtualSize, rawSize))
    }

    /// Where the first section of this name lies; throws `Failure.missing`.
    public func section(_ name: String) throws -> Section {
        guard let found = sections.first(where: { $0.name == name }) else { throw Failure.missing(name) }
        return found
    }

    /// A section's bytes, of at most `limitBytes`; throws `Failure`, or what the file throws.
    public func read(_ name: String, limitBytes: Int) throws -> [UInt8] {
        let section = try section(name)
        guard section.sizeBytes <= UInt64(limitBytes) else {
            throw Failure.tooLarge(name, sizeBytes: section.sizeBytes)
        }
        return try file.read(at: section.offset, count: Int(section.sizeBytes))
    }

    /// Gives a section's bytes piece by piece, as kexec wants them written into a file of its own.
    public func stream(_ name: String, _ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        let section = try section(name)
        try SectionBytes(file: file, section: section).forEachPiece(body)
    }

    /// The kernel's command line, without the trailing newline or zero bytes; throws `Failure`.
    public func commandLine() throws -> String {
        var bytes = try read(".cmdline", limitBytes: 64 << 10)
        while let last = bytes.last, last == 0 || last == 0x0a || last == 0x20 { bytes.removeLast() }
        guard bytes.allSatisfy({ $0 >= 0x20 && $0 < 0x7f }) else {
            throw Failure.malformed("its command line has characters other than printable ASCII")
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The value of `name=value` on the command line, nil where it is missing; the last one counts, as in the kernel.
    public func argument(_ name: String) throws -> String? {
        try commandLine().split(separator: " ").last { $0.hasPrefix(name + "=") }.map {
            String($0.dropFirst(name.count + 1))
        }
    }
}

/// One section as a file.
private struct SectionBytes: ReadableBytes {
    let file: any ReadableBytes
    let section: UnifiedKernelImage.Section
    var sizeBytes: UInt64 { section.sizeBytes }

    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws {
        guard offset <= sizeBytes, UInt64(buffer.count) <= sizeBytes - offset else {
            throw DeviceRangeError(offset: offset, count: buffer.count, sizeBytes: sizeBytes)
        }
        try file.read(at: section.offset + offset, into: buffer)
    }
}
