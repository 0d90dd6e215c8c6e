import Contract
import Cryptography
public import Decisions
public import Linux

/// The boot record on its partition: two checksummed copies, of which the older is always the one overwritten.
///
/// A power cut while one copy is written leaves the other: `read` returns the record before or the record after,
/// never a mixture. Format of a copy, little endian: magic `APUSBR1` and a zero byte, u32 format (1), u32 bytes of
/// the payload, u64 sequence number, u64 zero, 32 bytes SHA-256 over the 32 bytes before it and the payload, then the
/// payload: the record as JSON.
public struct BootRecordStore {
    /// Where the copies start, in bytes.
    public static let copyOffsets: [UInt64] = [0, 512 << 10]
    /// The largest copy, in bytes.
    public static let copyLimitBytes = 64 << 10
    static let headerBytes = 64
    private static let magic = Array("APUSBR1\0".utf8)

    private let device: any BlockDevice

    /// Opens the record on its partition; throws `RecordStoreError` where that is too small.
    public init(_ device: any BlockDevice) throws {
        guard device.sizeBytes >= 1 << 20 else { throw RecordStoreError.tooSmall(device.sizeBytes) }
        self.device = device
    }

    /// The newest intact record, nil where there is none.
    ///
    /// Throws where an intact copy was made by a program that is too new to be understood, and where neither copy can
    /// be read from the medium: then nothing is known, which is not the same as nothing being there.
    public func read() throws -> BootRecord? {
        guard let newest = try newest() else { return nil }
        do {
            return try Wire.decode(BootRecord.self, from: newest.payload, limit: Self.copyLimitBytes)
        } catch {
            throw RecordStoreError.notUnderstood("\(error)")
        }
    }

    /// Replaces the record. On return it is on the medium and was read back; throws otherwise.
    public func write(_ record: BootRecord) throws {
        if let broken = record.brokenInvariant { throw RecordStoreError.unsound(broken) }
        let payload = try Wire.encode(record)
        guard payload.count <= Self.copyLimitBytes - Self.headerBytes else {
            throw RecordStoreError.tooLarge(payload.count)
        }
        let newest = try newest()
        let (sequence, overflow) = (newest?.sequence ?? 0).addingReportingOverflow(1)
        guard !overflow else { throw RecordStoreError.unsound("its sequence number is used up") }
        let target = Self.copyOffsets[newest.map { 1 - $0.index } ?? 0]
        let bytes = Self.copy(payload, sequence: sequence)
        try device.writeSectors(bytes, at: target)
        try device.flush()
        guard try device.readBytes(at: target, count: bytes.count) == bytes else { throw RecordStoreError.readBack }
    }

    /// Makes the disk forget the record, as an authenticated wipe wants it. Durable on return.
    public func erase() throws {
        for offset in Self.copyOffsets { try device.writeZeros(at: offset, count: UInt64(Self.copyLimitBytes)) }
        try device.flush()
    }

    // MARK: - Copies

    private struct Copy {
        var index: Int
        var sequence: UInt64
        var payload: [UInt8]
    }

    private func newest() throws -> Copy? {
        var found: [Copy] = []
        var failures: [any Error] = []
        for index in Self.copyOffsets.indices {
            do {
                if let copy = try copy(index) { found.append(copy) }
            } catch {
                failures.append(error)
            }
        }
        if found.isEmpty, failures.count == Self.copyOffsets.count, let first = failures.first { throw first }
        return found.max { $0.sequence < $1.sequence }
    }

    /// One copy, or nil where it is torn, foreign or blank; throws what the device throws.
    private func copy(_ index: Int) throws -> Copy? {
        let offset = Self.copyOffsets[index]
        let header = try device.readBytes(at: offset, count: Self.headerBytes)
        let length = Int(header.little(UInt32.self, at: 12))
        guard Array(header[..<8]) == Self.magic, header.little(UInt32.self, at: 8) == 1,
            length <= Self.copyLimitBytes - Self.headerBytes
        else { return nil }
        let payload = try device.readBytes(at: offset + UInt64(Self.headerBytes), count: length)
        guard SHA256.digest(header[..<32] + payload) == Array(header[32..<64]) else { return nil }
        return Copy(index: index, sequence: header.little(UInt64.self, at: 16), payload: payload)
    }

    /// A copy in whole blocks of 4096 bytes.
    static func copy(_ payload: [UInt8], sequence: UInt64) -> [UInt8] {
        var header = [UInt8](repeating: 0, count: headerBytes)
        header.put(magic, at: 0)
        header.put(UInt32(1), at: 8)
        header.put(UInt32(payload.count), at: 12)
        header.put(sequence, at: 16)
        header.put(SHA256.digest(header[..<32] + payload), at: 32)
        let used = headerBytes + payload.count
        return header + payload + [UInt8](repeating: 0, count: (4096 - used % 4096) % 4096)
    }
}

/// Why the boot record cannot be read or written.
public enum RecordStoreError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The partition is too small, in bytes.
    case tooSmall(UInt64)
    /// The record is larger than a copy has room for, in bytes.
    case tooLarge(Int)
    /// An intact copy says what this program does not understand.
    case notUnderstood(String)
    /// The record breaks a rule and is not written.
    case unsound(String)
    /// The medium does not return what was written.
    case readBack

    /// What is wrong, as a sentence.
    public var description: String {
        switch self {
        case .tooSmall(let size): "the boot record's partition has \(size) bytes; it needs 1048576"
        case .tooLarge(let size): "a boot record of \(size) bytes does not fit its copy"
        case .notUnderstood(let detail): "the boot record was made by another program version: \(detail)"
        case .unsound(let rule): "the boot record is not written: \(rule)"
        case .readBack: "the boot record does not read back as written; the disk may be failing"
        }
    }
}
