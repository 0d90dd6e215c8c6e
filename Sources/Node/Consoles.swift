internal import Linux

/// Which terminals show what this program does.
public enum Consoles {
    /// The kernel's consoles and the serial port that the firmware names, as paths.
    public static func paths() -> [String] {
        var names = Terminals.active()
        if let table = try? Files.read("/sys/firmware/acpi/tables/SPCR", limitBytes: 4096),
            let port = ConsolePort(table: table),
            let name = port.terminal(
                among: Terminals.serialPorts().map { (name: $0.name, port: $0.port, memory: $0.memory) }),
            !names.contains(name)
        {
            names.append(name)
        }
        // `tty0` means whichever screen is shown; a name with a slash is none of the kernel's.
        return names.filter { !$0.contains("/") }.map { "/dev/" + $0 }
    }
}
