public import Linux

/// Why a change of the firmware's variables did not happen.
public enum FirmwareError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The machine was not started by UEFI, or efivarfs is not mounted.
    case unavailable
    /// The variables cannot be written at all.
    case readOnly(SystemError)
    /// The firmware has no room left.
    case full(SystemError)
    /// The firmware refused for another reason.
    case refused(SystemError)
    /// The firmware said yes, but reading back shows something else.
    case notKept(variable: String)
    /// A boot entry cannot be made from this.
    case impossible(String)

    /// Sorts a failed system call.
    init(_ error: SystemError) {
        // EROFS, EPERM and EACCES; ENOSPC and ENOMEM, as the kernel maps EFI_OUT_OF_RESOURCES.
        switch error.code {
        case 30, 1, 13: self = .readOnly(error)
        case 28, 12: self = .full(error)
        default: self = .refused(error)
        }
    }

    /// A sentence that says what to do.
    public var description: String {
        switch self {
        case .unavailable:
            "the firmware's variables cannot be seen: the machine was not started in UEFI mode, or efivarfs is missing; "
                + "switch legacy boot off in the firmware's setup"
        case .readOnly(let error):
            "the firmware's variables cannot be written (\(error)); the disk's fallback path starts the machine, and "
                + "changing the boot order needs the firmware's setup"
        case .full(let error):
            "the firmware has no room for boot entries (\(error)); remove entries that are not needed with the "
                + "firmware's setup or efibootmgr, or reset its settings"
        case .refused(let error):
            "the firmware refuses a change of its variables (\(error)); look for a firmware update, or reset its settings"
        case .notKept(let variable):
            "the firmware did not keep \(variable); look for a firmware update, or reset its settings"
        case .impossible(let reason):
            "a boot entry cannot be made: \(reason)"
        }
    }
}
