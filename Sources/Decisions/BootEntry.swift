public import Contract

/// One `Boot####` variable of the firmware (UEFI Specification 2.10, section 3.1.3), as far as it concerns Apus.
public struct BootEntry: Sendable, Hashable, Codable {
    /// The number in `Boot####`.
    public var number: UInt16
    /// The description.
    public var description: String
    /// What it starts, where it is a file on a GPT partition; nil for every other kind.
    public var file: BootFile?
    /// Whether LOAD_OPTION_ACTIVE is set.
    public var isActive: Bool

    /// Makes an entry from its parts.
    public init(number: UInt16, description: String, file: BootFile?, isActive: Bool = true) {
        self.number = number
        self.description = description
        self.file = file
        self.isActive = isActive
    }
}

/// A file on a GPT partition, as a boot entry names it.
public struct BootFile: Sendable, Hashable, Codable {
    /// The partition's own identifier.
    public var partition: GUID
    /// The path with backslashes, such as `\EFI\apus\apus.efi`.
    public var path: String

    /// Names a file.
    public init(partition: GUID, path: String) {
        self.partition = partition
        self.path = path
    }

    /// Whether both name the same file: FAT paths do not distinguish case, and some firmware writes `/`.
    public func isSame(as other: BootFile) -> Bool {
        func plain(_ path: String) -> String { path.lowercased().replacing("/", with: "\\") }
        return partition == other.partition && plain(path) == plain(other.path)
    }
}

/// Where our files are and what our boot entries are called.
public enum BootNames {
    /// The slot's UKI on its boot partition.
    public static let slotPath = #"\EFI\apus\apus.efi"#

    /// The boot artifact on the recovery partition: the fallback path (UEFI Specification 2.10, section 3.5.1.1).
    public static func recoveryPath(_ architecture: Architecture) -> String {
        switch architecture {
        case .amd64: #"\EFI\BOOT\BOOTX64.EFI"#
        case .arm64: #"\EFI\BOOT\BOOTAA64.EFI"#
        }
    }

    /// The unique description of a target's boot entry.
    public static func description(of target: StartTarget) -> String {
        switch target {
        case .slot(let slot): "Apus \(slot.letter)"
        case .recovery: "Apus Recovery"
        }
    }
}

/// What the firmware says of itself at one moment.
public struct FirmwareSnapshot: Sendable, Equatable, Codable {
    /// All boot entries, by rising number.
    public var entries: [BootEntry]
    /// `BootOrder`.
    public var order: [UInt16]
    /// `BootNext`.
    public var next: UInt16?
    /// `BootCurrent`.
    public var current: UInt16?
    /// Whether variables can be written as far as is known; a failed write is answered by deciding again with false.
    public var isWritable: Bool
    /// The partition that the running UKI was loaded from (`StubDevicePartUUID`); nil where no stub said so.
    public var stubPartition: GUID?
    /// The path that it was loaded from (`StubImageIdentifier`).
    public var stubPath: String?

    /// Makes a snapshot from its parts.
    public init(
        entries: [BootEntry] = [], order: [UInt16] = [], next: UInt16? = nil, current: UInt16? = nil,
        isWritable: Bool = true, stubPartition: GUID? = nil, stubPath: String? = nil
    ) {
        self.entries = entries.sorted { $0.number < $1.number }
        self.order = order
        self.next = next
        self.current = current
        self.isWritable = isWritable
        self.stubPartition = stubPartition
        self.stubPath = stubPath
    }

    /// A machine without UEFI variables.
    public static let absent = FirmwareSnapshot(isWritable: false)
}

/// One atomic change of the firmware's variables.
public enum BootVariableChange: Sendable, Equatable, Codable {
    /// Removes a `Boot####`.
    case delete(UInt16)
    /// Creates or replaces a `Boot####`.
    case write(BootEntry)
    /// Replaces `BootOrder`.
    case setOrder([UInt16])
    /// Sets `BootNext`.
    case setNext(UInt16)
    /// Removes `BootNext`.
    case clearNext
}
