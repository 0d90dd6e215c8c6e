public import Decisions
public import Linux

/// The firmware's boot entries and their order (UEFI Specification 2.10, section 3.3), each change verified by reading
/// it back. A change that is already so writes nothing: NVRAM wears.
public final class EFIBootVariables {
    /// The vendor of UEFI's own variables.
    static let global = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
    /// The vendor of systemd's boot loader interface, under which the stub tells what it was loaded from.
    static let loader = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
    /// Non-volatile, for boot services and for the running system.
    private static let attributes: UInt32 = 7

    private let variables: FirmwareVariables
    private let locate: (GUID) -> PartitionLocation?

    /// Looks at the variables in a folder; `locate` finds the partition that a new entry is for.
    public init(
        variables: FirmwareVariables = FirmwareVariables(),
        locate: @escaping (GUID) -> PartitionLocation? = onThisMachine
    ) {
        self.variables = variables
        self.locate = locate
    }

    /// Finds a partition on the machine's disks; nil where there is none, or more than one, with that identifier.
    public static func onThisMachine(_ partition: GUID) -> PartitionLocation? {
        let found = BlockNodes().partitions(withUUID: partition.text)
        guard let only = found.first, found.count == 1, let number = UInt32(exactly: only.partition.number) else {
            return nil
        }
        let sector = UInt64(only.sectorSizeBytes)
        return PartitionLocation(
            number: number, startSector: only.partition.startBytes / sector,
            sectorCount: only.partition.sizeBytes / sector)
    }

    /// All that the firmware says of booting; `.absent` where it is not UEFI. What cannot be read is left out.
    public func snapshot() -> FirmwareSnapshot {
        guard variables.isAvailable else { return .absent }
        return FirmwareSnapshot(
            entries: options().map { number, option in
                BootEntry(number: number, description: option.description, file: option.file, isActive: option.isActive)
            },
            order: numbers("BootOrder"), next: numbers("BootNext").first, current: numbers("BootCurrent").first,
            isWritable: variables.isWritable, stubPartition: loaderPartition(),
            stubPath: loaderText("StubImageIdentifier"))
    }

    /// Every `Boot####` that can be parsed, with its bytes, by rising number.
    public func options() -> [(number: UInt16, option: LoadOption)] {
        var found: [(UInt16, LoadOption)] = []
        for name in (try? variables.names()) ?? [] {
            guard let number = Self.number(ofFile: name), let bytes = value(Self.name(number)),
                let option = LoadOption(bytes: bytes)
            else { continue }
            found.append((number, option))
        }
        return found.sorted { $0.0 < $1.0 }
    }

    /// Carries out one change and reads it back.
    public func apply(_ change: BootVariableChange) throws(FirmwareError) {
        guard variables.isAvailable else { throw .unavailable }
        switch change {
        case .delete(let number): try remove(Self.name(number))
        case .write(let entry): try write(try option(for: entry).bytes, to: Self.name(entry.number))
        case .setOrder(let order): try write(order.flatMap(Self.bytes), to: "BootOrder")
        case .setNext(let number): try write(Self.bytes(number), to: "BootNext")
        case .clearNext: try remove("BootNext")
        }
    }

    private func option(for entry: BootEntry) throws(FirmwareError) -> LoadOption {
        guard let file = entry.file else {
            throw .impossible("'\(entry.description)' names no file on a partition")
        }
        guard let location = locate(file.partition) else {
            throw .impossible("no disk, or more than one, has the partition \(file.partition)")
        }
        let option = LoadOption(
            description: entry.description, file: file, location: location, isActive: entry.isActive)
        guard let option, option.file?.isSame(as: file) == true else {
            throw .impossible("'\(entry.description)' or '\(file.path)' is too long or not plain ASCII")
        }
        return option
    }

    // MARK: Variables

    private func write(_ bytes: [UInt8], to name: String) throws(FirmwareError) {
        if value(name) == bytes { return }
        do {
            try variables.write(bytes, to: name, vendor: Self.global, attributes: Self.attributes)
        } catch {
            throw FirmwareError(error)
        }
        guard value(name) == bytes else { throw .notKept(variable: name) }
    }

    private func remove(_ name: String) throws(FirmwareError) {
        do {
            try variables.remove(name, vendor: Self.global)
        } catch {
            throw FirmwareError(error)
        }
        guard value(name) == nil else { throw .notKept(variable: name) }
    }

    private func value(_ name: String, vendor: String = global) -> [UInt8]? {
        (try? variables.read(name, vendor: vendor))??.value
    }

    /// A list of 16-bit numbers, bounded.
    private func numbers(_ name: String) -> [UInt16] {
        guard let bytes = value(name) else { return [] }
        return stride(from: 0, to: bytes.count - bytes.count % 2, by: 2).prefix(1024)
            .map { UInt16(bytes[$0]) | UInt16(bytes[$0 + 1]) << 8 }
    }

    private func loaderPartition() -> GUID? {
        (loaderText("StubDevicePartUUID") ?? loaderText("LoaderDevicePartUUID")).flatMap { GUID($0) }
    }

    /// A UTF-16 text of the boot loader interface, without its terminator.
    private func loaderText(_ name: String) -> String? {
        guard let bytes = value(name, vendor: Self.loader), (2...4096).contains(bytes.count) else { return nil }
        let units = stride(from: 0, to: bytes.count - bytes.count % 2, by: 2)
            .map { UInt16(bytes[$0]) | UInt16(bytes[$0 + 1]) << 8 }.prefix { $0 != 0 }
        let text = Text.clean(String(decoding: units, as: UTF16.self), limit: 1024)
        return text.isEmpty ? nil : text
    }

    private static func bytes(_ number: UInt16) -> [UInt8] { [UInt8(number & 0xff), UInt8(number >> 8)] }

    /// `Boot` and four upper-case hexadecimal digits.
    static func name(_ number: UInt16) -> String {
        let digits = String(number, radix: 16, uppercase: true)
        return "Boot" + String(repeating: "0", count: 4 - digits.count) + digits
    }

    private static func number(ofFile file: String) -> UInt16? {
        guard file.hasSuffix("-" + global), file.hasPrefix("Boot") else { return nil }
        let digits = file.dropFirst(4).dropLast(global.count + 1)
        guard digits.utf8.count == 4, let number = UInt16(digits, radix: 16), name(number) == "Boot" + digits else {
            return nil
        }
        return number
    }
}
