/// Appends little-endian numbers and byte fields.
struct ByteWriter {
    private(set) var bytes: [UInt8] = []

    mutating func append(_ value: some FixedWidthInteger & UnsignedInteger) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func append(_ field: [UInt8]) { bytes += field }

    mutating func append(_ field: [UInt8], paddedTo count: Int) {
        bytes += field
        bytes += [UInt8](repeating: 0, count: max(0, count - field.count))
    }
}

/// Reads little-endian numbers and byte fields, and throws where the bytes end too early.
struct ByteReader {
    private let bytes: [UInt8]
    private(set) var position = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var remaining: Int { bytes.count - position }

    mutating func bytes(_ count: Int) throws(ReleaseError) -> [UInt8] {
        guard count <= remaining else {
            throw ReleaseError("the bytes end at \(bytes.count), in the middle of a field")
        }
        defer { position += count }
        return Array(bytes[position..<position + count])
    }

    mutating func uint16() throws(ReleaseError) -> UInt16 { UInt16(try number(2)) }
    mutating func uint32() throws(ReleaseError) -> UInt32 { UInt32(try number(4)) }
    mutating func uint64() throws(ReleaseError) -> UInt64 { try number(8) }

    private mutating func number(_ count: Int) throws(ReleaseError) -> UInt64 {
        try bytes(count).reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
}
