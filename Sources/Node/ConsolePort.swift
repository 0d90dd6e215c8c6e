/// The serial port that the firmware calls the console: ACPI's table SPCR (Serial Port Console Redirection,
/// revision 4), as the kernel gives it in `/sys/firmware/acpi/tables/SPCR`.
public struct ConsolePort: Sendable, Equatable {
    /// Whether the address is in I/O space; otherwise in memory.
    public var isIOPort: Bool
    /// The base address.
    public var address: UInt64
    /// Bits per second, where the table says.
    public var baud: Int?

    /// Reads the table; nil where it is malformed or names no port.
    public init?(table: [UInt8]) {
        guard table.count >= 80, table.starts(with: Array("SPCR".utf8)) else { return nil }
        let length = Int(ConsolePort.little(table[4..<8]))
        guard length >= 80, length <= table.count, table[0..<length].reduce(0, &+) == 0 else { return nil }
        // A Generic Address Structure (ACPI 6.5, section 5.2.3.2) stands at offset 40; space 0 is memory, 1 is I/O.
        guard table[40] <= 1 else { return nil }
        isIOPort = table[40] == 1
        address = ConsolePort.little(table[44..<52])
        guard address != 0 else { return nil }
        baud = [3: 9600, 4: 19200, 6: 57600, 7: 115_200][Int(table[58])]
    }

    /// The name of the port's terminal among `ports`, which gives each terminal's I/O port and memory address as
    /// `/sys/class/tty/ttyS*/{port,iomem_base}` do.
    public func terminal(among ports: [(name: String, port: UInt64, memory: UInt64)]) -> String? {
        ports.first { isIOPort ? $0.port == address : $0.memory == address }?.name
    }

    private static func little(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
}
