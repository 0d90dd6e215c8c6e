import Contract
import FoundationEssentials

/// The file that holds a machine's firmware variables, read and edited from outside while the machine is off.
///
/// The format is EDK II's (MdePkg/Include/Guid/VariableFormat.h, authenticated variables) inside a firmware volume
/// (UEFI PI specification, volume 3, section 3.2).
struct NVRAM {
    /// A firmware variable.
    struct Variable: Equatable, Sendable {
        /// Its name, such as `BootOrder`.
        var name: String
        /// The vendor's GUID as it stands in the file, 16 bytes.
        var vendor: [UInt8]
        /// Its attributes (UEFI specification 2.10, section 8.2).
        var attributes: UInt32
        /// Monotonic count, time stamp and key index, 28 bytes, kept as they are.
        var authentication: [UInt8]
        /// Its value.
        var data: [UInt8]
    }

    /// The variables that are in force, in the order of the store.
    var variables: [Variable]
    private var image: [UInt8]
    private let storeStart: Int
    private let storeEnd: Int

    /// `8BE4DF61-93CA-11D2-AA0D-00E098032B8C` as it stands in the file: the variables of the specification itself.
    static let globalVendor: [UInt8] = [
        0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11, 0xaa, 0x0d, 0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c,
    ]
    private static let authenticatedStore: [UInt8] = [
        0x78, 0x2c, 0xf3, 0xaa, 0x7b, 0x94, 0x9a, 0x43, 0xa1, 0x80, 0x2e, 0x14, 0x4e, 0xc3, 0x77, 0x92,
    ]
    private static let headerBytes = 60
    private static let nonVolatileBootRuntime: UInt32 = 7

    /// Reads the file at `path`.
    init(path: String) throws {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw LabError("cannot read the firmware variables '\(path)'")
        }
        try self.init(bytes: Array(data))
    }

    /// Reads a file's bytes.
    init(bytes: [UInt8]) throws(LabError) {
        image = bytes
        guard bytes.count > 128, Array(bytes[0x28..<0x2c]) == Array("_FVH".utf8) else {
            throw LabError("the firmware variables are not in a firmware volume")
        }
        let start = Int(bytes.little(UInt16.self, at: 0x30))
        guard start + 28 < bytes.count, Array(bytes[start..<start + 16]) == NVRAM.authenticatedStore else {
            throw LabError("the firmware's variable store is of a kind that the lab does not know")
        }
        let end = start + Int(bytes.little(UInt32.self, at: start + 16))
        guard end <= bytes.count else { throw LabError("the firmware's variable store is larger than its file") }
        storeStart = start + 28
        storeEnd = end
        variables = NVRAM.parse(bytes, from: storeStart, to: end)
    }

    private static func parse(_ bytes: [UInt8], from start: Int, to end: Int) -> [Variable] {
        var found: [Variable] = []
        var offset = start
        while offset + headerBytes <= end, bytes.little(UInt16.self, at: offset) == 0x55aa {
            let state = bytes[offset + 2]
            let nameBytes = Int(bytes.little(UInt32.self, at: offset + 36))
            let dataBytes = Int(bytes.little(UInt32.self, at: offset + 40))
            let nameStart = offset + headerBytes
            guard nameBytes <= end - nameStart, dataBytes <= end - nameStart - nameBytes else { return found }
            let dataStart = nameStart + nameBytes
            // 0x3f: added; 0x3e: being replaced, and still in force until its successor is complete.
            if state == 0x3f || state == 0x3e {
                let name = bytes[nameStart..<dataStart]
                found.append(
                    Variable(
                        name: String(utf16: name), vendor: Array(bytes[offset + 44..<offset + 60]),
                        attributes: bytes.little(UInt32.self, at: offset + 4),
                        authentication: Array(bytes[offset + 8..<offset + 36]),
                        data: Array(bytes[dataStart..<dataStart + dataBytes])))
            }
            offset = (dataStart + dataBytes + 3) & ~3
        }
        return found
    }

    /// Writes the variables into the file at `path`.
    func write(to path: String) throws {
        var store: [UInt8] = []
        for variable in variables {
            let name = variable.name.utf16.flatMap(\.littleEndianBytes) + [0, 0]
            store += [0xaa, 0x55, 0x3f, 0x00]
            store += variable.attributes.littleEndianBytes
            store += variable.authentication
            store += UInt32(name.count).littleEndianBytes
            store += UInt32(variable.data.count).littleEndianBytes
            store += variable.vendor + name + variable.data
            store += [UInt8](repeating: 0xff, count: -store.count & 3)
        }
        guard store.count <= storeEnd - storeStart else {
            throw LabError("the variables do not fit into the firmware's store")
        }
        var bytes = image
        bytes.replaceSubrange(
            storeStart..<storeEnd,
            with: store + [UInt8](repeating: 0xff, count: storeEnd - storeStart - store.count))
        try Data(bytes).write(to: URL(fileURLWithPath: path))
    }

    /// Lays the specification's own variables out in a new folder as efivarfs shows them: a file each, its attributes
    /// before its value (Linux, Documentation/filesystems/efivarfs.rst).
    func export(to folder: String) throws {
        try Files.remove(folder)
        try Files.makeFolder(folder)
        for variable in variables where variable.vendor == NVRAM.globalVendor {
            let path = folder + "/" + variable.name + "-8be4df61-93ca-11d2-aa0d-00e098032b8c"
            try Data(variable.attributes.littleEndianBytes + variable.data).write(to: URL(fileURLWithPath: path))
        }
    }

    /// The value of one of the specification's own variables.
    func value(_ name: String) -> [UInt8]? {
        variables.first { $0.name == name && $0.vendor == NVRAM.globalVendor }?.data
    }

    /// Sets one of the specification's own variables; nil removes it.
    mutating func set(_ name: String, to data: [UInt8]?) {
        guard let data else {
            variables.removeAll { $0.name == name && $0.vendor == NVRAM.globalVendor }
            return
        }
        if let index = variables.firstIndex(where: { $0.name == name && $0.vendor == NVRAM.globalVendor }) {
            variables[index].data = data
        } else {
            variables.append(
                Variable(
                    name: name, vendor: NVRAM.globalVendor, attributes: NVRAM.nonVolatileBootRuntime,
                    authentication: [UInt8](repeating: 0, count: 28), data: data))
        }
    }
}

extension NVRAM {
    /// A `Boot####` variable (UEFI specification 2.10, section 3.1.3).
    struct BootEntry: Equatable, Sendable {
        /// Its number.
        var number: UInt16
        /// What people see in the firmware's menu.
        var description: String
        /// The GUID of the partition that it names, in lower case, where it names one.
        var partition: String?
        /// The file's path on that partition, with backslashes.
        var path: String?
        /// Whether the firmware may start it.
        var isActive: Bool
    }

    /// All boot entries, by number.
    var bootEntries: [BootEntry] {
        variables.compactMap { variable in
            guard variable.vendor == NVRAM.globalVendor, variable.name.hasPrefix("Boot"), variable.name.count == 8,
                let number = UInt16(variable.name.dropFirst(4), radix: 16)
            else { return nil }
            return BootEntry(number: number, loadOption: variable.data)
        }.sorted { $0.number < $1.number }
    }

    /// The committed order of boot entries.
    var bootOrder: [UInt16] {
        guard let data = value("BootOrder") else { return [] }
        return stride(from: 0, to: data.count & ~1, by: 2).map { data.little(UInt16.self, at: $0) }
    }

    /// The entry that the firmware starts once.
    var bootNext: UInt16? {
        value("BootNext").flatMap { $0.count == 2 ? $0.little(UInt16.self, at: 0) : nil }
    }

    /// The name of a boot entry's variable.
    static func bootName(_ number: UInt16) -> String {
        let digits = String(number, radix: 16, uppercase: true)
        return "Boot" + String(repeating: "0", count: 4 - digits.count) + digits
    }

    /// Removes the entries that `matches` picks, also from the order, as firmware does that forgets them.
    mutating func removeBootEntries(where matches: (BootEntry) -> Bool) {
        let gone = bootEntries.filter(matches).map(\.number)
        for number in gone { set(NVRAM.bootName(number), to: nil) }
        setBootOrder(bootOrder.filter { !gone.contains($0) })
    }

    /// Sets the committed order.
    mutating func setBootOrder(_ order: [UInt16]) {
        set("BootOrder", to: order.flatMap(\.littleEndianBytes))
    }

    /// Sets or removes the entry that the firmware starts once.
    mutating func setBootNext(_ number: UInt16?) {
        set("BootNext", to: number.map(\.littleEndianBytes))
    }
}

extension NVRAM.BootEntry {
    /// Reads a load option: attributes, length of the device path, description, device path.
    init?(number: UInt16, loadOption data: [UInt8]) {
        guard data.count > 8 else { return nil }
        self.number = number
        isActive = data.little(UInt32.self, at: 0) & 1 == 1
        let pathBytes = Int(data.little(UInt16.self, at: 4))
        var end = 6
        while end + 1 < data.count, data[end] != 0 || data[end + 1] != 0 { end += 2 }
        description = String(utf16: data[6..<min(end, data.count)])
        var offset = end + 2
        let limit = min(data.count, offset + pathBytes)
        while offset + 4 <= limit {
            let length = Int(data.little(UInt16.self, at: offset + 2))
            guard length >= 4, offset + length <= limit else { break }
            switch (data[offset], data[offset + 1]) {
            case (4, 1) where length >= 42: partition = guidText(Array(data[offset + 24..<offset + 40]))
            case (4, 4): path = String(utf16: data[offset + 4..<offset + length])
            default: break
            }
            offset += length
        }
    }
}

/// The text of a GUID whose first three fields are little-endian (UEFI specification 2.10, appendix A).
func guidText(_ bytes: [UInt8]) -> String {
    let order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15]
    let digits = order.map { bytes[$0] }.lowercaseHex
    var parts: [Substring] = []
    var rest = Substring(digits)
    for length in [8, 4, 4, 4, 12] {
        parts.append(rest.prefix(length))
        rest = rest.dropFirst(length)
    }
    return parts.joined(separator: "-")
}

extension String {
    /// Reads UTF-16 in little-endian order up to a zero.
    init(utf16 bytes: ArraySlice<UInt8>) {
        let all = Array(bytes)
        let units = stride(from: 0, to: all.count & ~1, by: 2).map { UInt16(all[$0]) | UInt16(all[$0 + 1]) << 8 }
        self = String(decoding: units.prefix { $0 != 0 }, as: UTF16.self)
    }
}

extension [UInt8] {
    /// The little-endian number at `offset`; the caller has checked that it lies inside.
    func little<Number: FixedWidthInteger>(_ type: Number.Type, at offset: Int) -> Number {
        (0..<Number.bitWidth / 8).reversed().reduce(Number(0)) { $0 << 8 | Number(self[offset + $1]) }
    }
}

extension FixedWidthInteger {
    /// The bytes of this number, lowest first.
    var littleEndianBytes: [UInt8] { withUnsafeBytes(of: littleEndian) { Array($0) } }
}
