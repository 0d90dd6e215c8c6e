internal import CEFI
public import Decisions
internal import Linux

/// The value of a `Boot####` variable (EFI_LOAD_OPTION, UEFI Specification 2.10, section 3.1.3), read without trusting
/// a byte of it.
public struct LoadOption: Sendable, Equatable {
    /// The value as it is stored.
    public let bytes: [UInt8]
    /// What people read; control characters taken out.
    public let description: String
    /// Whether LOAD_OPTION_ACTIVE is set.
    public let isActive: Bool
    /// What it starts, where it is a file on a GPT partition.
    public let file: BootFile?

    /// Parses a value; nil where it is no load option.
    public init?(bytes: [UInt8]) {
        guard (8...Self.limitBytes).contains(bytes.count) else { return nil }
        let pathBytes = Int(bytes[4]) | Int(bytes[5]) << 8
        guard let (name, pathStart) = Self.text(bytes[6...]), pathStart + pathBytes <= bytes.count else { return nil }
        self.bytes = bytes
        description = Text.clean(name)
        isActive = bytes[0] & 1 != 0
        file = Self.file(bytes[pathStart..<pathStart + pathBytes])
    }

    /// Makes the option that starts a file on a GPT partition, with libefivar and libefiboot.
    ///
    /// Nil where the text does not fit: description and path have at most 128 and 512 characters of ASCII.
    public init?(description: String, file: BootFile, location: PartitionLocation, isActive: Bool = true) {
        func isPlain(_ text: String, _ limit: Int) -> Bool {
            (1...limit).contains(text.utf8.count) && text.utf8.allSatisfy { (0x20..<0x7f).contains($0) }
        }
        guard isPlain(description, 128), isPlain(file.path, 512),
            let uuid = StoredUUID(file.partition.text)?.storedBytes
        else { return nil }
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = apus_make_load_option(
            &buffer, buffer.count, isActive ? 1 : 0, location.number, location.startSector, location.sectorCount, uuid,
            file.path.replacing("/", with: "\\"), description)
        guard count > 0, count <= buffer.count else { return nil }
        self.init(bytes: Array(buffer.prefix(count)))
    }

    /// Firmware with larger options is not known.
    static let limitBytes = 16 << 10

    /// A null-terminated UCS-2 string and where the byte after it is.
    private static func text(_ bytes: ArraySlice<UInt8>) -> (text: String, end: Int)? {
        var units: [UInt16] = []
        var at = bytes.startIndex
        while at + 1 < bytes.endIndex {
            let unit = UInt16(bytes[at]) | UInt16(bytes[at + 1]) << 8
            at += 2
            if unit == 0 { return (String(decoding: units, as: UTF16.self), at) }
            units.append(unit)
        }
        return nil
    }

    /// Walks a device path (UEFI 2.10, chapter 10) and takes the file that follows a GPT partition's node.
    private static func file(_ path: ArraySlice<UInt8>) -> BootFile? {
        var partition: GUID?
        var name = ""
        var at = path.startIndex
        while at + 4 <= path.endIndex {
            let length = Int(path[at + 2]) | Int(path[at + 3]) << 8
            guard length >= 4, at + length <= path.endIndex else { return nil }
            let node = path[at..<at + length]
            switch (path[at], path[at + 1]) {
            case (4, 1):
                // HD: signature at 24, format 2 is GPT, signature type 2 is a GUID.
                guard length == 42, path[at + 40] == 2, path[at + 41] == 2 else { return nil }
                partition = StoredUUID(storedBytes: node[(at + 24)..<(at + 40)]).flatMap { GUID($0.description) }
            case (4, 4):
                guard partition != nil, let part = text(node.dropFirst(4)) else { return nil }
                // A path may be spread over several nodes.
                name += name.isEmpty || name.hasSuffix("\\") || part.text.hasPrefix("\\") ? part.text : "\\" + part.text
            case (0x7f, _):
                guard let partition, !name.isEmpty, name.count <= 512 else { return nil }
                return BootFile(partition: partition, path: name)
            default:
                if partition != nil { return nil }
            }
            at += length
        }
        return nil
    }
}

/// Where a partition lies, as a device path wants to know it.
public struct PartitionLocation: Sendable, Equatable {
    /// Its number in the table, from 1.
    public var number: UInt32
    /// Its first sector.
    public var startSector: UInt64
    /// How many sectors it has.
    public var sectorCount: UInt64

    /// Describes a place in sectors of the disk's own size.
    public init(number: UInt32, startSector: UInt64, sectorCount: UInt64) {
        self.number = number
        self.startSector = startSector
        self.sectorCount = sectorCount
    }
}
