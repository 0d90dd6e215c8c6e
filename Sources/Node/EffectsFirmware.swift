public import Decisions
internal import Firmware
public import Sequences

/// The firmware's boot variables, for real.
public final class NodeFirmware: BootVariableEffect {
    private let variables = EFIBootVariables()

    /// Makes it over efivarfs.
    public init() {}

    /// Reads them all.
    public func snapshot() -> FirmwareSnapshot { variables.snapshot() }

    /// Carries out one change and reads it back.
    public func apply(_ change: BootVariableChange) throws { try variables.apply(change) }
}
